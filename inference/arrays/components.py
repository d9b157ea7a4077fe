"""Connected components and morphology of masks, in-plane or in the volume.

Masks are bool (slices, rows, columns). In-plane means that no slice sees its neighbours, so that
a result does not depend on the slice spacing. Radii are in pixels: the caller knows the mm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.arrays import morphology

Mask = NDArray[np.bool_]
Positions = NDArray[np.intp]
Pairs = tuple[Positions, Positions]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Runs:
    """The stretches of True of a mask along its rows, in order: `starts`, and `ends` behind them.

    Positions count the mask's voxels as if each row had one column more, so that no stretch goes
    on into the next row. A mask has far fewer stretches than voxels, and what holds of a stretch
    need not be looked at voxel by voxel.
    """

    shape: tuple[int, int, int]
    starts: Positions
    ends: Positions

    @property
    def lengths(self) -> Positions:
        """Voxels of each."""
        return self.ends - self.starts

    @property
    def places(self) -> tuple[Positions, Positions, Positions]:
        """Slice, row and first column of each."""
        _, rows, columns = self.shape
        line, column = np.divmod(self.starts, columns + 1)
        return *np.divmod(line, rows), column

    def overlaps(self, which: Positions, offset: int) -> Pairs:
        """Each of `which`, moved by `offset`, with each that it then lies upon: two of a kind."""
        first = np.searchsorted(self.ends, self.starts[which] + offset, "right")
        behind = np.searchsorted(self.starts, self.ends[which] + offset, "left")
        number = behind - first
        earlier = np.cumsum(number) - number
        others = np.arange(number.sum()) + (first - earlier).repeat(number)
        return which.repeat(number), others

    def painted(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """An array of the mask's shape: of each run its own of `values`, 0 between them."""
        slices, rows, columns = self.shape
        turns = np.column_stack((self.starts, self.ends)).reshape(-1)
        bounds = np.concatenate(([0], turns, [slices * rows * (columns + 1)]))
        each = np.zeros(len(bounds) - 1, values.dtype)
        each[1::2] = values
        lines = each.repeat(np.diff(bounds)).reshape(slices, rows, columns + 1)
        return np.ascontiguousarray(lines[:, :, :columns])


@dataclass(frozen=True, eq=False)
class Labels:
    """Connected components of a mask: `of`, the label of each of its runs, from 1 to `count`.

    They count in the order of their first voxels; 0 is outside.
    """

    runs: Runs
    of: Positions
    count: int

    def array(self) -> NDArray[np.int32]:
        """Label of each voxel: int32 (slices, rows, columns)."""
        return self.runs.painted(self.of.astype(np.int32))

    def on_slice(self, index: int) -> NDArray[np.int32]:
        """Label of each voxel of one slice: int32 (rows, columns); that of all takes much room."""
        _, rows, columns = self.runs.shape
        first = index * rows * (columns + 1)
        here = slice(*np.searchsorted(self.runs.starts, (first, first + rows * (columns + 1))))
        runs = Runs(
            (1, rows, columns), self.runs.starts[here] - first, self.runs.ends[here] - first
        )
        painted: NDArray[np.int32] = runs.painted(self.of[here].astype(np.int32))[0]
        return painted


def runs_of(mask: Mask) -> Runs:
    """Runs of bool (slices, rows, columns)."""
    slices, rows, columns = mask.shape
    flat = np.zeros(slices * rows * (columns + 1) + 1, np.bool_)
    flat[1:].reshape(slices, rows, columns + 1)[:, :, :columns] = mask
    turns = np.flatnonzero(flat[1:] != flat[:-1])
    return Runs((slices, rows, columns), turns[::2], turns[1::2])


def label_in_plane(mask: Mask) -> Labels:
    """Label each slice's 4-connected components; labels are unique over all slices."""
    runs = runs_of(mask)
    return _numbered(runs, _joined_in_plane(runs))


def label_volume(mask: Mask) -> Labels:
    """Label the 6-connected components of the volume."""
    runs = runs_of(mask)
    _, rows, columns = runs.shape
    every = np.arange(len(runs.starts))
    above = runs.overlaps(every, rows * (columns + 1))
    return _numbered(runs, _joined(_joined_in_plane(runs), above))


def _joined_in_plane(runs: Runs) -> Positions:
    _, rows, columns = runs.shape
    _, row, _ = runs.places
    return _joined(
        np.arange(len(runs.starts)), runs.overlaps(np.flatnonzero(row < rows - 1), columns + 1)
    )


def _joined(first: Positions, pairs: Pairs) -> Positions:
    """Of each run the first of its component; `first` knows some, `pairs` of runs touch.

    In each round a component becomes part of the earliest of those that it touches, if that is
    earlier than itself. So no chain closes, and two rounds leave at most half of the components
    that touch another: who is left after the first is, in the second, left only as the earliest
    neighbour of one who went.
    """
    one, other = (first[each] for each in pairs)
    while len(one):
        apart = one != other
        one, other = one[apart], other[apart]
        np.minimum.at(first, np.maximum(one, other), np.minimum(one, other))
        first = _roots(first)
        one, other = first[one], first[other]
    return first


def _roots(first: Positions) -> Positions:
    """The end of each chain."""
    while not np.array_equal(further := first[first], first):
        first = further
    return first


def _numbered(runs: Runs, first: Positions) -> Labels:
    numbers = np.cumsum(first == np.arange(len(first)))
    return Labels(runs, numbers[first], int(numbers[-1]) if len(numbers) else 0)


def sizes(labels: Labels) -> NDArray[np.int64]:
    """Voxels of each label (labels + 1,); the entry of label 0 is 0."""
    counts = np.bincount(labels.of, labels.runs.lengths, labels.count + 1)
    return counts.astype(np.int64)


def means(labels: Labels, values: NDArray[Any], where: Mask) -> NDArray[np.float64]:
    """Mean of `values` over each label's voxels that lie in `where`; NaN for a label without.

    `where`: True only within the mask.
    """
    within = runs_of(where)
    of = labels.of[np.searchsorted(labels.runs.starts, within.starts, "right") - 1]
    counts = np.bincount(of, within.lengths, labels.count + 1)
    chosen = values[where]
    first = np.cumsum(within.lengths) - within.lengths
    sums = np.add.reduceat(chosen, first, dtype=np.float64) if len(first) else chosen
    totals = np.bincount(of, sums, labels.count + 1)
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)


def select(labels: Labels, keep: Mask) -> Mask:
    """Voxels whose label is chosen by `keep` (labels + 1,); label 0 never is."""
    return labels.runs.painted(keep[labels.of])


def bounding_box(mask: Mask) -> tuple[slice, slice, slice]:
    """Half-open box of the True voxels; of an empty mask, an empty box."""
    extents = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    box = [slice(int(e[0]), int(e[-1]) + 1) if len(e) else slice(0, 0) for e in extents]
    return box[0], box[1], box[2]


def largest(mask: Mask) -> Mask:
    """The largest 6-connected component of the volume; an empty mask stays empty."""
    labels = label_volume(mask)
    counts = sizes(labels)
    return select(labels, np.arange(len(counts)) == counts.argmax())


def fill_in_plane(mask: Mask) -> Mask:
    """Fill what a slice's mask shuts off from the slice's border (4-connected)."""
    return _filled(mask, label_in_plane, faces=False)


def fill_volume(mask: Mask) -> Mask:
    """Fill the holes that are shut on all sides; what reaches a face of the volume stays open."""
    return _filled(mask, label_volume, faces=True)


def _filled(mask: Mask, label: Callable[[Mask], Labels], *, faces: bool) -> Mask:
    """With all but what reaches the border of each slice and, if asked for, the outer slices.

    Beyond the box of the mask all is open, so what reaches the border of the box is.
    """
    box = bounding_box(mask)
    around = label(~mask[box])
    index, row, column = around.runs.places
    slices, rows, columns = around.runs.shape
    behind = column + around.runs.lengths
    at_border = (row == 0) | (row == rows - 1) | (column == 0) | (behind == columns)
    if faces:
        at_border |= (index == 0) | (index == slices - 1)
    outside = np.zeros(around.count + 1, np.bool_)
    outside[around.of[at_border]] = True
    filled = mask.copy()
    filled[box] |= select(around, ~outside)
    return filled


def dilate_in_plane(mask: Mask, radius: int) -> Mask:
    """Dilate each slice by a disc of `radius` pixels."""
    return morphology.dilated(mask, radius)


def erode_in_plane(mask: Mask, radius: int) -> Mask:
    """Erode each slice by a disc of `radius` pixels; the border of the slice erodes nothing."""
    return morphology.eroded(mask, radius)


def open_in_plane(mask: Mask, radius: int) -> Mask:
    """Erode, then dilate: what is thinner than the disc goes."""
    return morphology.opened(mask, radius)


def close_in_plane(mask: Mask, radius: int) -> Mask:
    """Dilate, then erode: gaps narrower than the disc are filled, up to the slice's border."""
    return morphology.closed(mask, radius)
