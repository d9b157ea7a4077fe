"""Which lung is the right one: by its place in the patient, whatever found the mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import (
    Mask,
    dilate_in_plane,
    erode_in_plane,
    label_volume,
    select,
    sizes,
)
from inference.arrays.patient_axes import patient_view
from inference.regions import Side, VoxelBox
from inference.volume import CtVolume

Sides = NDArray[np.uint8]


GRID_MM = 3.0
"""Pixel size at which the lungs are told apart."""
TOUCHING_MM = (0.0, 3.0, 6.0, 9.0)
"""Erosions tried, in turn, to part lungs that touch."""
SECOND_LUNG_PART = 0.1
"""From this part of the largest piece on, a piece can be the other lung."""
APART_MM = 40.0
"""The middles of two lungs lie at least so far apart, from right to left."""
ONE_SIDED = 0.85
"""Lung of which this part lies on one side of the body's middle is one lung."""
TISSUE_ABOVE_HU = -500
LEAST_COLUMN_PART = 0.2
"""A column with less tissue than this part of the fullest is table, tube or blanket."""


@dataclass(frozen=True, eq=False)
class SideCells:
    """Sides of a mask by the coarse cell; fine ones are made of it where they are asked for, as
    those of a whole volume take as much memory as its mask.

    `lungs`: bool (slices, rows, columns); `cells`: values of `Side`, in the same axes; `cell_of`:
    along each axis, the cell of each index.
    """

    lungs: Mask
    cells: Sides
    cell_of: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]

    def within(self, box: VoxelBox) -> Sides:
        """Side of each voxel of the box: uint8 of its shape, values of `Side` or 0."""
        cells = [self.cell_of[axis][part] for axis, part in enumerate(box.part)]
        sides = self.cells[np.ix_(*cells)]
        return np.multiply(sides, self.lungs[box.part], out=sides)

    def on_slice(self, index: int) -> Sides:
        """Side of each voxel of a slice: uint8 (rows, columns), values of `Side` or 0."""
        slices, rows, columns = self.cell_of
        cells = self.cells[slices[index]].take(rows, axis=0)
        sides: Sides = np.multiply(cells.take(columns, axis=1), self.lungs[index])
        return sides


def side_cells(volume: CtVolume, lungs: Mask) -> SideCells:
    """Which lung each voxel of the mask belongs to, by its place.

    `lungs`: bool, of the volume's shape. Two pieces far enough apart are a lung each; lungs that
    touch are parted by erosion or, where that fails, at the middle of the body. One piece on one
    side of it is one lung.

    Raises:
        ValueError: `lungs` is of another shape.
    """
    view = patient_view(volume, lungs)  # columns go to the patient's left
    _, row_mm, column_mm = view.spacing_mm
    steps = 1, max(1, round(GRID_MM / row_mm)), max(1, round(GRID_MM / column_mm))
    coarse = np.ascontiguousarray(view.lungs[:, :: steps[1], :: steps[2]])
    tissue = view.hu[:: max(1, len(coarse) // 20), :: steps[1], :: steps[2]] > TISSUE_ABOVE_HU
    left = _left(coarse, tissue, column_mm * steps[2])
    cells = np.where(left, np.uint8(Side.LEFT), np.uint8(Side.RIGHT))
    cell_of = [np.zeros(0, np.intp)] * 3
    for axis, length in enumerate(view.lungs.shape):
        along = np.arange(length) // steps[axis]
        cell_of[view.order[axis]] = along[::-1] if view.flipped[axis] else along
    slices, rows, columns = cell_of
    stored = np.ascontiguousarray(cells.transpose(np.argsort(view.order)))
    return SideCells(lungs, stored, (slices, rows, columns))


def lung_sides(volume: CtVolume, lungs: Mask) -> Sides:
    """Side of each voxel of the mask: uint8 (slices, rows, columns), values of `Side` or 0.

    Raises:
        ValueError: `lungs` is of another shape.
    """
    cells = side_cells(volume, lungs)
    sides = np.empty(lungs.shape, np.uint8)
    for index, of_slice in enumerate(sides):
        of_slice[:] = cells.on_slice(index)
    return sides


def _left(lungs: Mask, tissue: Mask, column_mm: float) -> Mask:
    """Which pixels lie on the left lung's side; columns go to the left."""
    if not lungs.any():
        return np.zeros(lungs.shape, np.bool_)
    for radius_mm in TOUCHING_MM:
        radius = round(radius_mm / column_mm)
        parted = _two_cores(erode_in_plane(lungs, radius), column_mm)
        if parted is not None:
            return _nearer_to_left(*parted, radius)
    middle = _body_middle(tissue)
    is_left = np.arange(lungs.shape[2]) >= middle
    share = float(lungs[:, :, is_left].sum() / lungs.sum())
    if max(share, 1 - share) >= ONE_SIDED:
        return np.full(lungs.shape, share > 0.5)
    return np.broadcast_to(is_left, lungs.shape)


def _two_cores(lungs: Mask, column_mm: float) -> tuple[Mask, Mask] | None:
    """The two largest pieces, right then left; None when they are no two lungs."""
    labels = label_volume(lungs)
    counts = sizes(labels)
    if len(counts) < 3:
        return None
    first, second = (int(label) for label in np.argsort(counts)[:-3:-1])
    if counts[second] < SECOND_LUNG_PART * counts[first]:
        return None
    one, other = (select(labels, np.arange(len(counts)) == label) for label in (first, second))
    middles = _middle_column(one), _middle_column(other)
    if abs(middles[0] - middles[1]) * column_mm < APART_MM:
        return None
    return (one, other) if middles[0] < middles[1] else (other, one)


def _nearer_to_left(right: Mask, left: Mask, radius: int) -> Mask:
    """What the left core alone reaches; what both or neither reach, by the middle between them."""
    reach = radius + 1
    near_right, near_left = dilate_in_plane(right, reach), dilate_in_plane(left, reach)
    columns = np.arange(right.shape[2])
    middle = (_middle_column(right) + _middle_column(left)) / 2
    beyond = np.broadcast_to(columns >= middle, right.shape)
    is_left: Mask = np.where(near_left == near_right, beyond, near_left)
    return is_left


def _middle_column(mask: Mask) -> float:
    by_column = mask.sum(axis=(0, 1))
    columns = np.arange(len(by_column))
    total = int((columns * by_column).sum())
    return total / int(by_column.sum())


def _body_middle(tissue: Mask) -> float:
    """Half-way between the outermost columns of the body."""
    columns = tissue.sum(axis=(0, 1))
    filled = np.flatnonzero(columns >= LEAST_COLUMN_PART * columns.max(initial=1))
    if not len(filled):
        return float(tissue.shape[2]) / 2
    return float(filled[0] + filled[-1] + 1) / 2
