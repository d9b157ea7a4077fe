from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.location_attention.preprocess import RegionPreprocessing
from inference.location_attention.proposals import (
    ANCHOR_EDGES_MM,
    Boxes,
    ProposalMaps,
    clip,
    decode,
    lung_share,
    overlaps,
    propose,
    suppress,
)

SETTINGS = RegionPreprocessing()
SHAPE = (16, 32, 48)
CELL_MM = SETTINGS.cell_mm  # 3 x 2 x 2 mm
ANCHORS = len(ANCHOR_EDGES_MM)
corner = st.tuples(*(st.integers(0, 12) for _ in range(3)))


def _box(low: tuple[float, ...], high: tuple[float, ...]) -> Boxes:
    return np.array([low, high], np.float64)


def _maps(logit: float = -20.0) -> ProposalMaps:
    quarter = tuple(length // 4 for length in SHAPE)
    return ProposalMaps(
        np.full(SHAPE, -5, np.float32),
        np.full((ANCHORS, *quarter), logit, np.float32),
        np.zeros((ANCHORS, 6, *quarter), np.float32),
    )


def _lungs() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.ones(SHAPE, np.float32)


def _flat(anchor: int, cell: tuple[int, int, int]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    shape = (ANCHORS, *(length // 4 for length in SHAPE))
    return np.array([np.ravel_multi_index((anchor, *cell), shape)])


def test_without_offsets_the_box_is_the_anchor_about_the_cells_middle() -> None:
    """Anchor of 24 mm: 8 slices of 3 mm, 12 pixels of 2 mm; the cell's middle is 4 (i + 1/2)."""
    found = decode(_maps().offsets, _flat(1, (1, 3, 5)), CELL_MM)
    assert found.tolist() == [[[6 - 4, 14 - 6, 22 - 6], [6 + 4, 14 + 6, 22 + 6]]]


def test_offsets_shift_by_edges_and_grow_by_logarithms() -> None:
    maps = _maps()
    maps.offsets[1, :, 1, 3, 5] = (0.5, 0.25, -0.25, np.log(2), 0.0, -np.log(2))
    (low, high) = decode(maps.offsets, _flat(1, (1, 3, 5)), CELL_MM)[0]
    assert (low + high) / 2 == pytest.approx([6 + 0.5 * 8, 14 + 0.25 * 12, 22 - 0.25 * 12])
    assert high - low == pytest.approx([16, 12, 6])


def test_a_wild_offset_makes_no_endless_box() -> None:
    maps = _maps()
    maps.offsets[0, 3:, 0, 0, 0] = 1e9
    low, high = decode(maps.offsets, _flat(0, (0, 0, 0)), CELL_MM)[0]
    assert (high - low) * CELL_MM == pytest.approx(12 * np.exp(2.0))


def test_clipping_leaves_nothing_of_a_box_beyond_the_grid() -> None:
    boxes = np.stack((_box((-3, 2, 2), (5, 9, 9)), _box((20, 2, 2), (30, 9, 9))))
    clipped = clip(boxes, SHAPE)
    assert clipped[0].tolist() == [[0, 2, 2], [5, 9, 9]]
    assert lung_share(clipped, _lungs()).tolist() == [1.0, 0.0]


@given(corner, corner)
def test_lung_share_is_the_mean_over_the_box(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    lungs = np.random.default_rng(0).random((12, 12, 12)).astype(np.float32)
    low, high = np.minimum(one, other), np.maximum(one, other)
    inside = lungs[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    wanted = float(inside.mean(dtype=np.float64)) if inside.size else 0.0
    found = lung_share(np.array([[low, high]], np.float64), lungs)
    assert found[0] == pytest.approx(wanted, abs=1e-9)


def test_overlap_by_hand() -> None:
    """4 x 4 x 4 shifted by 2 along one axis: 32 in common of 96."""
    first = _box((0, 0, 0), (4, 4, 4))
    others = np.stack((first, _box((2, 0, 0), (6, 4, 4)), _box((4, 0, 0), (8, 4, 4))))
    assert overlaps(first, others) == pytest.approx([1.0, 1 / 3, 0.0])


def test_suppression_keeps_the_best_of_those_that_overlap() -> None:
    boxes = np.stack(
        [_box((at, 0, 0), (at + 4, 4, 4)) for at in (0, 1, 4, 5, 20)]
    )  # 0.6 between neighbours by 1, 0 between neighbours by 4
    assert suppress(boxes, 0.2, 10) == [0, 2, 4]
    assert suppress(boxes, 0.7, 10) == [0, 1, 2, 3, 4]
    assert suppress(boxes, 0.2, 2) == [0, 2]
    assert suppress(boxes[:0], 0.2, 2) == []


@given(st.lists(corner, max_size=20), st.floats(0, 1))
def test_no_two_kept_overlap_by_more(corners: list[tuple[int, ...]], most: float) -> None:
    low = np.array(corners, np.float64).reshape(-1, 1, 3)
    boxes = np.concatenate((low, low + 5), axis=1)
    kept = suppress(boxes, most, 100)
    for at, index in enumerate(kept):
        assert (overlaps(boxes[index], boxes[kept[at + 1 :]]) <= most).all()
    assert len(boxes) == 0 or kept[0] == 0


def test_proposals_come_with_falling_scores_above_the_threshold() -> None:
    maps = _maps()
    for logit, cell in ((0.0, (1, 2, 2)), (2.0, (1, 5, 9)), (-2.0, (2, 6, 2))):
        maps.objectness[(0, *cell)] = logit
    found = propose(maps, _lungs(), SETTINGS)
    assert found.scores == pytest.approx([1 / (1 + np.exp(-2)), 0.5])
    assert found.boxes.mean(axis=1).tolist() == [[6, 22, 38], [6, 10, 10]]


def test_a_threshold_of_the_score_is_reached_not_passed() -> None:
    maps = _maps()
    maps.objectness[0, 1, 2, 2] = 0.0
    assert len(propose(maps, _lungs(), replace(SETTINGS, score_threshold=0.5)).scores) == 1
    assert len(propose(maps, _lungs(), replace(SETTINGS, score_threshold=0.51)).scores) == 0


def test_a_candidate_without_lung_is_none() -> None:
    maps = _maps()
    maps.objectness[0, 1, 2, 2] = maps.objectness[0, 1, 5, 9] = 3.0
    lungs = _lungs()
    lungs[:, :16] = 0.0
    found = propose(maps, lungs, SETTINGS)
    assert found.boxes.mean(axis=1).tolist() == [[6, 22, 38]]


@pytest.mark.parametrize("logit", [-800.0, 0.0, 800.0])
def test_a_constant_map_gives_a_bounded_number(logit: float) -> None:
    found = propose(_maps(logit), _lungs(), replace(SETTINGS, most_regions=5))
    assert len(found.scores) == (0 if logit < 0 else 5)
