from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from inference.arrays.patient_axes import patient_view
from inference.volume import CtVolume
from support.orientations import Stored, stored, turned

SHAPE = (3, 4, 5)


def _patient() -> CtVolume:
    """Slices to the head, rows to the back, columns to the left; every voxel another HU."""
    affine = np.array([[0, 0, 0.7, -10], [0, 0.9, 0, 20], [2.5, 0, 0, -300], [0, 0, 0, 1.0]])
    return CtVolume(np.arange(60, dtype=np.int16).reshape(SHAPE), affine)


ALL = [
    Stored((one, two, three), (a, b, c))
    for one, two, three in permutations(range(3))
    for a, b, c in product((False, True), repeat=3)
]


@pytest.mark.parametrize("how", ALL, ids=str)
def test_however_stored_the_view_is_the_patient(how: Stored) -> None:
    wanted = _patient()
    volume = stored(wanted, how)
    view = patient_view(volume, turned(wanted.hu > 30, how))
    assert np.array_equal(view.hu, wanted.hu)
    assert np.array_equal(view.lungs, wanted.hu > 30)
    assert view.affine == pytest.approx(wanted.affine)
    assert view.spacing_mm == pytest.approx(wanted.spacing_mm)
    assert view.voxel_ml == pytest.approx(wanted.voxel_ml)
    assert np.shares_memory(view.hu, volume.hu)
    assert np.array_equal(view.as_stored(view.hu), volume.hu)


@pytest.mark.parametrize("how", ALL, ids=str)
def test_a_box_of_the_view_holds_the_same_voxels_as_stored(how: Stored) -> None:
    volume = stored(_patient(), how)
    view = patient_view(volume, np.zeros(volume.hu.shape, np.bool_))
    slices, rows, columns = view.stored_box(((0, 1), (1, 3), (2, 5)))
    of_stored = volume.hu[slice(*slices), slice(*rows), slice(*columns)]
    assert sorted(of_stored.ravel()) == sorted(view.hu[0:1, 1:3, 2:5].ravel())


def test_a_tilted_volume_keeps_its_tilt() -> None:
    """Gantry tilt shears slices along the rows: still slices, and nothing is turned."""
    volume = _patient()
    volume.affine[1, 0] = 1.2
    view = patient_view(volume, np.zeros(SHAPE, np.bool_))
    assert (view.order, view.flipped) == ((0, 1, 2), (False, False, False))
    assert view.to_lps((2, 3, 4)) == pytest.approx(volume.to_lps((2, 3, 4)))


def test_the_stored_slice_of_feet_first_slices() -> None:
    volume = stored(_patient(), Stored((0, 1, 2), (True, False, False)))
    view = patient_view(volume, np.zeros(SHAPE, np.bool_))
    assert [view.stored_slice(index) for index in range(3)] == [2, 1, 0]


def test_lungs_of_another_volume_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lungs \(1, 4, 5\)"):
        patient_view(_patient(), np.zeros((1, 4, 5), np.bool_))
