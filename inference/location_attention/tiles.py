"""The segmenter over a grid of any size, in overlapping tiles, so that memory is that of a tile.

A chest is one tile; what is larger (a finer grid, a small GPU) is several. A V-Net sees 551 cells
(Milletari et al. 2016, table 1), more than a tile: near its border a tile is not what the whole
grid would give. Each cell is therefore taken from the tile in which it lies furthest from a cut.

Our own choice: an anchor that holds no lung proposes nothing, so that a tile without lung, nor any
within reach, need not be computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod
from types import EllipsisType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.backends.batches import with_less_room
from inference.errors import NetworkOutputError
from inference.location_attention.backend import RegionBackend
from inference.location_attention.network import Context
from inference.location_attention.preprocess import MULTIPLE, RegionGrid
from inference.location_attention.proposals import (
    ANCHOR_EDGES_MM,
    STRIDE,
    Maps,
    ProposalMaps,
    clip,
    decode,
    lung_share,
)
from inference.networks.vnet import FINE_REACH

MOST_CELLS = 2**21
"""Of a tile: 6 litres in cells of 3 x 2 x 2 mm is half of it; about 0.7 GiB of maps."""
LEAST_EDGE = 32
"""Cells along each axis of the smallest tile; less would be all overlap."""
OVERLAP = 16
"""Cells that neighbouring tiles share at least."""
NEVER = -100.0
"""Log-odds of what was not computed, for it cannot be."""

Tile = tuple["Span", ...]
Part = tuple[EllipsisType | slice, ...]
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Span:
    """One axis of a tile: what is computed, and the part of it that is kept (cells of the grid)."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def whole(tile: Tile, cell: int = 1) -> Part:
    """What is computed, in a map of the whole grid whose cells are `cell` of the grid's."""
    return ..., *(slice(span.start // cell, span.stop // cell) for span in tile)


def kept(tile: Tile, cell: int = 1) -> Part:
    """The part kept, in the same map."""
    return ..., *(slice(span.keep_start // cell, span.keep_stop // cell) for span in tile)


def within(tile: Tile, cell: int = 1) -> Part:
    """The part kept, in the map of the tile alone."""
    both = ((span.keep_start - span.start, span.keep_stop - span.start) for span in tile)
    return ..., *(slice(low // cell, high // cell) for low, high in both)


@dataclass(frozen=True, eq=False)
class GridContext:
    """What the segmenter makes of a whole grid (d, h, w), all but the lesions.

    `maps`: for `regions.propose`, its lesion NEVER anywhere; `half`: (1, 2 width, d / 2, …) and
    `quarter`: (1, 8 width, d / 4, …), as `VNet.context` has them, on the backend's device.
    """

    maps: ProposalMaps
    half: Tensor
    quarter: Tensor


def spans(cells: int, largest: int) -> tuple[Span, ...]:
    """Equal tiles along one axis of `cells`, a multiple of 16; the kept parts fill it exactly."""
    number = 1 if cells <= largest else -(-(cells - OVERLAP) // (largest - OVERLAP))
    size = -(-(cells + (number - 1) * OVERLAP) // number // MULTIPLE) * MULTIPLE
    size = min(size, largest, cells)
    gaps = max(number - 1, 1)
    starts = [(cells - size) * each // gaps // MULTIPLE * MULTIPLE for each in range(number)]
    cuts = [(start + size + after) // 2 // STRIDE * STRIDE for start, after in pairwise(starts)]
    return tuple(
        Span(start, start + size, low, high)
        for start, low, high in zip(starts, [0, *cuts], [*cuts, cells], strict=True)
    )


def tiling(shape: tuple[int, ...], most_cells: int = MOST_CELLS) -> tuple[Tile, ...]:
    """The tiles that compute the fewest cells in all; of as many cells, the fewest tiles.

    None has more than `most_cells`, or, where that is less, than LEAST_EDGE cells along each axis.
    """
    ways = product(*(_ways(cells) for cells in shape))
    most = max(most_cells, LEAST_EDGE ** len(shape))
    fitting = (way for way in ways if prod(_size(axis) for axis in way) <= most)
    best = min(fitting, key=lambda way: (prod(map(_computed, way)), prod(map(len, way))))
    return tuple(product(*best))


def _ways(cells: int) -> set[tuple[Span, ...]]:
    """All the ways to cut one axis."""
    largest = range(LEAST_EDGE, max(cells, LEAST_EDGE) + 1, MULTIPLE)
    return {spans(cells, each) for each in largest}


def _size(axis: tuple[Span, ...]) -> int:
    return axis[0].stop - axis[0].start


def _computed(axis: tuple[Span, ...]) -> int:
    return len(axis) * _size(axis)


def grid_context(
    backend: RegionBackend,
    grid: RegionGrid,
    cell_mm: tuple[float, float, float],
    on_progress: Told,
    most_cells: int = MOST_CELLS,
) -> GridContext:
    """Tile by tile, with tiles half as large each time the device has no room for one.

    `on_progress`: how many tiles are done, of how many.

    Raises:
        NetworkOutputError: a map is not finite.
        torch.OutOfMemoryError: there is no room for the smallest tile.
    """
    near = anchors_with_lung(grid.lungs, cell_mm)

    def run(most: int) -> GridContext:
        return _in_tiles(backend, grid, cell_mm, tiling(grid.values.shape, most), on_progress)

    found = with_less_room(run, most_cells, LEAST_EDGE**3)
    found.maps.objectness[~near] = NEVER
    return found


def anchors_with_lung(lungs: Maps, cell_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Bool (anchors, d / 4, h / 4, w / 4) from the part of each cell (d, h, w) that is lung."""
    shape = (len(ANCHOR_EDGES_MM), *(length // STRIDE for length in lungs.shape))
    nowhere = np.broadcast_to(np.float32(0), (shape[0], 6, *shape[1:]))
    anchors = decode(nowhere, np.arange(prod(shape)), cell_mm)
    held = lung_share(clip(anchors, lungs.shape), (lungs > 0).astype(np.float32))
    return (held > 0).reshape(shape)


def _in_tiles(
    backend: RegionBackend,
    grid: RegionGrid,
    cell_mm: tuple[float, float, float],
    tiles: tuple[Tile, ...],
    on_progress: Told,
) -> GridContext:
    used = [tile for tile in tiles if _lung_in_reach(tile, grid.lungs, cell_mm)]
    made: GridContext | None = None
    for done, tile in enumerate(used):
        on_progress(done, len(used))
        values = torch.from_numpy(grid.values[whole(tile)])
        found = backend.context(values[None, None])
        made = made or _empty(found, grid.values.shape)
        _keep(found, tile, made)
    on_progress(len(used), len(used))
    if made is None:
        raise ValueError("a grid without lung has nothing to compute")
    return made


def _lung_in_reach(tile: Tile, lungs: Maps, cell_mm: tuple[float, float, float]) -> bool:
    """Whether what is kept of a tile can bear on a proposal, or on a lesion in the lung."""
    parts = []
    for span, mm in zip(tile, cell_mm, strict=True):
        reach = max(FINE_REACH, int(max(ANCHOR_EDGES_MM) / 2 / mm) + 1)
        parts.append(slice(max(span.keep_start - reach, 0), span.keep_stop + reach))
    return bool(lungs[tuple(parts)].any())


def _empty(like: Context, shape: tuple[int, ...]) -> GridContext:
    """Room for the whole grid's maps, of the kind of a tile's."""
    halves, quarters = ([length // cell for length in shape] for cell in (2, STRIDE))
    anchors = like.objectness.shape[1]
    return GridContext(
        ProposalMaps(
            np.broadcast_to(np.float32(NEVER), shape),
            np.full((anchors, *quarters), NEVER, np.float32),
            np.zeros((anchors, 6, *quarters), np.float32),
        ),
        like.half.new_zeros(1, like.half.shape[1], *halves),
        like.quarter.new_zeros(1, like.quarter.shape[1], *quarters),
    )


def _keep(found: Context, tile: Tile, into: GridContext) -> None:
    """Of each map the part that the tile is kept for."""
    for name, one, all_of_it in (
        ("objectness", found.objectness, into.maps.objectness),
        ("offsets", found.offsets, into.maps.offsets),
    ):
        if not bool(torch.isfinite(one).all()):
            raise NetworkOutputError(f"the segmenter's {name} map is not finite")
        all_of_it[kept(tile, STRIDE)] = one[0][within(tile, STRIDE)].float().cpu().numpy()
    into.quarter[kept(tile, STRIDE)] = found.quarter[within(tile, STRIDE)]
    into.half[kept(tile, 2)] = found.half[within(tile, 2)]
