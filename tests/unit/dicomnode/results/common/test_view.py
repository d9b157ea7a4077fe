from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dicomnode.results.common.view import view_of
from support.result_samples import affine_of

AXES = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
ORTHOGONAL = [
    tuple(sign * x for x in AXES[a]) + tuple(other * x for x in AXES[b])
    for (a, b), sign, other in product(permutations(range(3), 2), (1, -1), (1, -1))
]


def shown_directions(orientation: tuple[float, ...]) -> tuple[list[float], list[float]]:
    """LPS directions to the right and down the screen, measured on a shown coordinate image."""
    affine = affine_of(orientation)
    view = view_of(affine)
    rows, columns = np.mgrid[0:3, 0:4]
    index = np.stack([np.zeros_like(rows), rows, columns, np.ones_like(rows)])
    lps = [view.upright(axis) for axis in np.einsum("ij,jrc->irc", affine, index)[:3]]
    right = [float(np.sign(axis[0, 1] - axis[0, 0])) for axis in lps]
    return right, [float(np.sign(axis[1, 0] - axis[0, 0])) for axis in lps]


@pytest.mark.parametrize("orientation", ORTHOGONAL)
def test_every_orthogonal_orientation_is_shown_in_the_habit(
    orientation: tuple[float, ...],
) -> None:
    view = view_of(affine_of(orientation))
    right, down = shown_directions(orientation)
    habit = {
        "z": ([1, 0, 0], [0, 1, 0], "RLAP"),  # axial: patient's right at the viewer's left
        "y": ([1, 0, 0], [0, 0, -1], "RLHF"),  # coronal: head on top
        "x": ([0, 1, 0], [0, 0, -1], "APHF"),  # sagittal: anterior at the viewer's left
    }[view.normal_axis]
    assert (right, down) == habit[:2]
    assert view.left + view.right + view.top + view.bottom == habit[2]


def test_there_are_24_orthogonal_orientations() -> None:
    assert len(set(ORTHOGONAL)) == 24


def test_pixel_sizes_follow_the_turn() -> None:
    affine = affine_of((0.0, 1.0, 0.0, 1.0, 0.0, 0.0))  # rows run to posterior
    affine[:3, 2] *= 2.0  # the columns, that is downwards on the screen, twice as far apart
    view = view_of(affine)
    assert (view.down_mm, view.right_mm) == pytest.approx((1.5, 0.75))


def test_a_tilted_slice_is_shown_by_its_nearest_axes() -> None:
    angle = np.radians(18.5)
    tilted = (1.0, 0.0, 0.0, 0.0, float(np.cos(angle)), float(np.sin(angle)))
    view = view_of(affine_of(tilted))
    assert (view.left, view.right, view.top, view.bottom) == ("R", "L", "A", "P")


def test_an_exact_diagonal_still_has_two_axes() -> None:
    h = float(np.sqrt(0.5))
    view = view_of(affine_of((h, h, 0.0, -h, h, 0.0)))
    assert {view.left, view.right, view.top, view.bottom} == set("RLAP")


def test_patient_orientation_is_that_of_the_shown_picture() -> None:
    assert view_of(affine_of()).patient_orientation == ["L", "P"]


@given(st.tuples(*[st.floats(-1.0, 1.0)] * 4))
def test_any_rotation_is_shown_within_45_degrees_or_so(quaternion: tuple[float, ...]) -> None:
    """However the patient lies, the letter at the right edge names the side that lies there."""
    assume(np.linalg.norm(quaternion) > 0.1)
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    row = (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
    column = (2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x))
    orientation = tuple(float(v) for v in (*row, *column))
    view = view_of(affine_of(orientation))
    right, down = shown_directions(orientation)
    signs = {"L": (0, 1), "P": (1, 1), "H": (2, 1), "R": (0, -1), "A": (1, -1), "F": (2, -1)}
    for letter, direction in ((view.right, right), (view.bottom, down)):
        axis, sign = signs[letter]
        assert direction[axis] == sign
