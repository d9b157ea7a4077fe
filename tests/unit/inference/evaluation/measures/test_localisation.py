"""Where heat, regions and masks lie, against the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inference.evaluation.measures.lesions import found_lesions, lesion_classes, match_regions
from inference.evaluation.measures.localisation import dilated, heat_shares
from inference.evaluation.measures.overlap import agreement
from inference.findings import RowColumnBox, SliceActivation
from inference.regions import VoxelBox
from inference.volume import CtVolume

SHAPE, SPACING = (20, 40, 48), (5.0, 2.0, 1.5)
WHOLE = RowColumnBox(0, 0, SHAPE[1], SHAPE[2])


def volume() -> CtVolume:
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = SPACING
    affine[3, 3] = 1.0
    return CtVolume(np.zeros(SHAPE, np.int16), affine)


def nothing() -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.zeros(SHAPE, np.bool_)


def heat(index: int, cam: list[list[float]]) -> SliceActivation:
    return SliceActivation(index, WHOLE, np.array(cam, np.float32), 1.0)


def test_a_voxel_grows_to_a_ball_in_mm() -> None:
    mask = nothing()
    mask[10, 20, 24] = True
    grown = dilated(mask, SPACING, 10.0)
    z, y, x = np.indices(SHAPE)
    distance = np.hypot(np.hypot((z - 10) * 5.0, (y - 20) * 2.0), (x - 24) * 1.5)
    assert (grown == (distance <= 10.0)).all()
    assert grown[8, 20, 24]
    assert not grown[7].any()


def test_growth_ends_where_the_volume_does() -> None:
    mask = nothing()
    mask[0, 0, 0] = mask[-1, -1, -1] = True
    grown = dilated(mask, SPACING, 4.0)
    assert grown[0, 2, 0]
    assert grown[-1, -1, -3]
    assert not grown[1].any()


def test_no_lesion_stays_none() -> None:
    assert not dilated(nothing(), SPACING, 10.0).any()


def test_heat_on_the_lesion_is_all_of_it_and_beside_it_none() -> None:
    lesions, lungs = nothing(), nothing()
    lesions[10, :, :12] = True
    lungs[10] = True
    left, right = [[1.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 1.0]]
    on = heat_shares(volume(), [heat(10, left)], lungs, lesions, 0.15)
    off = heat_shares(volume(), [heat(10, right)], lungs, lesions, 0.15)
    assert on.whole == on.shown == 1.0
    assert off.whole == off.shown == 0.0
    assert on.by_chance == off.by_chance == pytest.approx(18 / 48)  # 12 columns and 9 mm


def test_even_heat_is_where_chance_would_have_it() -> None:
    lesions, lungs = nothing(), ~nothing()
    lesions[5:8, 10:20, 10:20] = True
    even = [heat(index, [[0.5]]) for index in range(SHAPE[0])]
    found = heat_shares(volume(), even, lungs, lesions, 0.15)
    assert found.whole == pytest.approx(found.by_chance)
    assert 0.02 < found.whole < 0.5


def test_weak_heat_counts_for_the_whole_but_is_not_shown() -> None:
    lesions = nothing()
    lesions[10] = True
    maps = [heat(10, [[1.0]]), heat(0, [[0.1]])]
    found = heat_shares(volume(), maps, ~nothing(), lesions, 0.15)
    assert found.whole == pytest.approx(1 / 1.1)
    assert found.shown == 1.0


def test_without_heat_there_is_no_share() -> None:
    found = heat_shares(volume(), [heat(3, [[0.0]])], nothing(), nothing(), 0.15)
    assert math.isnan(found.whole)
    assert math.isnan(found.by_chance)
    with pytest.raises(ValueError, match="masks"):
        heat_shares(volume(), [], nothing()[1:], nothing(), 0.15)


def numbered() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    lesions = np.zeros(SHAPE, np.uint16)
    lesions[2:4, 4:8, 4:8] = 3  # 32 voxels
    lesions[10:16, 10:30, 10:30] = 7  # 2400 voxels
    return lesions


@pytest.mark.parametrize(
    ("box", "lesion", "overlap"),
    [
        (VoxelBox((0, 8), (0, 16), (0, 16)), 3, 1.0),  # a large cube about a small lesion
        (VoxelBox((11, 12), (12, 14), (12, 14)), 7, 1.0),  # a small cube within a large one
        (VoxelBox((3, 5), (4, 8), (4, 8)), 3, 0.5),
        (VoxelBox((3, 5), (7, 9), (4, 8)), 3, 0.25),
        (VoxelBox((3, 5), (7, 9), (5, 9)), None, 3 / 16),
        (VoxelBox((17, 20), (0, 9), (0, 9)), None, 0.0),
    ],
)
def test_a_region_belongs_to_the_lesion_it_overlaps(
    box: VoxelBox, lesion: int | None, overlap: float
) -> None:
    (match,) = match_regions([box], numbered())
    assert match.lesion == lesion
    assert match.overlap == pytest.approx(overlap)


def test_found_lesions_count_once() -> None:
    boxes = [VoxelBox((2, 4), (4, 8), (4, 8))] * 2 + [VoxelBox((17, 20), (0, 9), (0, 9))]
    assert found_lesions(match_regions(boxes, numbered())) == {3}


def test_without_names_all_lesions_are_of_the_scan() -> None:
    assert lesion_classes(numbered(), {}, "x") == {3: "x", 7: "x"}
    assert lesion_classes(numbered(), {7: "y"}, "x") == {3: "x", 7: "y"}


def test_masks_agree_by_dice_and_ml() -> None:
    one, two = nothing(), nothing()
    one[:10], two[5:10] = True, True
    found = agreement(one, two, 0.015)
    assert found.dice == pytest.approx(2 * 5 / 15)
    assert found.difference_ml == pytest.approx(5 * 40 * 48 * 0.015)
    assert math.isnan(agreement(nothing(), nothing(), 1.0).dice)
    with pytest.raises(ValueError, match="masks"):
        agreement(one, two[1:], 1.0)
