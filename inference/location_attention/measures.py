"""A candidate cube in the patient: its voxels, its centre in LPS mm, its volumes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.arrays.patient_axes import Interval, PatientView
from inference.location_attention.preprocess import RegionGrid
from inference.location_attention.proposals import Boxes
from inference.regions import VoxelBox

Box = NDArray[np.float64]
ViewBox = tuple[Interval, Interval, Interval]


def boxes_in_view(boxes: Boxes, grid: RegionGrid, view: PatientView) -> Boxes:
    """Boxes of the grid (n, 2, 3), as indices of the view's voxels, cut where the volume ends.

    The first voxel spans [-0.5, 0.5).
    """
    ends = np.array(view.hu.shape) - 0.5
    cut: Boxes = np.clip(grid.to_voxels(boxes - 0.5), -0.5, ends)
    return cut


def voxels_within(box: Box, view: PatientView) -> ViewBox:
    """The voxels of the view whose centres lie in a box (2, 3) of it, half-open, at least the one
    nearest to its middle."""
    last = np.array(view.hu.shape) - 1
    middle = np.clip(np.rint(box.mean(axis=0)), 0, last)
    low = np.clip(np.ceil(box[0]), 0, middle).astype(int).tolist()
    high = np.clip(np.floor(box[1]), middle, last).astype(int).tolist()
    return (low[0], high[0] + 1), (low[1], high[1] + 1), (low[2], high[2] + 1)


def stored_box(voxels: ViewBox, view: PatientView) -> VoxelBox:
    """A half-open box of the view in the axes of the volume as it was stored."""
    slices, rows, columns = view.stored_box(voxels)
    return VoxelBox(slices, rows, columns)


def centre_lps_mm(box: Box, view: PatientView) -> tuple[float, float, float]:
    """Patient position (LPS mm) of the middle of a box (2, 3) of the view."""
    z, y, x = box.mean(axis=0).tolist()
    return view.to_lps((z, y, x))


def box_ml(box: Box, view: PatientView) -> float:
    """Volume of a box (2, 3) of the view in millilitres."""
    return float((box[1] - box[0]).prod()) * view.voxel_ml
