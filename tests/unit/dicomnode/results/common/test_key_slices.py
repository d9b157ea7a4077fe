from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dicomnode.results.common.key_slices import (
    KeySlice,
    NumberedRegion,
    key_slices,
    numbered_regions,
)
from inference.findings import RowColumnBox, SliceActivation
from inference.regions import VoxelBox
from support.region_samples import COVID, NOTHING, region, regions
from support.result_samples import findings

FOUND = findings()  # the share is largest on slice 7, then 6 and 8, 5 and 9 ...


def at(*slices: int) -> tuple[NumberedRegion, ...]:
    """Infections whose middle slices are these, the surest first."""
    boxes = [VoxelBox((index, index + 1), (12, 30), (50, 66)) for index in slices]
    pairs = zip(boxes, np.linspace(0.9, 0.5, len(boxes)), strict=True)
    found = regions(*(region(COVID, float(confidence), box) for box, confidence in pairs))
    return numbered_regions([found])


def shown(keys: tuple[KeySlice, ...]) -> list[tuple[int, int | None]]:
    return [(key.slice_index, key.region) for key in keys]


def test_without_regions_the_largest_shares() -> None:
    assert shown(key_slices(FOUND, (), 3, 0)) == [(7, None), (6, None), (8, None)]


def test_the_middles_of_the_three_surest_regions_have_a_place() -> None:
    keys = key_slices(FOUND, at(1, 11, 2, 3), 5, 0)
    assert shown(keys) == [(7, None), (6, None), (1, 1), (11, 2), (2, 3)]
    assert keys[2].activation is (FOUND.heat or ())[0]


def test_a_middle_that_is_shown_for_its_share_takes_no_second_place() -> None:
    keys = key_slices(FOUND, at(6, 1), 4, 0)
    assert shown(keys) == [(7, None), (6, None), (8, None), (1, 2)]


def test_of_two_regions_on_one_slice_it_is_shown_once() -> None:
    assert shown(key_slices(FOUND, at(1, 1), 3, 0)) == [(7, None), (6, None), (1, 1)]


@pytest.mark.parametrize("most", range(1, 12))
def test_the_slice_of_the_decision_comes_first_and_there_are_never_more(most: int) -> None:
    keys = key_slices(FOUND, at(1, 2, 3), most, 0)
    assert len(keys) == most
    assert shown(keys)[0] == (7, None)
    assert len({key.slice_index for key in keys}) == most
    fewer = {key.slice_index for key in key_slices(FOUND, at(1, 2, 3), max(1, most - 1), 0)}
    assert fewer <= {key.slice_index for key in keys}


def test_without_a_decision_the_regions_alone() -> None:
    keys = key_slices(None, at(4, 2), 10, 0)
    assert shown(keys) == [(4, 1), (2, 2)]
    assert all(key.activation is None for key in keys)


def test_there_is_always_one() -> None:
    nothing = numbered_regions([regions(region(NOTHING, 0.9))])
    assert shown(key_slices(None, nothing, 10, 5)) == [(5, None)]


def test_a_slice_that_was_not_classified_is_shown_without_heat() -> None:
    box = RowColumnBox(10, 8, 50, 72)
    one = SliceActivation(7, box, np.ones((7, 7), np.float32), 1.0)
    keys = key_slices(replace(FOUND, heat=(one,)), at(0), 10, 0)
    assert [(key.slice_index, key.activation is None) for key in keys] == [(7, False), (0, True)]
