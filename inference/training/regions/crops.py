"""Pieces of a scan's grid with their lesions, drawn for the segmenter to learn from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inference.location_attention.proposals import Boxes, clip
from inference.training.regions.data import LESION, UNCOUNTED, Cells, StoredGrid

Values = NDArray[np.float32]

STILL_WHOLE = 0.5
"""Part of a lesion's box within the piece from which it is to be proposed there."""
GAIN, OFFSET, NOISE = 0.1, 0.04, 0.03
"""Bounds of the change of contrast, of brightness and of the noise's deviation, in windows."""


@dataclass(frozen=True, eq=False)
class Crop:
    """`values`: float32 (slices, rows, columns), 0 to 1; `truth`, `counts`: float32 of the same
    shape, whether a cell is lesion, and whether that is known and the cell holds lung;
    `lesions`, `uncounted`: boxes (n, 2, 3), in cells of the piece."""

    values: Values
    truth: Values
    counts: Values
    lesions: Boxes
    uncounted: Boxes


def crop(grid: StoredGrid, start: Cells, size: Cells, irrelevant: int) -> Crop:
    """The piece of `size` cells from `start` on; beyond the grid there is nothing.

    `irrelevant`: index of the class that is no infection.
    """
    values, lungs, truth = (grid.cut(name, start, size) for name in ("values", "lungs", "truth"))
    boxes, part = _boxes(grid.boxes - np.array(start), size)
    wanted = (grid.classes != irrelevant) & (part >= STILL_WHOLE)
    known = grid.known & (lungs > 0) & (truth != UNCOUNTED)
    return Crop(
        values.astype(np.float32) / np.float32(255),
        (truth == LESION).astype(np.float32),
        known.astype(np.float32),
        boxes[wanted],
        boxes[~wanted & (part > 0)],
    )


def drawn_crop(
    random: np.random.Generator, grid: StoredGrid, size: Cells, irrelevant: int, lesion: bool
) -> Crop:
    """A piece at random, flipped at random along each axis; about a lesion if one is asked for
    and there; its contrast, brightness and noise changed a little."""
    start = _start(random, grid, size, irrelevant, lesion)
    drawn = crop(grid, start, size, irrelevant)
    for axis in np.flatnonzero(random.random(3) < 0.5):
        drawn = flipped(drawn, int(axis))
    return replace(drawn, values=_scanned(random, drawn.values))


def _start(
    random: np.random.Generator, grid: StoredGrid, size: Cells, irrelevant: int, lesion: bool
) -> Cells:
    last = np.maximum(np.array(grid.shape) - size, 0)
    low, high = np.zeros(3, np.intp), last
    infections = np.flatnonzero(grid.classes != irrelevant)
    if lesion and len(infections):
        middle = grid.boxes[random.choice(infections)].mean(axis=0)
        low = np.clip(np.ceil(middle - size), 0, last).astype(np.intp)
        high = np.clip(np.floor(middle), low, last).astype(np.intp)
    z, y, x = random.integers(low, high + 1).tolist()
    return z, y, x


def flipped(piece: Crop, axis: int) -> Crop:
    """The piece turned round along one axis, its boxes as well."""
    values, truth, counts = (
        np.ascontiguousarray(np.flip(each, axis))
        for each in (piece.values, piece.truth, piece.counts)
    )
    lesions, uncounted = (
        _turned(boxes, axis, piece.values.shape[axis]) for boxes in (piece.lesions, piece.uncounted)
    )
    return Crop(values, truth, counts, lesions, uncounted)


def _turned(boxes: Boxes, axis: int, length: int) -> Boxes:
    turned = boxes.copy()
    turned[:, :, axis] = length - boxes[:, ::-1, axis]
    return turned


def _scanned(random: np.random.Generator, values: Values) -> Values:
    """Another scanner's contrast, brightness and noise, in the lungs alone."""
    gain = 1.0 + random.uniform(-GAIN, GAIN)
    noise = random.standard_normal(values.shape, np.float32) * random.uniform(0.0, NOISE)
    changed = values * gain + random.uniform(-OFFSET, OFFSET) + noise
    scanned: Values = np.where(values > 0, np.clip(changed, 0.0, 1.0), 0.0).astype(np.float32)
    return scanned


def _boxes(boxes: Boxes, size: Cells) -> tuple[Boxes, NDArray[np.float64]]:
    """The part of each box within the piece, and which part of its volume that is."""
    inside = clip(boxes, size)
    whole = (boxes[:, 1] - boxes[:, 0]).prod(axis=1)
    part: NDArray[np.float64] = (inside[:, 1] - inside[:, 0]).prod(axis=1) / whole
    return inside, part
