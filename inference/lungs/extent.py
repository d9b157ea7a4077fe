"""How much lung there is, on which side, over which height, and whether the series cuts it off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask
from inference.volume import CtVolume

LEAST_SECTION_MM2 = 100.0
"""A slice with less lung than a disc of 11 mm does not count as a slice with lung."""
TISSUE_ABOVE_HU = -500
"""What is denser belongs to the body, whose middle parts right from left."""
SAMPLE_MM = 4.0
"""Step at which the body is sampled for its middle."""
LEAST_COLUMN_SHARE = 0.2
"""A column with less tissue than this part of the fullest is table, tube or blanket."""


@dataclass(frozen=True)
class LungExtent:
    """Lungs in a series; right and left are the patient's.

    `slices_with_lung`: those with more than a speck. `height_mm`: from the first of these to the
    last, both included. `top_cut_mm2`, `base_cut_mm2`: area of lung on the series' slice nearest
    the head and the feet: what the series cuts through there. `largest_section_mm2`: over all.
    """

    right_ml: float
    left_ml: float
    slices_with_lung: int
    height_mm: float
    top_cut_mm2: float
    base_cut_mm2: float
    largest_section_mm2: float

    @property
    def total_ml(self) -> float:
        return self.right_ml + self.left_ml


def measure_extent(volume: CtVolume, lungs: Mask) -> LungExtent:
    """Extent of the mask `lungs`, bool (slices, rows, columns) of `volume`, an axial series.

    Right and left are parted at the body's middle, the same column for all slices.

    Raises:
        ValueError: the mask's shape is another than the volume's.
    """
    if lungs.shape != volume.hu.shape:
        raise ValueError(f"lungs are {lungs.shape}, the volume is {volume.hu.shape}")
    slice_mm, row_mm, column_mm = volume.spacing_mm
    by_column = lungs.sum(axis=1)  # (slices, columns)
    areas = by_column.sum(axis=1) * row_mm * column_mm
    first, last = _halves(by_column.sum(axis=0), _middle_column(volume, areas))
    right, left = (first, last) if volume.affine[0, 2] > 0 else (last, first)
    base, top = (0, -1) if volume.affine[2, 0] > 0 else (-1, 0)
    there = np.flatnonzero(areas > LEAST_SECTION_MM2)
    return LungExtent(
        right_ml=right * volume.voxel_ml,
        left_ml=left * volume.voxel_ml,
        slices_with_lung=len(there),
        height_mm=float(there[-1] + 1 - there[0]) * slice_mm if len(there) else 0.0,
        top_cut_mm2=float(areas[top]),
        base_cut_mm2=float(areas[base]),
        largest_section_mm2=float(areas.max()),
    )


def _halves(by_column: NDArray[np.int64], middle: float) -> tuple[int, int]:
    """Voxels before and from the middle column on."""
    border = round(middle)
    return int(by_column[:border].sum()), int(by_column[border:].sum())


def _middle_column(volume: CtVolume, areas: NDArray[np.float64]) -> float:
    """Half-way between the outermost columns of the body on the slices with most lung.

    The body's outline, not its centre of mass: a lung that is airless or gone adds mass to one
    side only.
    """
    _, row_mm, column_mm = volume.spacing_mm
    widest = np.argsort(areas)[-5:]
    rows, columns = max(1, round(SAMPLE_MM / row_mm)), max(1, round(SAMPLE_MM / column_mm))
    body = (volume.hu[widest, ::rows, ::columns] > TISSUE_ABOVE_HU).sum(axis=(0, 1))  # (columns,)
    filled = np.flatnonzero(body >= LEAST_COLUMN_SHARE * body.max(initial=1))
    if not len(filled):
        return float(volume.hu.shape[2]) / 2
    return (int(filled[0]) + int(filled[-1]) + 1) / 2 * columns
