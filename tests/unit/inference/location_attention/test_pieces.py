from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.errors import NetworkOutputError
from inference.location_attention.network import LocationAttention
from inference.location_attention.pieces import LEAST_CELLS, MOST_CELLS, pieces, with_lesions
from inference.location_attention.preprocess import RegionGrid
from inference.location_attention.proposals import Boxes, Maps, ProposalMaps
from inference.location_attention.tiles import NEVER, GridContext, Span, grid_context
from inference.location_attention.torch_backend import TorchRegions
from inference.networks.vnet import FINE_REACH
from inference.training.regions.initial import draw_like

SHAPE = (64, 64, 96)
CELL_MM = (3.0, 2.0, 2.0)
BOXES = np.array([[[40.3, 30, 50], [52, 41.7, 63]], [[0, 0, 0], [9, 12, 6]]])


def _box(low: tuple[int, ...], edges: tuple[int, ...], shape: tuple[int, ...] = SHAPE) -> Boxes:
    ends = np.minimum(np.add(low, edges), shape)
    return np.array([np.minimum(low, np.subtract(shape, 1)), ends], np.float64)


SOME_BOXES = st.lists(
    st.builds(
        _box,
        st.tuples(*(st.integers(0, length) for length in SHAPE)),
        st.tuples(*[st.integers(1, 60)] * 3),
    ),
    min_size=1,
    max_size=12,
).map(np.stack)


def _volume(tile: tuple[Span, ...]) -> int:
    return int(np.prod([span.stop - span.start for span in tile]))


@given(SOME_BOXES, st.sampled_from([LEAST_CELLS, 2**17, MOST_CELLS]))
def test_pieces_hold_every_box_and_what_it_sees(boxes: Boxes, most: int) -> None:
    held = np.zeros(SHAPE, np.bool_)
    for piece in pieces(boxes, SHAPE, most):
        held[tuple(slice(span.keep_start, span.keep_stop) for span in piece)] = True
        assert _volume(piece) <= most
        for span, length in zip(piece, SHAPE, strict=True):
            assert span.start % 4 == span.stop % 4 == 0
            assert span.start in {0, span.keep_start - FINE_REACH}
            assert span.stop in {length, span.keep_stop + FINE_REACH}
    for low, high in boxes.astype(int):
        assert held[tuple(map(slice, low, high))].all()


@given(SOME_BOXES)
def test_no_more_is_computed_than_for_each_box_or_all_at_once(boxes: Boxes) -> None:
    found = sum(map(_volume, pieces(boxes, SHAPE, 2**30)))
    apart = sum(_volume(pieces(box[None], SHAPE, 2**30)[0]) for box in boxes)
    around = np.stack((boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)))[None]
    assert found <= min(apart, _volume(pieces(around, SHAPE, 2**30)[0]))


def test_far_boxes_stay_apart_and_near_ones_are_joined() -> None:
    far = np.stack((_box((0, 0, 0), (8, 8, 8)), _box((56, 56, 88), (8, 8, 8))))
    near = np.stack((_box((40, 40, 40), (8, 8, 8)), _box((40, 40, 52), (8, 8, 8))))
    assert len(pieces(far, SHAPE, MOST_CELLS)) == 2
    assert len(pieces(near, SHAPE, MOST_CELLS)) == 1


def test_no_box_needs_nothing() -> None:
    assert pieces(np.zeros((0, 2, 3)), SHAPE, MOST_CELLS) == ()


@pytest.fixture(scope="module")
def network() -> LocationAttention:
    made = LocationAttention(width=2)
    made.load_state_dict(draw_like(made, 0))
    made.fold()
    return made.requires_grad_(False)


@pytest.fixture(scope="module")
def backend(network: LocationAttention) -> TorchRegions:
    return TorchRegions(network, torch.device("cpu"), 32)


@pytest.fixture(scope="module")
def grid() -> RegionGrid:
    values = np.random.default_rng(1).random(SHAPE).astype(np.float32)
    return RegionGrid(values, np.ones(SHAPE, np.float32), np.zeros(3), np.array([0.6, 2.0, 2.0]))


@pytest.fixture(scope="module")
def context(backend: TorchRegions, grid: RegionGrid) -> GridContext:
    return grid_context(backend, grid, CELL_MM, lambda _done, _total: None)


@pytest.fixture(scope="module")
def whole(network: LocationAttention, grid: RegionGrid) -> Maps:
    """The lesions of the whole grid at once."""
    found: Maps = network.segmenter(torch.from_numpy(grid.values)[None, None]).lesion[0].numpy()
    return found


Lesions = Callable[[Boxes, int], ProposalMaps]


@pytest.fixture(scope="module")
def lesions(backend: TorchRegions, grid: RegionGrid, context: GridContext) -> Lesions:
    def run(boxes: Boxes, most: int) -> ProposalMaps:
        return with_lesions(backend, grid, context, boxes, lambda _done, _total: None, most)

    return run


def _computed(lesion: Maps) -> NDArray[np.bool_]:
    return lesion > NEVER


@pytest.mark.parametrize("most", [LEAST_CELLS, MOST_CELLS])
def test_lesions_of_pieces_are_those_of_the_whole_grid(
    lesions: Lesions, whole: Maps, most: int
) -> None:
    found = lesions(BOXES, most).lesion
    there = _computed(found)
    assert 0.01 < there.mean() < 0.3
    assert whole[there].std() > 0.01
    assert np.allclose(found[there], whole[there], atol=1e-5)


def test_the_lesions_reach_a_voxel_beyond_the_box(lesions: Lesions) -> None:
    """A voxel of the volume is 1 / 0.6 cells thick, and half a cell across."""
    there = _computed(lesions(BOXES[:1], MOST_CELLS).lesion)
    for axis, (low, high) in enumerate(((40 - 3, 52 + 3), (30 - 2, 42 + 2), (50 - 2, 63 + 2))):
        found = np.flatnonzero(there.any(axis=tuple({0, 1, 2} - {axis})))
        assert found[0] in range(low - 3, low + 1)
        assert found[-1] in range(high - 1, high + 3)


def test_without_a_candidate_nothing_is_computed(lesions: Lesions, context: GridContext) -> None:
    found = lesions(np.zeros((0, 2, 3)), MOST_CELLS)
    assert (found.lesion == NEVER).all()
    assert found.objectness is context.maps.objectness


def test_progress_tells_of_pieces(
    backend: TorchRegions, grid: RegionGrid, context: GridContext
) -> None:
    told: list[tuple[int, int]] = []
    with_lesions(backend, grid, context, BOXES, lambda *step: told.append(step))
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_a_lesion_map_that_is_not_finite_is_a_named_error(
    grid: RegionGrid, context: GridContext
) -> None:
    made = LocationAttention(width=2)
    with torch.no_grad():
        made.segmenter.voxel.weight.fill_(float("inf"))
    bad = TorchRegions(made.requires_grad_(False), torch.device("cpu"), 32)
    with pytest.raises(NetworkOutputError, match="lesion map is not finite"):
        with_lesions(bad, grid, context, BOXES, lambda _done, _total: None)
