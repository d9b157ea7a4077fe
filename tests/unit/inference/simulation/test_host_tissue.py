"""Which of the host's voxels a lesion may take."""

from __future__ import annotations

from functools import cache

import numpy as np

from inference.arrays.patient_axes import patient_view
from inference.simulation.canvas import Canvas, canvas_of
from inference.simulation.host_tissue import airless, evened, open_places, open_to
from support.chest_volume import Chest, chest

SPACING = (5.0, 2.0, 2.0)
ONES = np.ones(5, np.float32)


@cache
def drawn() -> Chest:
    """A chest whose left lung is darker (air trapping) and has two bronchi along z."""
    made = chest(SPACING)
    made.paint(made.lungs & np.broadcast_to(made.x > 0, made.hu.shape), -930)
    made.paint(bronchi(made), -1010)
    return made


def bronchi(made: Chest) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    inside = (made.y**2 + (abs(made.x) - 72) ** 2 < 3.0**2) & (abs(made.z) < 80)
    return np.asarray(inside)


@cache
def canvas() -> Canvas:
    made = drawn()
    return canvas_of(patient_view(made.volume(), made.lungs))


def test_denser_tissue_is_not_taken_and_lung_is() -> None:
    even = np.array([-860, -300, 30, 60, 900], np.float32)
    np.testing.assert_allclose(open_to(35.0, even, ONES), [1, 1, 5 / 120, 0, 0], atol=1e-6)


def test_a_hole_spares_the_vessels() -> None:
    even = np.array([-860, -700, -600, -100, 40], np.float32)
    np.testing.assert_allclose(open_to(-985.0, even, ONES), [1, 2 / 3, 0, 0, 0], atol=1e-6)


def test_the_air_of_bronchi_is_told_from_lung_that_is_dark_as_a_whole() -> None:
    made, box = drawn(), canvas().box
    lungs = made.lungs[box]
    found = airless(evened(made.hu[box].astype(np.float32)), lungs, canvas())
    lumen = bronchi(made)[box]
    right = lumen & (made.x[:, :, box[2]] < 0)
    assert found[right].mean() < 0.3
    far = lungs & ~(np.roll(lumen, 3, 1) | np.roll(lumen, -3, 1) | lumen)
    left = far & (made.x[:, :, box[2]] > 0)
    assert found[left].mean() > 0.95


def test_the_rim_of_the_pleura_is_open_where_it_is_half_air_but_not_where_it_is_fat() -> None:
    lungs = np.zeros((1, 5, 9), np.bool_)
    lungs[:, :, :3] = True
    even = np.full((1, 5, 9), 40.0, np.float32)
    even[:, :, :5] = (-850, -850, -500, -250, -80)
    places = open_places(lungs, even, 2)
    np.testing.assert_allclose(places[0, 2], [1, 1, 1, 1, 0.2, 0, 0, 0, 0], atol=1e-6)


def test_evening_takes_noise_and_keeps_the_mean() -> None:
    noise = np.random.default_rng(0).normal(-850, 20, (3, 60, 60)).astype(np.float32)
    even = evened(noise)
    assert abs(even.mean() - noise.mean()) < 0.5
    assert even.std() < 0.45 * noise.std()
    constant = np.full((2, 4, 5), 7.0, np.float32)
    np.testing.assert_array_equal(evened(constant), constant)
