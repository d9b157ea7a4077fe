from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.arrays.patient_axes import PatientView, patient_view
from inference.location_attention.lesions import as_stored, lesion_in, parted, side_of
from inference.location_attention.preprocess import RegionGrid
from inference.regions import BoxMask, Side, VoxelBox
from inference.volume import CtVolume
from support.orientations import AXIAL, Stored, stored, turned

SHAPE = (6, 8, 10)
BOX = VoxelBox((1, 4), (2, 6), (3, 8))


def view(lungs: NDArray[np.bool_] | None = None) -> PatientView:
    volume = CtVolume(np.zeros(SHAPE, np.int16), np.eye(4)[:, [2, 1, 0, 3]])
    return patient_view(volume, np.ones(SHAPE, np.bool_) if lungs is None else lungs)


def grid(cells: tuple[int, int, int], origin: float, step: float) -> RegionGrid:
    nothing = np.zeros(cells, np.float32)
    return RegionGrid(nothing, nothing, np.full(3, origin), np.full(3, step))


@given(st.lists(st.booleans(), min_size=60, max_size=60))
def test_a_mask_in_bits_is_the_mask(bits: list[bool]) -> None:
    mask = np.array(bits).reshape(3, 4, 5)
    packed = BoxMask.of(mask)
    assert np.array_equal(packed.array, mask)
    assert packed.voxels == mask.sum()
    assert len(packed.bits) == 8
    assert (packed == BoxMask.of(~mask)) is False


def test_on_a_grid_of_its_own_voxels_the_lesion_is_what_lies_above_0() -> None:
    log_odds = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    found = lesion_in((BOX.slices, BOX.rows, BOX.columns), log_odds, grid(SHAPE, 0.0, 1.0), view())
    assert np.array_equal(found, log_odds[BOX.part] > 0)


def test_between_two_cells_the_border_lies_where_log_odds_are_0() -> None:
    """Cells of 4 voxels; -1 at column 1.5 and 3 at column 5.5: 0 lies at column 2.5."""
    log_odds = np.full((2, 2, 3), -1.0, np.float32)
    log_odds[..., 1] = 3.0
    found = lesion_in(((0, 6), (0, 6), (0, 8)), log_odds, grid((2, 2, 3), 1.5, 4.0), view())
    columns = found.any(axis=(0, 1))
    assert columns.tolist() == [False] * 3 + [True] * 5


def test_lung_alone_is_lesion() -> None:
    lungs = np.zeros(SHAPE, np.bool_)
    lungs[2, 3, 4:6] = True
    everything = np.ones(SHAPE, np.float32)
    voxels = (BOX.slices, BOX.rows, BOX.columns)
    found = lesion_in(voxels, everything, grid(SHAPE, 0.0, 1.0), view(lungs))
    assert np.array_equal(found, lungs[BOX.part])


@pytest.mark.parametrize(
    "how", [*AXIAL, Stored((2, 0, 1), (False, True, False)), Stored((1, 2, 0), (True, True, False))]
)
def test_a_mask_of_the_view_goes_back_to_the_stored_axes(how: Stored) -> None:
    patient = CtVolume(np.arange(480, dtype=np.int16).reshape(SHAPE), np.eye(4)[:, [2, 1, 0, 3]])
    mask = patient.hu % 7 == 0
    volume = stored(patient, how)
    seen = patient_view(volume, turned(mask, how))
    assert np.array_equal(as_stored(np.asarray(seen.lungs), seen), turned(mask, how))


def test_a_voxel_in_two_boxes_is_left_to_the_first_in_order() -> None:
    boxes = [VoxelBox((0, 3), (0, 3), (0, 3)), VoxelBox((2, 5), (2, 5), (2, 5)), BOX]
    whole = [np.ones(box.shape, np.bool_) for box in boxes]
    left = parted(boxes, whole, [1, 0, 2])
    assert [int(mask.sum()) for mask in left[:2]] == [26, 27]
    assert not left[0][2, 2, 2]
    drawn = np.zeros((6, 8, 10), np.int8)
    for box, mask in zip(boxes, left, strict=True):
        drawn[box.part] += mask
    assert drawn.max() == 1
    covered = np.zeros_like(drawn)
    for box in boxes:
        covered[box.part] = 1
    assert np.array_equal(drawn, covered)  # and no voxel is lost
    assert all(mask.all() for mask in whole)  # what was given stays as it was


def test_the_side_is_that_of_most_of_the_lesion_else_of_the_lung_in_the_box() -> None:
    sides = np.zeros(BOX.shape, np.uint8)
    sides[:, :, :2], sides[:, :, 2:] = Side.RIGHT, Side.LEFT  # of its five columns
    lesion = np.zeros(BOX.shape, np.bool_)
    assert side_of(lesion, sides) is Side.LEFT
    lesion[:, :, :2] = True
    assert side_of(lesion, sides) is Side.RIGHT
    assert side_of(lesion, np.zeros_like(sides)) is None
