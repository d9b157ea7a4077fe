"""The segmenter over a grid of any size, in overlapping tiles, so that memory is that of a tile.

A V-Net sees 551 cells (Milletari et al. 2016, table 1), more than any tile: near its border a tile
is not what the whole grid would give. Each cell is therefore taken from the tile in which it lies
furthest from a cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import torch

from inference.errors import NetworkOutputError
from inference.location_attention import Segmenter
from inference.region_preprocess import MULTIPLE
from inference.regions import ANCHOR_EDGES_MM, STRIDE, Maps, ProposalMaps

LARGEST = (64, 160, 160)
"""Cells of a tile: about the 128 x 128 x 64 of Milletari et al. 2016; at most 1 GiB of maps."""
OVERLAP = 16
"""Cells that neighbouring tiles share at least."""


@dataclass(frozen=True)
class Span:
    """One axis of a tile: what is computed, and the part of it that is kept (cells of the grid)."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


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


def segment(
    segmenter: Segmenter,
    values: Maps,
    device: torch.device,
    tell: Callable[[int, int], None],
    largest: tuple[int, int, int] = LARGEST,
) -> ProposalMaps:
    """Maps of a whole grid, from `values`, float32 (slices, rows, columns), 0 to 1.

    `tell` hears how many tiles are done and how many there are; `largest`: cells of a tile,
    multiples of 16 above OVERLAP. Raises NetworkOutputError when
    a map is not finite.
    """
    slices, rows, columns = (length // STRIDE for length in values.shape)
    anchors = len(ANCHOR_EDGES_MM)
    maps = ProposalMaps(
        np.empty(values.shape, np.float32),
        np.empty((anchors, slices, rows, columns), np.float32),
        np.empty((anchors, 6, slices, rows, columns), np.float32),
    )
    tiles = list(_tiles(values.shape, largest))
    for done, tile in enumerate(tiles):
        tell(done, len(tiles))
        _fill(maps, segmenter, values, tile, device)
    tell(len(tiles), len(tiles))
    return maps


def _tiles(shape: tuple[int, ...], largest: tuple[int, int, int]) -> Iterator[tuple[Span, ...]]:
    along = (spans(cells, most) for cells, most in zip(shape, largest, strict=True))
    return product(*along)


def _fill(
    maps: ProposalMaps,
    segmenter: Segmenter,
    values: Maps,
    tile: tuple[Span, ...],
    device: torch.device,
) -> None:
    """Compute one tile, keep its part of each map."""
    whole = tuple(slice(span.start, span.stop) for span in tile)
    found = segmenter(torch.from_numpy(values[whole])[None, None].to(device))
    for name, into, one, cell in (
        ("lesion", maps.lesion, found.lesion, 1),
        ("objectness", maps.objectness, found.objectness, STRIDE),
        ("offsets", maps.offsets, found.offsets, STRIDE),
    ):
        if not bool(torch.isfinite(one).all()):
            raise NetworkOutputError(f"the segmenter's {name} map is not finite")
        slices, rows, columns = (_kept(span, cell) for span in tile)
        kept = one[0][..., _within(tile[0], cell), _within(tile[1], cell), _within(tile[2], cell)]
        into[..., slices, rows, columns] = kept.float().cpu().numpy()


def _kept(span: Span, cell: int) -> slice:
    """The part kept, in a map whose cells are `cell` of the grid's."""
    return slice(span.keep_start // cell, span.keep_stop // cell)


def _within(span: Span, cell: int) -> slice:
    """The same in the map of the tile alone."""
    return slice((span.keep_start - span.start) // cell, (span.keep_stop - span.start) // cell)
