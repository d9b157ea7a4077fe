"""From a volume to the V-Net's grid: the lungs' box, resampled, windowed, masked with the lungs.

Xu et al. 2020 extract the pulmonary region first (sections 2.2 and 2.3) and refer for how to an
earlier study without such detail: window, spacing and margin are our own choice, and a card's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import bounding_box
from inference.arrays.patient_axes import PatientView
from inference.arrays.resample import taps, triangular_weights
from inference.errors import NoLungsError, VolumeError

MULTIPLE = 16
"""Cells of the grid along each axis are a multiple of this (`vnet.STRIDE`)."""
MOST_CELLS = 1024
"""Along one axis: more is no patient, but a spacing that is wrong."""


@dataclass(frozen=True)
class RegionPreprocessing:
    """What a card of the task `regions` says; a change of any of it changes the results."""

    hu_low: float = -1250.0
    """HU that becomes 0, for the V-Net and for the patches."""
    hu_high: float = 250.0
    """HU that becomes 1."""
    grid_slice_mm: float = 3.0
    """Spacing of the V-Net's grid along the patient's height."""
    grid_pixel_mm: float = 2.0
    """Spacing of the V-Net's grid along rows and columns."""
    margin_mm: float = 10.0
    """Room about the lungs' bounding box."""
    score_threshold: float = 0.3
    """Least score of a candidate; low, because the paper wants many (section 3.3.2)."""
    largest_overlap: float = 0.2
    """Intersection over union above which the candidate with the lower score goes."""
    most_regions: int = 32
    """Candidates at most: the paper's cases had 6.4 on average (3957 in 618)."""
    patch_size: int = 96
    """Rows and columns of a patch as the ResNet-18 sees it."""
    distance_scale: float = 10.0
    """Factor that brings the relative distance to the order of the features (section 2.5.2)."""

    def problems(self) -> tuple[str, ...]:
        """What makes these values unusable; empty when nothing does."""
        found = []
        if not -2000 <= self.hu_low < self.hu_high <= 4000:
            found.append(f"window {self.hu_low} to {self.hu_high} HU is not one")
        if self.patch_size % 32 or not 32 <= self.patch_size <= 512:
            found.append(f"patch_size {self.patch_size} is not a multiple of 32 from 32 to 512")
        if not 1 <= self.most_regions <= 256:
            found.append(f"most_regions {self.most_regions} is not within 1 to 256")
        limits = {
            "grid_slice_mm": (1.0, 10.0),
            "grid_pixel_mm": (1.0, 10.0),
            "margin_mm": (0.0, 50.0),
            "score_threshold": (0.0, 1.0),
            "largest_overlap": (0.0, 1.0),
            "distance_scale": (0.0, 1000.0),
        }
        for name, (low, high) in limits.items():
            if not low <= (value := getattr(self, name)) <= high:
                found.append(f"{name} {value} is not within {low:g} to {high:g}")
        return tuple(found)

    @property
    def cell_mm(self) -> tuple[float, float, float]:
        """Size of a cell of the grid along slices, rows and columns."""
        return self.grid_slice_mm, self.grid_pixel_mm, self.grid_pixel_mm


@dataclass(frozen=True, eq=False)
class RegionGrid:
    """The V-Net's input and where it lies in the view it was made from.

    `values`: float32 (slices, rows, columns), 0 to 1, 0 outside the lungs, each axis a multiple
    of 16; `lungs`: float32 of the same shape, part of each cell that is lung. Cell i has its
    centre at index `origin + i * step` of the view's voxels.
    """

    values: NDArray[np.float32]
    lungs: NDArray[np.float32]
    origin: NDArray[np.float64]
    step: NDArray[np.float64]

    def to_voxels(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions (…, 3) as indices of cells, as indices of the view's voxels."""
        return self.origin + position * self.step


def windowed(hu: NDArray[np.int16], settings: RegionPreprocessing) -> NDArray[np.float32]:
    """HU as 0 to 1 between the window's ends."""
    scaled = (hu.astype(np.float32) - settings.hu_low) / (settings.hu_high - settings.hu_low)
    clipped: NDArray[np.float32] = np.clip(scaled, 0.0, 1.0, dtype=np.float32)
    return clipped


def region_grid(view: PatientView, settings: RegionPreprocessing) -> RegionGrid:
    """Slice by slice, so that memory is that of the grid, for 30 slices and for 1000.

    Raises:
        NoLungsError: the mask is empty.
        VolumeError: the grid would be wider than MOST_CELLS.
    """
    if not view.lungs.any():
        raise NoLungsError("lungs", 0.0, view.voxel_ml, "ml")
    box = bounding_box(view.lungs)
    cells, origin, step = _placed(view, box, settings)

    def lungs(at: int) -> NDArray[np.float32]:
        return view.lungs[at, box[1], box[2]].astype(np.float32)

    def seen(at: int) -> NDArray[np.float32]:
        return windowed(view.hu[at, box[1], box[2]], settings) * lungs(at)

    values, share = (on_cells(each, box, cells, origin, step) for each in (seen, lungs))
    return RegionGrid(values, share, origin, step)


def on_cells(
    section: Callable[[int], NDArray[np.float32]],
    box: tuple[slice, slice, slice],
    cells: tuple[int, ...],
    origin: NDArray[np.float64],
    step: NDArray[np.float64],
) -> NDArray[np.float32]:
    """What of a view lies within `box`, 0 elsewhere, as the cells of a grid.

    `section`: gives float32 (rows, columns) of the box for a slice of the view; `origin`, `step`:
    as in `RegionGrid`.
    """
    first = origin - [part.start for part in box]  # of the cells, as an index within the box
    slices, rows, columns = (part.stop - part.start for part in box)
    along = triangular_weights(slices, cells[0], first[0], step[0])
    down = taps(rows, cells[1], first[1], step[1])
    across = taps(columns, cells[2], first[2], step[2])
    made = np.zeros(cells, np.float32)
    for at in range(slices):
        touched = np.flatnonzero(along[:, at])
        here = across.across(down.down(section(box[0].start + at)))
        made[touched] += along[touched, at, None, None] * here
    return made


def _placed(
    view: PatientView, box: tuple[slice, slice, slice], settings: RegionPreprocessing
) -> tuple[tuple[int, int, int], NDArray[np.float64], NDArray[np.float64]]:
    """Cells along each axis, and origin and step; the middle of the grid is that of the lungs."""
    cells, origin, step = [], [], []
    for part, voxel_mm, cell_mm in zip(box, view.spacing_mm, settings.cell_mm, strict=True):
        extent_mm = (part.stop - part.start) * voxel_mm + 2 * settings.margin_mm
        number = math.ceil(extent_mm / cell_mm / MULTIPLE) * MULTIPLE
        if number > MOST_CELLS:
            raise VolumeError(f"lungs of {extent_mm:.0f} mm need {number} cells, over {MOST_CELLS}")
        cells.append(number)
        step.append(cell_mm / voxel_mm)
        origin.append((part.start + part.stop - 1) / 2 - (number - 1) / 2 * step[-1])
    return (cells[0], cells[1], cells[2]), np.array(origin), np.array(step)
