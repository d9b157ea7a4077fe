"""Targets of the proposal head: the inverse of what proposals are decoded with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.location_attention.preprocess import RegionPreprocessing
from inference.location_attention.proposals import (
    ANCHOR_EDGES_MM,
    LARGEST_LOG_GROWTH,
    Boxes,
    decode,
    overlaps,
)
from inference.training.regions.anchors import (
    NEGATIVE,
    NEGATIVE_OVERLAP,
    POSITIVE,
    POSITIVE_OVERLAP,
    UNCOUNTED,
    AnchorTargets,
    anchor_boxes,
    assign,
    encode,
)

CELL_MM = RegionPreprocessing().cell_mm  # 3 x 2 x 2 mm
GRID = (32, 64, 64)
MAPS = (8, 16, 16)
NONE = np.zeros((0, 2, 3))

ANCHORS = len(ANCHOR_EDGES_MM) * 8 * 16 * 16
shifts = st.tuples(*(st.floats(-1, 1) for _ in range(3)))
growths = st.tuples(*(st.floats(-2, 2) for _ in range(3)))
middle = st.tuples(st.floats(4, 28), st.floats(4, 60), st.floats(4, 60))
edges = st.tuples(*(st.floats(2.5, 25) for _ in range(3)))


def _box(at: tuple[float, ...], size: tuple[float, ...]) -> Boxes:
    half = np.array(size) / 2
    return np.stack((np.array(at) - half, np.array(at) + half))


def _decoded(targets: AnchorTargets) -> Boxes:
    positive = np.flatnonzero(targets.labels == POSITIVE)
    return decode(targets.offsets, positive, CELL_MM)


@given(st.integers(0, ANCHORS - 1), shifts, growths)
def test_decoding_what_was_encoded_gives_the_box(
    anchor: int, shift: tuple[float, ...], growth: tuple[float, ...]
) -> None:
    own = anchor_boxes(MAPS, CELL_MM)[anchor]
    size = own[1] - own[0]
    box = _box(tuple(own.mean(axis=0) + size * shift), tuple(size * np.exp(growth)))
    (offsets,) = encode(box[None], own[None])
    assert offsets == pytest.approx([*shift, *growth], abs=1e-9)
    number, *cell = np.unravel_index(anchor, (len(ANCHOR_EDGES_MM), *MAPS))
    maps = np.zeros((len(ANCHOR_EDGES_MM), 6, *MAPS), np.float32)
    maps[number, :, cell[0], cell[1], cell[2]] = offsets
    assert decode(maps, np.array([anchor]), CELL_MM)[0] == pytest.approx(box, abs=1e-3)


def test_growth_beyond_what_decoding_follows_is_held() -> None:
    own = _box((10, 10, 10), (1, 1, 1))
    (offsets,) = encode(_box((10, 10, 10), (100, 1, 0.001))[None], own[None])
    assert offsets[3:].tolist() == [LARGEST_LOG_GROWTH, 0.0, -LARGEST_LOG_GROWTH]


@given(middle, edges)
def test_every_lesion_has_an_anchor_that_decodes_to_it(
    at: tuple[float, ...], size: tuple[float, ...]
) -> None:
    box = _box(at, size)
    found = _decoded(assign(box[None], NONE, GRID, CELL_MM))
    assert len(found)
    assert found == pytest.approx(np.broadcast_to(box, found.shape), abs=1e-3)


@given(middle, edges)
def test_no_anchor_of_enough_overlap_is_negative(
    at: tuple[float, ...], size: tuple[float, ...]
) -> None:
    box = _box(at, size)
    labels = assign(box[None], NONE, GRID, CELL_MM).labels.ravel()
    shared = overlaps(box, anchor_boxes(MAPS, CELL_MM))
    assert (labels[shared >= POSITIVE_OVERLAP] == POSITIVE).all()
    assert (labels[shared >= NEGATIVE_OVERLAP] != NEGATIVE).all()
    assert (labels[shared == 0] == NEGATIVE).all()


def test_an_anchor_itself_is_positive_without_offsets() -> None:
    anchors = anchor_boxes(MAPS, CELL_MM)
    chosen = int(np.ravel_multi_index((1, 4, 8, 8), (len(ANCHOR_EDGES_MM), *MAPS)))
    targets = assign(anchors[[chosen]], NONE, GRID, CELL_MM)
    assert targets.labels[1, 4, 8, 8] == POSITIVE
    assert np.abs(targets.offsets[1, :, 4, 8, 8]).max() < 1e-6


def test_a_lobe_larger_than_any_anchor_is_met_at_its_middle_alone() -> None:
    lobe = _box((16, 32, 32), (30, 56, 56))
    labels = assign(lobe[None], NONE, GRID, CELL_MM).labels
    positive = np.argwhere(labels == POSITIVE)
    assert (positive[:, 0] == len(ANCHOR_EDGES_MM) - 1).all()
    assert len(positive)
    assert (abs((positive[:, 1:] + 0.5) * 4 - lobe.mean(axis=0)) <= 0.2 * 56).all()
    assert labels[0, 4, 4, 4] == UNCOUNTED  # within the lobe


def test_of_two_lesions_an_anchor_stands_for_the_one_it_overlaps_more() -> None:
    near, far = _box((16, 32, 32), (8, 12, 12)), _box((16, 32, 44), (8, 12, 12))
    for order in ((near, far), (far, near)):
        found = _decoded(assign(np.stack(order), NONE, GRID, CELL_MM))
        best = np.array([[overlaps(each, np.stack(order)).max()] for each in found])
        assert best == pytest.approx(np.ones_like(best), abs=1e-3)
        assert len({round(float(each.mean())) for each in found}) == 2


def test_what_may_be_proposed_or_not_counts_for_nothing() -> None:
    scar = _box((16, 32, 32), (8, 12, 12))
    targets = assign(NONE, scar[None], GRID, CELL_MM)
    assert (targets.labels != POSITIVE).all()
    assert targets.labels[1, 4, 8, 8] == UNCOUNTED
    assert targets.labels[1, 0, 0, 0] == NEGATIVE
    both = assign(scar[None], scar[None], GRID, CELL_MM)
    assert (both.labels == POSITIVE).any()
