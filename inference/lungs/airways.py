"""The trachea and the main bronchi, followed slice by slice from the head downwards.

The lumen is darker than lung and walled off from it, so on a slice it is a component of its own.
It is followed while its section stays as small as an airway's; a section that opens into the lung
is too large and ends the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import (
    Labels,
    Mask,
    bounding_box,
    dilate_in_plane,
    label_in_plane,
    sizes,
)

LUMEN_HU = -850
"""Air in the trachea, partial volume of its wall included, lies below this."""
TRACHEA_MM2 = (60.0, 900.0)
"""Section of an adult or child's trachea with room on both sides (adults: 120 to 550 mm2)."""
AIRWAYS_MM2 = 1000.0
"""Both main bronchi at the carina together stay below this; a section above it is lung."""
ROUND = 3.0
"""Ratio of the principal axes up to which a section may be a trachea (a sabre sheath has 2)."""
OFF_MIDLINE_MM = 45.0
"""The trachea may lie this far from the middle of the body, in each direction in the slice."""
SHORTEST_MM = 25.0
"""A shorter way is no trachea (sinus, pharynx, oesophagus)."""
BELOW_CARINA_MM = 35.0
"""Length of the main bronchi; further down the airways belong to the lung."""
STEP_MM = 3.0
"""An oblique bronchus moves by about this much beyond its own section between two slices."""


@dataclass(frozen=True)
class Grid:
    """Spacing of the grid in mm; `headwards` is True when slice indices rise towards the head."""

    slice_mm: float
    pixel_mm: tuple[float, float]
    headwards: bool

    @property
    def pixel_mm2(self) -> float:
        """Area of one pixel in mm2."""
        return self.pixel_mm[0] * self.pixel_mm[1]

    def pixels(self, millimetres: float) -> int:
        """A length in the slice in pixels, rounded, at least 1."""
        return max(1, round(millimetres / float(np.mean(self.pixel_mm))))

    def downwards(self, slices: int) -> range:
        """Slice indices from the head to the feet."""
        return range(slices - 1, -1, -1) if self.headwards else range(slices)


def find_airways(hu: NDArray[np.float32], body: Mask, grid: Grid) -> Mask:
    """Lumen of the trachea and the main bronchi, bool (slices, rows, columns); may be empty.

    `hu`: on `grid`; `body`: filled in-plane, so that air outside the patient is left out.
    """
    sections = label_in_plane((hu < LUMEN_HU) & body)
    seeds = _trachea_sections(sections, body, grid)
    areas = sizes(sections) * grid.pixel_mm2
    for index in grid.downwards(hu.shape[0]):
        if not seeds[sections.on_slice(index)].any():
            continue
        way = _follow(sections, areas, seeds, index, grid)
        if np.count_nonzero(way.any(axis=(1, 2))) * grid.slice_mm >= SHORTEST_MM:
            return way
    return np.zeros(hu.shape, np.bool_)


def _trachea_sections(sections: Labels, body: Mask, grid: Grid) -> Mask:
    """Which labels have the area, the roundness and the place of a trachea's section."""
    _, run_row, run_column = sections.runs.places
    length = sections.runs.lengths
    number = np.maximum(sizes(sections), 1)
    row_mm, column_mm = grid.pixel_mm

    def mean(of_runs: NDArray[Any]) -> NDArray[np.float64]:
        """Over each label's voxels, of a value that is the same in each run."""
        return np.bincount(sections.of, of_runs * length, sections.count + 1) / number

    rows, columns = run_row * row_mm, (run_column + (length - 1) / 2) * column_mm
    row, column = mean(rows), mean(columns)
    rows, columns = rows - row[sections.of], columns - column[sections.of]
    within = (length**2 - 1) / 12 * column_mm**2  # of the voxels of a run about its middle
    var_r, var_c, cov = mean(rows**2), mean(columns**2 + within), mean(rows * columns)
    spread = np.sqrt(((var_r - var_c) / 2) ** 2 + cov**2)
    middle_var = (var_r + var_c) / 2
    is_round = middle_var + spread <= ROUND**2 * np.maximum(
        middle_var - spread, grid.pixel_mm2 / 12
    )
    area = number * grid.pixel_mm2
    middle = _middle(body, grid)
    near = (abs(row - middle[0]) < OFF_MIDLINE_MM) & (abs(column - middle[1]) < OFF_MIDLINE_MM)
    chosen: Mask = (area > TRACHEA_MM2[0]) & (area < TRACHEA_MM2[1]) & is_round & near
    chosen[0] = False
    return chosen


def _middle(body: Mask, grid: Grid) -> tuple[float, float]:
    """Middle of the body's box over all slices (rows, columns) in mm."""
    _, *box = bounding_box(body)
    row, column = ((e.start + e.stop - 1) / 2 * s for e, s in zip(box, grid.pixel_mm, strict=True))
    return row, column


def _follow(
    sections: Labels, areas: NDArray[np.floating[Any]], seeds: Mask, start: int, grid: Grid
) -> Mask:
    """The way down from the seeds of slice `start` until no section of an airway's size follows."""
    way = np.zeros(sections.runs.shape, np.bool_)
    way[start] = seeds[sections.on_slice(start)]
    previous, below_carina = start, 0.0
    order = grid.downwards(len(way))
    for index in order[order.index(start) + 1 :]:
        reach = dilate_in_plane(way[previous : previous + 1], grid.pixels(STEP_MM))[0]
        labels = sections.on_slice(index)
        met = np.unique(labels[reach])
        met = met[(met > 0) & (areas[met] < AIRWAYS_MM2)]
        below_carina += grid.slice_mm if below_carina or len(met) > 1 else 0.0
        if not len(met) or areas[met].sum() > AIRWAYS_MM2 or below_carina > BELOW_CARINA_MM:
            break
        way[index] = np.isin(labels, met)
        previous = index
    return way
