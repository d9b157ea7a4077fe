"""A candidate cube in the patient: its voxels, its centre in LPS mm, its volumes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.patient_axes import PatientView
from inference.region_findings import VoxelBox
from inference.region_preprocess import RegionGrid
from inference.regions import Boxes, Maps

Box = NDArray[np.float64]


def boxes_in_view(boxes: Boxes, grid: RegionGrid, view: PatientView) -> Boxes:
    """Boxes of the grid (n, 2, 3), as indices of the view's voxels, cut where the volume ends.

    The first voxel spans [-0.5, 0.5).
    """
    ends = np.array(view.hu.shape) - 0.5
    cut: Boxes = np.clip(grid.to_voxels(boxes - 0.5), -0.5, ends)
    return cut


def stored_voxels(box: Box, view: PatientView) -> VoxelBox:
    """The voxels whose centres lie in a box (2, 3) of the view, at least the one nearest to its
    middle, in the axes of the volume as it was stored."""
    last = np.array(view.hu.shape) - 1
    middle = np.clip(np.rint(box.mean(axis=0)), 0, last)
    low = np.clip(np.ceil(box[0]), 0, middle).astype(int)
    high = np.clip(np.floor(box[1]), middle, last).astype(int)
    inside = tuple((int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
    slices, rows, columns = view.stored_box((inside[0], inside[1], inside[2]))
    return VoxelBox(slices, rows, columns)


def centre_lps_mm(box: Box, view: PatientView) -> tuple[float, float, float]:
    """Patient position (LPS mm) of the middle of a box (2, 3) of the view."""
    z, y, x = box.mean(axis=0).tolist()
    return view.to_lps((z, y, x))


def box_ml(box: Box, view: PatientView) -> float:
    """Volume of a box (2, 3) of the view in millilitres."""
    return float((box[1] - box[0]).prod()) * view.voxel_ml


def lesion_ml(box: Box, lesion: Maps, grid: RegionGrid, view: PatientView) -> float:
    """Lung in the cells of a box (2, 3) of the grid that is more likely lesion than not, in ml.

    `lesion`: float32, log-odds by cell of the grid.
    """
    low, high = np.rint(box).astype(int)
    inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    share = grid.lungs[inside][lesion[inside] > 0].sum(dtype=np.float64)
    return float(share) * view.voxel_ml * float(grid.step.prod())
