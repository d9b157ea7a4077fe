"""The lesions' map, computed where the candidates are and nowhere else.

The finest right stages of the V-Net are more than half of its work, and only tell lesion from
background within a candidate: they see no more than FINE_REACH cells beyond it. So they run on
pieces cut about the candidates, which gives the same numbers as running on the whole grid. Pieces
that overlap are joined where that is less to compute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from inference.backends.batches import with_less_room
from inference.errors import NetworkOutputError
from inference.location_attention.backend import RegionBackend
from inference.location_attention.preprocess import RegionGrid
from inference.location_attention.proposals import STRIDE, Boxes, Maps, ProposalMaps
from inference.location_attention.tiles import (
    NEVER,
    GridContext,
    Span,
    Tile,
    Told,
    kept,
    whole,
    within,
)
from inference.networks.vnet import FINE_REACH

MOST_CELLS = 2**20
"""Of a piece with what it sees about it: half a GiB of maps."""
LEAST_CELLS = 2**15
"""Of the smallest piece, of which 8 x 8 x 8 cells are kept."""

Cores = NDArray[np.int64]


def with_lesions(
    backend: RegionBackend,
    grid: RegionGrid,
    context: GridContext,
    boxes: Boxes,
    on_progress: Told,
    most_cells: int = MOST_CELLS,
) -> ProposalMaps:
    """The maps of `context`, with the lesions in the candidates' boxes and NEVER elsewhere.

    `boxes`: float64 (n, 2, 3), cells of the grid; about them it is computed as far as an
    interpolation to the volume's voxels reaches. `on_progress`: how many pieces are done and how
    many there are.

    Raises:
        NetworkOutputError: the map is not finite.
        torch.OutOfMemoryError: there is no room for the smallest piece.
    """
    margin = np.ceil(np.maximum(1.0, 1.0 / grid.step)) + 1.0  # a voxel, or a cell, and rounding
    wide = boxes + np.stack((-margin, margin))

    def run(most: int) -> ProposalMaps:
        lesion = np.full(grid.values.shape, NEVER, np.float32)
        cut = pieces(wide, lesion.shape, most)
        for done, piece in enumerate(cut):
            on_progress(done, len(cut))
            _fill(lesion, backend, grid.values, context, piece)
        on_progress(len(cut), len(cut))
        return replace(context.maps, lesion=lesion)

    return with_less_room(run, most_cells, LEAST_CELLS)


def _fill(
    lesion: Maps, backend: RegionBackend, values: Maps, context: GridContext, piece: Tile
) -> None:
    image = torch.from_numpy(values[whole(piece)])
    half, quarter = context.half[whole(piece, 2)], context.quarter[whole(piece, STRIDE)]
    found = backend.lesion(image[None, None], half, quarter)[0].numpy()
    if not np.isfinite(found).all():
        raise NetworkOutputError("the segmenter's lesion map is not finite")
    lesion[kept(piece)] = found[within(piece)]


def pieces(boxes: Boxes, shape: tuple[int, ...], most_cells: int) -> tuple[Tile, ...]:
    """Tiles whose kept parts hold all the boxes (n, 2, 3), none with more than `most_cells`.

    Less than LEAST_CELLS cannot be asked for.
    """
    if not len(boxes):
        return ()
    low = np.floor(boxes[:, 0]) // STRIDE * STRIDE
    high = -(-np.ceil(boxes[:, 1]) // STRIDE) * STRIDE
    cores = np.clip(np.stack((low, high), axis=1), 0, shape).astype(np.int64)
    joined = _joined(cores, shape)
    around = np.stack((cores[:, 0].min(axis=0), cores[:, 1].max(axis=0)))[None]
    if cells(around, shape).sum() <= cells(joined, shape).sum():
        joined = around
    return tuple(
        _tile(small, shape) for core in joined for small in _halved(core, shape, most_cells)
    )


def cells(cores: Cores, shape: tuple[int, ...]) -> Cores:
    """To compute for each of `cores` (…, 2, 3), with what it sees about it: (…)."""
    low = np.maximum(cores[..., 0, :] - FINE_REACH, 0)
    high = np.minimum(cores[..., 1, :] + FINE_REACH, shape)
    found: Cores = (high - low).prod(axis=-1)
    return found


def _joined(cores: Cores, shape: tuple[int, ...]) -> Cores:
    """The same with the two joined that save most, as long as any two save anything."""
    while len(cores) > 1:
        low = np.minimum(cores[:, None, 0], cores[None, :, 0])
        high = np.maximum(cores[:, None, 1], cores[None, :, 1])
        both = np.stack((low, high), axis=2)  # (n, n, 2, 3)
        apart = cells(cores, shape)
        saved = apart[:, None] + apart[None] - cells(both, shape)
        np.fill_diagonal(saved, -1)
        one, other = np.unravel_index(saved.argmax(), saved.shape)
        if saved[one, other] < 0:
            break
        cores = np.concatenate((np.delete(cores, (one, other), axis=0), both[one, other][None]))
    return cores


def _halved(core: Cores, shape: tuple[int, ...], most_cells: int) -> Iterator[Cores]:
    """The core, or its halves, cut across the longest edge, until none is too large."""
    edges = core[1] - core[0]
    axis = int(edges.argmax())
    if cells(core, shape) <= most_cells or edges[axis] <= 2 * STRIDE:
        yield core
        return
    middle = core[0, axis] + edges[axis] // 2 // STRIDE * STRIDE
    for side in (1, 0):
        part = core.copy()
        part[side, axis] = middle
        yield from _halved(part, shape, most_cells)


def _tile(core: Cores, shape: tuple[int, ...]) -> Tile:
    return tuple(
        Span(max(low - FINE_REACH, 0), min(high + FINE_REACH, length), low, high)
        for low, high, length in zip(*core.tolist(), shape, strict=True)
    )
