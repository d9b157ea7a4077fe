"""What of a network's labels is lung.

What lies outside the body goes, as do pieces too small for a lobe; holes shut on all sides are
filled; the trachea and the main bronchi come out. Body and airways are found in the HU, as for
the classical method.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import (
    Mask,
    bounding_box,
    dilate_in_plane,
    erode_in_plane,
    fill_volume,
    label_volume,
    select,
    sizes,
)
from inference.lungs.chest import Box, CoarseBody, each_slab
from inference.lungs.thresholds import SMALLEST_PART

Labels = NDArray[np.uint8]
Places = NDArray[np.intp]
Scalar = TypeVar("Scalar", bound=np.generic)


def tidied(fine: Labels, coarse: Labels, chest: CoarseBody, *, in_place: bool = False) -> Mask:
    """Lungs of fine labels (slices, rows, columns), stored axes, and of the network's own grid.

    What lies well within a large piece of the coarse labels is lung; near it, what has a label.
    Slice by slice: of all voxels there is no mask but the last, and that takes the place of `fine`
    where it may be written `in_place`. Two masks on one grid are the bits of one.
    """
    at = _places(fine.shape, coarse.shape)
    rows, columns = (np.arange(length) // chest.factor for length in fine.shape[1:])
    box, pieces = _within_and_near(coarse, chest, fine.shape)
    of_chest = _bits(chest.body, chest.walled)
    _, down, across = (
        slice(*np.searchsorted(places, (side.start, side.stop)))
        for places, side in zip(at, box, strict=True)
    )
    near_rows, near_columns = at[1][down] - box[1].start, at[2][across] - box[2].start
    lungs = fine.view(np.bool_) if in_place else np.empty(fine.shape, np.bool_)

    def draw(part: slice) -> None:
        for index in range(part.start, part.stop):
            piece = pieces[at[0][index]]
            found: NDArray[np.uint8] | None = None
            if piece.any():
                here = _spread(piece, near_rows, near_columns)
                of_slice = chest.on_slice(index, of_chest)
                there = _spread(of_slice, rows[down], columns[across])
                labelled = here & there & (fine[index, down, across] > 0)
                found = (labelled | here >> np.uint8(1)) & ~(there >> np.uint8(1))
            lungs[index] = False
            if found is not None:
                lungs[index, down, across] = found

    each_slab(draw, len(fine))
    return lungs


def _within_and_near(
    coarse: Labels, chest: CoarseBody, shape: tuple[int, ...]
) -> tuple[Box, Labels]:
    """Of the large pieces of the labels in the body: a box with all that is near them, every slice
    of it, and in that box where one is near and where it is within. `shape`: of the fine labels."""
    mask = _in_body(coarse, chest, shape)
    box = _with_an_edge(mask)
    large = _large_pieces(mask[box])
    return box, _bits(dilate_in_plane(large, 1), erode_in_plane(large, 1))


def _in_body(coarse: Labels, chest: CoarseBody, shape: tuple[int, ...]) -> Mask:
    slices, *within = _places(coarse.shape, shape)
    rows, columns = (places // chest.factor for places in within)
    mask = np.empty(coarse.shape, np.bool_)
    for index, labels in enumerate(coarse):
        mask[index] = (labels > 0) & _spread(
            chest.on_slice(slices[index], chest.body), rows, columns
        )
    return mask


def _with_an_edge(mask: Mask) -> Box:
    """The box about a mask and one pixel more in-plane, where there is one."""
    _, *sides = bounding_box(mask)
    rows, columns = (
        slice(max(0, side.start - 1), min(length, side.stop + 1))
        for side, length in zip(sides, mask.shape[1:], strict=True)
    )
    return slice(0, len(mask)), rows, columns


def _large_pieces(coarse: Mask) -> Mask:
    """With their holes filled."""
    labels = label_volume(coarse)
    counts = sizes(labels)
    return fill_volume(select(labels, counts >= max(1.0, counts.max() * SMALLEST_PART)))


def _places(shape: tuple[int, ...], cells: tuple[int, ...]) -> tuple[Places, ...]:
    """Of each pixel of a grid, its place on another of so many cells; along each axis."""
    pairs = zip(shape, cells, strict=True)
    return tuple(np.arange(length) * number // length for length, number in pairs)


def _spread(mask: NDArray[Scalar], rows: Places, columns: Places) -> NDArray[Scalar]:
    """Each pixel from the row and the column named for it."""
    for axis, places in ((-2, rows), (-1, columns)):
        if not np.array_equal(places, np.arange(mask.shape[axis])):
            mask = mask.take(places, axis)
    return mask


def _bits(first: Mask, second: Mask) -> Labels:
    return first.view(np.uint8) | second.view(np.uint8) << np.uint8(1)
