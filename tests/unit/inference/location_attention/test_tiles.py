from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from inference.errors import NetworkOutputError
from inference.location_attention.network import Context, LocationAttention
from inference.location_attention.preprocess import RegionGrid
from inference.location_attention.tiles import (
    LEAST_EDGE,
    MOST_CELLS,
    NEVER,
    OVERLAP,
    GridContext,
    anchors_with_lung,
    grid_context,
    spans,
    tiling,
)
from inference.location_attention.torch_backend import TorchRegions
from support.blob_network import blob_network

CPU = torch.device("cpu")
CELL_MM = (3.0, 2.0, 2.0)
AXIS = st.integers(1, 20).map(lambda sixteens: 16 * sixteens)


@given(st.integers(1, 64), st.integers(2, 12))
def test_spans_fill_the_axis_once_and_overlap(sixteens: int, largest: int) -> None:
    cells, most = sixteens * 16, largest * 16
    found = spans(cells, most)
    assert [s.keep_start for s in found] == [0, *(s.keep_stop for s in found[:-1])]
    assert found[-1].keep_stop == cells
    for span in found:
        assert 0 <= span.start <= span.keep_start < span.keep_stop <= span.stop <= cells
        assert span.start % 16 == 0
        assert (span.stop - span.start) % 16 == 0
        assert span.stop - span.start <= most
        assert span.keep_start % 4 == span.keep_stop % 4 == 0
    for one, after in pairwise(found):
        assert one.stop - after.start >= OVERLAP


@given(st.tuples(AXIS, AXIS, AXIS), st.integers(LEAST_EDGE**3, 2**22))
def test_tiles_keep_every_cell_once_and_none_is_too_large(
    shape: tuple[int, int, int], most: int
) -> None:
    tiles = tiling(shape, most)
    sizes = [prod(span.stop - span.start for span in tile) for tile in tiles]
    kept = [prod(span.keep_stop - span.keep_start for span in tile) for tile in tiles]
    assert max(sizes) <= most
    assert sum(kept) == prod(shape)


def test_a_chest_is_one_tile() -> None:
    """Lungs of 33 x 22 x 31 cm, with the margins: a large man's."""
    assert len(tiling((112, 128, 144))) == 1
    assert MOST_CELLS >= 112 * 128 * 144


def test_a_grid_that_does_not_fit_is_cut_where_least_is_computed_twice() -> None:
    """Across the longest axis: OVERLAP cells of the smallest face."""
    tiles = tiling((64, 64, 256), 64 * 64 * 144)
    assert len(tiles) == 2
    assert {(span.start, span.stop) for tile in tiles for span in tile[:2]} == {(0, 64)}


def _grid(shape: tuple[int, int, int], seed: int = 0) -> RegionGrid:
    """Lung everywhere."""
    values = np.random.default_rng(seed).random(shape).astype(np.float32)
    return RegionGrid(values, np.ones(shape, np.float32), np.zeros(3), np.ones(3))


def _backend(network: LocationAttention | None = None) -> TorchRegions:
    made = network or blob_network()
    made.fold()
    return TorchRegions(made.requires_grad_(False), CPU, 32)


@dataclass
class Followed(TorchRegions):
    """The real backend on a device with room for so many cells; the shapes that it was asked."""

    inner: TorchRegions
    room: int = MOST_CELLS
    asked: list[int] = field(default_factory=list)

    def context(self, values: Tensor) -> Context:
        self.asked.append(values.numel())
        if values.numel() > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return self.inner.context(values)


def _context(
    grid: RegionGrid, most: int, backend: TorchRegions | None = None
) -> tuple[GridContext, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    made = backend or _backend()
    return grid_context(made, grid, CELL_MM, lambda *step: told.append(step), most), told


def _same(one: GridContext, other: GridContext) -> bool:
    return (
        np.allclose(one.maps.objectness, other.maps.objectness, atol=1e-4)
        and np.allclose(one.maps.offsets, other.maps.offsets, atol=1e-4)
        and torch.allclose(one.half, other.half, atol=1e-4)
        and torch.allclose(one.quarter, other.quarter, atol=1e-4)
    )


def test_tiles_of_a_network_that_sees_its_own_cell_are_the_whole() -> None:
    grid = _grid((48, 32, 64))
    whole, told_once = _context(grid, MOST_CELLS)
    tiled, told = _context(grid, 32**3)
    assert _same(tiled, whole)
    assert told_once == [(0, 1), (1, 1)]
    assert told == [(done, 2 * 1 * 3) for done in range(7)]


def _one_lung() -> RegionGrid:
    """In the first 32 of 128 columns."""
    grid = _grid((32, 32, 128))
    lungs = np.zeros_like(grid.lungs)
    lungs[..., :32] = 0.5
    return RegionGrid(grid.values * lungs, lungs, grid.origin, grid.step)


def test_tiles_without_lung_in_reach_are_left_out_and_change_nothing() -> None:
    """The anchor of 48 mm reaches 12 cells of 2 mm beyond its own cell's middle."""
    grid = _one_lung()
    followed = Followed(_backend())
    found, told = _context(grid, 32**3, followed)
    every, _ = _context(grid, MOST_CELLS)
    assert told[-1] == (len(followed.asked),) * 2
    assert len(followed.asked) < len(tiling(grid.values.shape, 32**3))
    assert np.allclose(found.maps.objectness, every.maps.objectness, atol=1e-4)
    assert (found.maps.objectness > NEVER).sum() == anchors_with_lung(grid.lungs, CELL_MM).sum() > 0


def test_an_anchor_proposes_where_it_holds_lung() -> None:
    """One cell of lung, at (33, 33, 33); the anchors of 12, 24 and 48 mm there, by hand."""
    lungs = np.zeros((64, 64, 64), np.float32)
    lungs[33, 33, 33] = 0.01
    near = anchors_with_lung(lungs, CELL_MM)
    assert near.shape == (3, 16, 16, 16)
    along = [np.flatnonzero(near[each].any(axis=(0, 1))).tolist() for each in range(3)]
    assert along == [[8], [7, 8, 9], [5, 6, 7, 8, 9, 10]]
    slices = [np.flatnonzero(near[each].any(axis=(1, 2))).tolist() for each in range(3)]
    assert slices == [[8], [7, 8], [6, 7, 8, 9]]


def test_without_room_for_a_tile_smaller_ones_are_tried() -> None:
    grid = _grid((32, 48, 48))
    followed = Followed(_backend(), room=32 * 32 * 48)
    found, _ = _context(grid, grid.values.size, followed)
    whole, _ = _context(grid, grid.values.size)
    assert _same(found, whole)
    assert followed.asked[0] == grid.values.size
    assert followed.asked[-1] <= followed.room


def test_without_room_for_the_smallest_tile_the_error_is_the_callers() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        _context(_grid((32, 32, 64)), 2**20, Followed(_backend(), 32**3 - 1))


@pytest.mark.parametrize("layer", ["objectness", "offsets"])
def test_an_output_that_is_not_finite_is_a_named_error(layer: str) -> None:
    network = blob_network()
    with torch.no_grad():
        getattr(network.segmenter, layer).bias.fill_(float("nan"))
    with pytest.raises(NetworkOutputError, match=f"{layer} map is not finite"):
        _context(_grid((16, 16, 16)), MOST_CELLS, _backend(network))


def test_a_grid_without_lung_is_no_grid() -> None:
    grid = _grid((16, 16, 16))
    empty: NDArray[np.float32] = np.zeros_like(grid.lungs)
    with pytest.raises(ValueError, match="without lung"):
        _context(RegionGrid(grid.values, empty, grid.origin, grid.step), MOST_CELLS)
