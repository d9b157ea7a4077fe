"""A scan as location attention learns it: the V-Net's grid with what is true of each cell, and
the slices that patches are cut from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from inference.arrays.components import Mask, bounding_box
from inference.arrays.patient_axes import PatientView, patient_view
from inference.location_attention.preprocess import (
    RegionGrid,
    RegionPreprocessing,
    on_cells,
    region_grid,
    windowed,
)
from inference.location_attention.proposals import Boxes
from inference.training.plan import PreparedScan
from inference.training.regions.lesion_truth import Lesion, lesions_of
from inference.training.scan import LoadedScan

NOTHING, LESION, UNCOUNTED = 0, 1, 2
"""What is true of a cell; an irrelevant lesion may be held for one or not."""
LEAST_SHARE = 0.5
"""Part of a cell's lung that is lesion where the cell is."""
AROUND_MM = 60.0
"""Kept about the lungs' bounding box, for patches reach beyond it."""

Cells = tuple[int, int, int]
Bytes = NDArray[np.uint8]


def region_tensors(
    scan: LoadedScan, lungs: Mask, label: str, classes: Sequence[str], settings: RegionPreprocessing
) -> dict[str, Tensor]:
    """What is kept of a scan, `lungs` those that will be found in use.

    `values`, `lungs`: uint8 (slices, rows, columns) of the grid, 255 times those of `RegionGrid`;
    `truth`: uint8 likewise; `boxes`: float64 (n, 2, 3), of the lesions, in cells from the grid's
    edge; `classes`: int64 (n,), the last of `classes` is the irrelevant one; `known`: bool (1,),
    False where there are boxes and no mask; and what `stored_view` reads.

    Raises:
        LesionTruthError
        NoLungsError, VolumeError: as `region_grid`.
    """
    view = patient_view(scan.volume, lungs)
    grid = region_grid(view, settings)
    lesions = lesions_of(scan, view, label, classes)
    boxes = [to_grid(lesion.box, grid) for lesion in lesions]
    return {
        "values": _bytes(grid.values),
        "lungs": _bytes(grid.lungs),
        "truth": torch.from_numpy(_truth(scan, view, grid, lesions, len(classes) - 1)),
        "boxes": torch.from_numpy(np.array(boxes, np.float64).reshape(-1, 2, 3)),
        "classes": torch.tensor([lesion.class_index for lesion in lesions], dtype=torch.int64),
        "known": torch.tensor([scan.lesions is not None or not lesions]),
        **_view_tensors(view, lesions, settings),
    }


def to_grid(box: NDArray[np.float64], grid: RegionGrid) -> Boxes:
    """A box (2, 3) of voxels of the view, in cells from the grid's edge."""
    cells: Boxes = (box - grid.origin) / grid.step + 0.5
    return cells


class StoredGrid:
    """The grid of a prepared scan, read piece by piece: `shape` in cells, `boxes`, `classes` and
    `known` as in `region_tensors`."""

    def __init__(self, prepared: PreparedScan) -> None:
        self._file = prepared.file
        self.boxes: Boxes = prepared.tensor("boxes").numpy()
        self.classes: NDArray[np.int64] = prepared.tensor("classes").numpy()
        self.known = bool(prepared.tensor("known"))
        with safe_open(self._file, "pt") as stored:
            slices, rows, columns = stored.get_slice("values").get_shape()
        self.shape: Cells = (slices, rows, columns)

    def cut(self, name: str, start: Cells, size: Cells) -> Bytes:
        """`values`, `lungs` or `truth` of a piece; 0 beyond the grid."""
        z, y, x = (slice(a, a + n) for a, n in zip(start, size, strict=True))
        with safe_open(self._file, "pt") as stored:
            inside: Bytes = stored.get_slice(name)[z, y, x].numpy()
        missing = [(0, n - length) for n, length in zip(size, inside.shape, strict=True)]
        return np.pad(inside, missing)


@dataclass(frozen=True, eq=False)
class StoredView:
    """The lungs' surroundings in the patient's axes, and the lesions in voxels of them."""

    view: PatientView
    lesions: tuple[Lesion, ...]


def stored_view(prepared: PreparedScan, settings: RegionPreprocessing) -> StoredView:
    """Windowed values come back to half a 255th of the window."""
    levels = prepared.tensor("view").numpy().astype(np.float32) / 255
    hu = np.rint(levels * (settings.hu_high - settings.hu_low) + settings.hu_low)
    bits = prepared.tensor("view_lungs").numpy()
    lungs = np.unpackbits(bits, axis=2, count=hu.shape[2]).view(np.bool_)
    affine = prepared.tensor("view_affine").numpy()
    view = PatientView(hu.astype(np.int16), lungs, affine, (0, 1, 2), (False, False, False))
    boxes, classes = prepared.tensor("view_boxes").numpy(), prepared.tensor("classes").tolist()
    pairs = enumerate(zip(classes, boxes, strict=True), start=1)
    return StoredView(view, tuple(Lesion(number, *pair) for number, pair in pairs))


def _view_tensors(
    view: PatientView, lesions: Sequence[Lesion], settings: RegionPreprocessing
) -> dict[str, Tensor]:
    box = bounding_box(view.lungs)
    room = [round(AROUND_MM / mm) for mm in view.spacing_mm]
    limits = zip(box, (0, *room[1:]), view.hu.shape, strict=True)
    z, y, x = (slice(max(b.start - r, 0), min(b.stop + r, n)) for b, r, n in limits)
    corner = np.array([z.start, y.start, x.start], np.float64)
    affine = view.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ corner
    boxes = np.array([lesion.box for lesion in lesions], np.float64).reshape(-1, 2, 3) - corner
    return {
        "view": torch.cat([_bytes(windowed(each, settings))[None] for each in view.hu[z, y, x]]),
        "view_lungs": torch.from_numpy(np.packbits(view.lungs[z, y, x], axis=2)),
        "view_affine": torch.from_numpy(affine),
        "view_boxes": torch.from_numpy(boxes),
    }


def _truth(
    scan: LoadedScan,
    view: PatientView,
    grid: RegionGrid,
    lesions: Sequence[Lesion],
    irrelevant: int,
) -> Bytes:
    """What each cell is; an infection where both kinds are."""
    truth = np.full(grid.values.shape, NOTHING, np.uint8)
    if scan.lesions is None or not lesions:
        return truth
    numbers = view.turned(scan.lesions)
    for value, wanted in ((UNCOUNTED, True), (LESION, False)):
        of_kind = np.zeros(np.iinfo(np.uint16).max + 1, np.bool_)
        of_kind[[e.number for e in lesions if (e.class_index == irrelevant) is wanted]] = True
        share = _share(of_kind, numbers, view, grid)
        truth[(share >= LEAST_SHARE * grid.lungs) & (share > 0)] = value
    return truth


def _share(
    of_kind: NDArray[np.bool_], numbers: NDArray[np.uint16], view: PatientView, grid: RegionGrid
) -> NDArray[np.float32]:
    """Part of each cell that is lung and lesion of a kind, resampled as the grid itself."""
    box = bounding_box(view.lungs)

    def section(at: int) -> NDArray[np.float32]:
        here = of_kind[numbers[at, box[1], box[2]]] & view.lungs[at, box[1], box[2]]
        return here.astype(np.float32)

    return on_cells(section, box, grid.values.shape, grid.origin, grid.step)


def _bytes(values: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.rint(values * 255).astype(np.uint8))
