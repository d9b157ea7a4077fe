"""The scans of a manifest: a DICOM series, read as the node reads it, or NIfTI; and their masks."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicomnode.assess.assessment import assess_files
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy
from dicomnode.dicom_files.folder import read_folder
from dicomnode.dicom_files.volume import load_volume
from dicomnode.errors import DataError
from dicomnode.weights.manifest import ManifestRow, read_boxes
from inference.training.scan import LesionBox, LoadedScan
from inference.volume import AIR_HU, CtVolume

__all__ = ["LesionBox", "LoadedScan", "load_scan", "read_ct"]

log = logging.getLogger(__name__)

_GRID_TOLERANCE = 0.01
"""Voxels that two grids may lie apart: NIfTI keeps its geometry in float32."""


def load_scan(row: ManifestRow) -> LoadedScan:
    """The volume of a row with its masks, turned to the volume's own axes, and its lesions.

    Raises:
        DataError: a file cannot be read, the folder is not one series of even slices, or a mask
            is not on the volume's grid.
        ManifestError: the file of boxes cannot be used.
    """
    volume = read_ct(row.path)
    lungs = None if row.lungs is None else _mask(row.lungs, volume, "lungs") != 0
    lesions = None if row.lesions is None else _lesions(row.lesions, volume)
    boxes = () if row.boxes is None else read_boxes(row.boxes)
    return LoadedScan(volume, lungs, lesions, boxes)


def read_ct(path: Path, workers: int = 1) -> CtVolume:
    """A folder of one DICOM series, or a NIfTI file with HU, as a volume.

    Raises:
        DataError
    """
    return _read_series(path, workers) if path.is_dir() else _read_nifti(path)


def _read_series(folder: Path, workers: int) -> CtVolume:
    found = read_folder(folder)
    if found.left_out:  # as in `dicomnode process`: told, and no reason to refuse the series
        log.warning("%d files beside the series are passed over", len(found.left_out))
    if len(found.files) != 1:
        raise DataError("series", f"{len(found.files)} series in the folder", "one")
    (files,) = found.files.values()
    assessment = assess_files(files, EligibilityPolicy())  # for its stack: whether eligible or not
    if assessment.unreadable:
        raise DataError("dicom_file", "; ".join(map(str, assessment.unreadable)))
    stack = assessment.eligibility.stack
    if stack.problems:
        raise DataError("geometry", ", ".join(problem.value for problem in stack.problems))
    return load_volume(files, stack, workers)


def _read_nifti(path: Path) -> CtVolume:
    values, affine = _nifti(path, "path")
    hu = np.clip(np.rint(values), AIR_HU, np.iinfo(np.int16).max).astype(np.int16)
    try:
        return CtVolume(hu, affine)
    except ValueError as error:
        raise DataError("nifti", f"{path.name}: {error}") from error


def _nifti(path: Path, what: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Values (slices, rows, columns) and the affine of those to LPS mm.

    Raises:
        DataError
    """
    itk = _simpleitk()
    try:
        image = itk.ReadImage(str(path), imageIO="NiftiImageIO")
    except RuntimeError as error:
        raise DataError("nifti", f"{what} {path.name} cannot be read") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError("nifti", f"{what} {path.name} is not one value in three dimensions")
    directions = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3] = directions[:, ::-1]  # of (column, row, slice) to (slice, row, column)
    affine[:3, 3] = image.GetOrigin()
    return itk.GetArrayFromImage(image), affine


def _simpleitk() -> Any:
    """SimpleITK, imported at need (0.2 s); untyped, as most of its functions are."""
    import SimpleITK

    return SimpleITK


def _lesions(path: Path, volume: CtVolume) -> NDArray[np.uint16]:
    values = _mask(path, volume, "lesions")
    if values.min(initial=0) < 0 or values.max(initial=0) > np.iinfo(np.uint16).max:
        raise DataError("nifti", f"lesions {path.name}: numbers outside 0 to 65535")
    return values.astype(np.uint16)


def _mask(path: Path, volume: CtVolume, what: str) -> NDArray[Any]:
    """A mask, its axes turned to those of the volume.

    Converters from DICOM to NIfTI turn rows or slices round: the same voxels, in another order.
    """
    values, affine = _nifti(path, what)
    to_volume = np.linalg.inv(volume.affine) @ affine
    turned = np.rint(to_volume)
    order = tuple(int(axis) for axis in abs(turned[:3, :3]).argmax(axis=1))
    is_turn = sorted(order) == [0, 1, 2] and abs(turned[:3, :3]).sum() == 3
    reach = np.array([*(length - 1 for length in values.shape), 1.0])
    if not is_turn or (abs(to_volume - turned) @ reach).max() > _GRID_TOLERANCE * 3:
        raise DataError("grid", f"{what} {path.name} are not on the grid of the scan")
    stored = values.transpose(order)
    flips = tuple(axis for axis in range(3) if turned[axis, order[axis]] < 0)
    first = turned[:3, 3] + np.minimum(turned[:3, :3], 0) @ (reach[:3])
    if stored.shape != volume.hu.shape or first.any():
        raise DataError("grid", f"{what} {path.name} are not on the grid of the scan")
    return np.ascontiguousarray(np.flip(stored, flips))
