"""A whole series of CT files of any size: the chest phantom, uncompressed, 1 mm apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from scipy.ndimage import zoom

from dicomnode.synthetic.chest import drawn_chest
from support.chest_volume import DEPTH_MM, HEIGHT_MM, WIDTH_MM, chest

_ROOT = "2.25.4711"
_NOISE_HU = 20.0


def write_series(folder: Path, slices: int, edge: int) -> None:
    """`slices` files of `edge` x `edge` pixels, with lungs in most of them; folder is made."""
    folder.mkdir(parents=True)
    pixel_mm = max(DEPTH_MM, WIDTH_MM) / edge
    slice_mm = HEIGHT_MM / slices
    drawn = chest((slice_mm, pixel_mm, pixel_mm))
    missing = edge - drawn.hu.shape[1]
    for index, hu in enumerate(drawn.hu):
        square = np.pad(hu, ((0, max(0, missing)), (0, 0)), constant_values=-1000)
        _write(folder / f"{index:04d}.dcm", square[:edge, :edge], index, slice_mm, pixel_mm)


def write_drawn_chest(
    folder: Path, slices: int, edge: int, number: int = 0, counted: bool = False
) -> None:
    """The synthetic patient's chest, lesions too, drawn anew with the noise of a scanner.

    `number`: makes UIDs and noise of its own. `counted`: each slice says how many there are
    (Images in Acquisition), as many scanners have it.
    """
    folder.mkdir(parents=True)
    drawn = drawn_chest().volume
    high, rows, columns = drawn.hu.shape
    finer = (slices / high, edge / rows, edge / columns)
    noise = np.random.Generator(np.random.PCG64(1 + number))
    hu = zoom(drawn.hu.astype(np.float32), finer, order=1)
    slice_mm, pixel_mm = drawn.spacing_mm[0] / finer[0], drawn.spacing_mm[1] / finer[1]
    for index, of_slice in enumerate(hu):
        noisy = of_slice + noise.normal(0.0, _NOISE_HU, of_slice.shape)
        whole = np.clip(np.rint(noisy), -1024, 3071).astype(np.int16)
        _write(
            folder / f"{index:04d}.dcm",
            whole,
            index,
            slice_mm,
            pixel_mm,
            f"{_ROOT}{number}",
            slices * counted,
        )


def _write(
    path: Path,
    hu: np.ndarray,
    index: int,
    slice_mm: float,
    pixel_mm: float,
    root: str = _ROOT,
    count: int = 0,
) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(f"{root}.3.{index + 1}")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = f"{root}.1", f"{root}.2"
    data.FrameOfReferenceUID = f"{root}.4"
    data.Modality, data.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.PatientID, data.PatientName, data.PatientBirthDate, data.PatientSex = "B", "B", "", ""
    data.StudyDate, data.StudyTime, data.StudyID, data.AccessionNumber = "20260101", "1200", "", ""
    data.BodyPartExamined, data.SeriesDescription = "CHEST", "Chest without contrast"
    data.SeriesNumber, data.InstanceNumber = 1, index + 1
    data.SliceThickness, data.PixelSpacing = f"{slice_mm:.6f}", [f"{pixel_mm:.6f}"] * 2
    data.ImagePositionPatient = ["0", "0", f"{index * slice_mm:.6f}"]
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    if count:
        data.AcquisitionNumber, data.ImagesInAcquisition = 1, count
    data.Rows, data.Columns = hu.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, 0, "HU"
    data.PixelData = hu.astype("<i2").tobytes()
    data.save_as(path, enforce_file_format=True)
