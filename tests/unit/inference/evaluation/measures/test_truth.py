"""Lesions of a scan, by mask or by box."""

from __future__ import annotations

import numpy as np
import pytest

from inference.evaluation.measures.truth import drawn_boxes, known_lesions, own_lesions
from inference.training.scan import LesionBox, LoadedScan
from inference.volume import CtVolume

SHAPE = (6, 8, 10)


def volume(flip: bool = False) -> CtVolume:
    """Voxels of 5 x 2 x 1 mm; flipped, the slices go to the feet."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = -5.0 if flip else 5.0, 2.0, 1.0, 1.0
    affine[:3, 3] = (100.0, -50.0, 25.0 if flip else 0.0)
    return CtVolume(np.zeros(SHAPE, np.int16), affine)


def box(number: int, name: str, low: tuple[float, float, float], size: float) -> LesionBox:
    x, y, z = low
    return LesionBox(number, name, "nodule", low, (x + size, y + size, z + size))


def lesions() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    numbers = np.zeros(SHAPE, np.uint16)
    numbers[1, 1, 1], numbers[2, 2, 2:5] = 1, 2
    return numbers


def test_own_lesions_are_of_the_scans_class() -> None:
    named = (box(1, "a", (0, 0, 0), 1), box(2, "b", (0, 0, 0), 1))
    scan = LoadedScan(volume(), lesions=lesions(), boxes=named)
    found = own_lesions(scan, "b")
    assert found is not None
    assert (found == (lesions() == 2)).all()
    assert own_lesions(scan, "c") is None


def test_without_names_all_lesions_are_the_scans() -> None:
    found = own_lesions(LoadedScan(volume(), lesions=lesions()), "x")
    assert found is not None
    assert found.sum() == 4
    assert own_lesions(LoadedScan(volume()), "x") is None


@pytest.mark.parametrize("flip", [False, True])
def test_a_box_is_drawn_at_its_place(flip: bool) -> None:
    drawn = drawn_boxes([box(7, "a", (102.5, -46.5, 9.0), 4.0)], volume(flip))
    z, y, x = (axis.tolist() for axis in np.nonzero(drawn))
    assert set(z) == {3 if flip else 2}
    assert (min(y), max(y), min(x), max(x)) == (2, 3, 3, 6)
    assert drawn.max() == 7


def test_smaller_boxes_lie_over_larger_ones_and_end_at_the_volume() -> None:
    both = [box(2, "a", (103.0, -48.0, 5.0), 1.0), box(1, "a", (90.0, -60.0, -5.0), 40.0)]
    drawn = drawn_boxes(both, volume())
    assert drawn[1, 1, 3] == 2
    assert (drawn == 1).sum() == drawn.size - 2


def test_lesions_are_known_by_mask_by_box_or_by_the_label() -> None:
    one = box(1, "a", (103.0, -48.0, 5.0), 1.0)
    mask = known_lesions(LoadedScan(volume(), lesions=lesions(), boxes=(one,)), False)
    assert mask is not None
    assert mask.max() == 2
    drawn = known_lesions(LoadedScan(volume(), boxes=(one,)), False)
    assert drawn is not None
    assert drawn.max() == 1
    free = known_lesions(LoadedScan(volume()), True)
    assert free is not None
    assert not free.any()
    assert known_lesions(LoadedScan(volume()), False) is None
