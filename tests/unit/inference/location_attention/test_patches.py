from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.arrays.patient_axes import PatientView, patient_view
from inference.location_attention.patches import (
    images_with_lung,
    outline,
    patches,
    relative_distance,
)
from inference.location_attention.preprocess import RegionPreprocessing
from inference.volume import CtVolume


def _lungs() -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Rows 2 to 8, columns 1 to 9, of an image of 12 x 12: 7 x 9 pixels."""
    mask = np.zeros((12, 12), np.bool_)
    mask[2:9, 1:10] = True
    return mask


def test_distance_by_hand() -> None:
    """The centre (5, 5) is 3 rows from the outline's row 2; the diagonal is that of 7 x 9."""
    wanted = 3 / math.hypot(7, 9)
    assert relative_distance(_lungs(), (5, 5), (1.0, 1.0)) == pytest.approx(wanted)


def test_distance_in_mm_where_pixels_are_not_square() -> None:
    """Rows of 2 mm: now a column at 4 mm is nearer than a row at 6 mm."""
    wanted = 4 / math.hypot(14, 9)
    assert relative_distance(_lungs(), (5, 5), (2.0, 1.0)) == pytest.approx(wanted)


def test_the_size_of_the_pixels_alone_changes_nothing() -> None:
    one = relative_distance(_lungs(), (4, 3), (0.7, 0.7))
    assert one == pytest.approx(relative_distance(_lungs(), (4, 3), (1.0, 1.0)))


@pytest.mark.parametrize("centre", [(2, 4), (8, 9), (2, 1)])
def test_on_the_outline_the_distance_is_0(centre: tuple[int, int]) -> None:
    assert relative_distance(_lungs(), centre, (1.0, 1.0)) == 0.0


def test_a_centre_outside_is_measured_to_the_nearest_lung() -> None:
    """(11, 11) lies 3 rows and 2 columns from the corner (8, 9)."""
    wanted = math.hypot(3, 2) / math.hypot(7, 9)
    assert relative_distance(_lungs(), (11, 11), (1.0, 1.0)) == pytest.approx(wanted)


def test_a_centre_between_pixels() -> None:
    wanted = 0.5 / math.hypot(7, 9)
    assert relative_distance(_lungs(), (2.5, 5), (1.0, 1.0)) == pytest.approx(wanted)


def test_two_lungs_have_one_rectangle_and_two_outlines() -> None:
    mask = np.zeros((10, 21), np.bool_)
    mask[1:8, 1:8] = mask[3:10, 13:20] = True
    assert relative_distance(mask, (4, 4), (1.0, 1.0)) == pytest.approx(3 / math.hypot(9, 19))


def test_the_images_border_is_an_edge() -> None:
    full = np.ones((5, 5), np.bool_)
    assert outline(full).sum() == 16
    assert relative_distance(full, (2, 2), (1.0, 1.0)) == pytest.approx(2 / math.hypot(5, 5))


def test_no_lung_is_refused() -> None:
    with pytest.raises(ValueError, match="no lung"):
        relative_distance(np.zeros((4, 4), np.bool_), (1, 1), (1.0, 1.0))


@given(st.floats(0, 11), st.floats(0, 11), st.floats(0.2, 5), st.floats(0.2, 5))
def test_distance_is_that_of_a_search_by_brute_force(
    row: float, column: float, row_mm: float, column_mm: float
) -> None:
    mask = _lungs()
    mask[2:4, 1:3] = False
    edge = [
        (r, c)
        for r, c in np.argwhere(mask)
        if not all(mask[r + a, c + b] for a, b in ((-1, 0), (1, 0), (0, -1), (0, 1)))
    ]
    nearest = min(math.hypot((r - row) * row_mm, (c - column) * column_mm) for r, c in edge)
    wanted = nearest / math.hypot(7 * row_mm, 9 * column_mm)
    assert relative_distance(mask, (row, column), (row_mm, column_mm)) == pytest.approx(wanted)


def _view(lung_slices: range, spacing: tuple[float, float, float] = (2.0, 1.0, 1.0)) -> PatientView:
    """Air with tissue in slice 5 only; lungs where asked."""
    hu = np.full((10, 40, 40), -1250, np.int16)
    hu[5, 10:30, 10:30] = 250
    lungs = np.zeros(hu.shape, np.bool_)
    lungs[lung_slices, 5:35, 5:35] = True
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, :3] = np.array([[0, 0, spacing[2]], [0, spacing[1], 0], [spacing[0], 0, 0]])
    return patient_view(CtVolume(hu, affine), lungs)


BOX = np.array([[3.5, 9.5, 9.5], [6.5, 29.5, 29.5]])
"""Middle: slice 5, pixel (19.5, 19.5); 20 pixels wide."""


def test_the_three_images_are_the_centre_and_its_neighbours() -> None:
    view = _view(range(10))
    settings = RegionPreprocessing(patch_size=32)
    found = patches(view, images_with_lung(view), BOX, settings)
    assert [patch.image_index for patch in found] == [5, 4, 6]
    assert found[0].values[1:-1, 1:-1] == pytest.approx(1.0)  # the outermost see beyond the box
    assert found[1].values.max() == found[2].values.max() == 0.0


def test_at_the_end_of_the_lungs_an_image_counts_twice() -> None:
    view = _view(range(4, 6))
    found = patches(view, images_with_lung(view), BOX, RegionPreprocessing(patch_size=32))
    assert [patch.image_index for patch in found] == [5, 4, 5]


def test_a_cube_whose_centre_has_no_lung_takes_the_nearest_image_that_has() -> None:
    view = _view(range(7, 9))
    found = patches(view, images_with_lung(view), BOX, RegionPreprocessing(patch_size=32))
    assert [patch.image_index for patch in found] == [7, 7, 8]


def test_a_single_slice_stands_for_all_three() -> None:
    view = _view(range(5, 6))
    found = patches(view, images_with_lung(view), BOX, RegionPreprocessing(patch_size=32))
    assert {patch.image_index for patch in found} == {5}


def test_a_patch_keeps_its_form_where_pixels_are_not_square() -> None:
    """Rows of 2 mm: the tissue is 40 mm by 20 mm, and so it is in a patch of 40 mm."""
    view = _view(range(10), (2.0, 2.0, 1.0))
    centre = patches(view, images_with_lung(view), BOX, RegionPreprocessing(patch_size=96))[0]
    bright = centre.values > 0.5
    assert bright[:, 48].sum() == 96
    assert bright[48].sum() == pytest.approx(48, abs=2)


def test_a_patch_beyond_the_image_is_air_there() -> None:
    view = _view(range(10))
    box = np.array([[3.5, 29.5, 29.5], [6.5, 49.5, 49.5]])  # middle at the corner (39.5, 39.5)
    centre = patches(view, images_with_lung(view), box, RegionPreprocessing(patch_size=32))[0]
    assert centre.values.shape == (32, 32)
    assert not centre.values[17:, 17:].any()
