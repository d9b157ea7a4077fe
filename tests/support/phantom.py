"""A small chest phantom as CT instances: a body with two lungs, enough for the whole way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from dicomnode.decisions.eligibility.chest import ChestPolicy

ROWS = COLUMNS = 128
PIXEL_MM = 2.8
SPACING_MM = 2.5


LOW_CHEST_POLICY = ChestPolicy(min_lung_height_mm=20.0, min_lung_ml=100.0)
LOW_CHEST = "[chest]\nmin_lung_height_mm = 20.0\nmin_lung_ml = 100.0\n"
"""For phantoms, which are a dozen slices high, so that analysing one takes a second."""


def chest_slice(z_mm: float, seed: int) -> NDArray[np.int16]:
    """HU of one axial slice, z from -100 (base) to 100 (apex): fat, muscle, lungs, vessels."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    x_mm, y_mm = (x - COLUMNS / 2) * PIXEL_MM, (y - ROWS / 2) * PIXEL_MM
    hu = np.full((ROWS, COLUMNS), -1000.0)
    hu[(x_mm / 160) ** 2 + (y_mm / 115) ** 2 < 1] = 40.0
    grown = max(0.0, 1 - (z_mm / 115) ** 2) ** 0.5
    for side in (-1, 1):
        lung = ((x_mm - side * 72) / (58 * grown + 1)) ** 2 + (y_mm / (85 * grown + 1)) ** 2 < 1
        hu[lung] = -850.0
        vessel = (x_mm - side * 50) ** 2 + (y_mm - 10) ** 2 < 36
        hu[vessel & lung] = 30.0
    noise = np.random.default_rng(seed).normal(0.0, 12.0, hu.shape)
    return np.clip(hu + noise, -1024, 3000).astype(np.int16)


def write_series(
    folder: Path,
    slices: int = 12,
    seed: int = 0,
    change: Callable[[Dataset, int], None] | None = None,
) -> list[Path]:
    """A CT series of its own study, one file a slice; `change` may damage each data set."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame = (generate_uid() for _ in range(3))
    paths = []
    for number in range(slices):
        z = -100 + 200 * (number + 0.5) / slices
        data_set = _instance(chest_slice(z, seed * 1000 + number), number, study, series, frame)
        if change is not None:
            change(data_set, number)
        paths.append(folder / f"{number:03d}.dcm")
        data_set.save_as(paths[-1], enforce_file_format=True)
    return paths


def _instance(hu: NDArray[np.int16], number: int, study: str, series: str, frame: str) -> Dataset:
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = generate_uid()
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = study, series
    data_set.FrameOfReferenceUID = frame
    data_set.PatientName, data_set.PatientID = "Chest^Drawn", "DRAWN-1"
    data_set.PatientBirthDate, data_set.PatientSex = "19500101", "O"
    data_set.StudyDate, data_set.StudyTime = "20260102", "101500"
    data_set.StudyID, data_set.AccessionNumber = "1", f"ACC{series[-8:]}"
    data_set.ReferringPhysicianName = ""
    data_set.Modality, data_set.Manufacturer = "CT", "Phantom"
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data_set.SeriesNumber, data_set.InstanceNumber = 2, number + 1
    data_set.Rows, data_set.Columns = hu.shape
    data_set.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    data_set.SliceThickness = SPACING_MM
    data_set.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    corner = -(COLUMNS / 2) * PIXEL_MM
    data_set.ImagePositionPatient = [corner, corner, SPACING_MM * number]
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = 16, 16, 15
    data_set.PixelRepresentation = 1
    data_set.RescaleSlope, data_set.RescaleIntercept, data_set.RescaleType = 1, 0, "HU"
    data_set.PixelData = hu.tobytes()
    return data_set


def series_uid(paths: list[Path]) -> str:
    """Series Instance UID of written files."""
    return str(pydicom.dcmread(paths[0], stop_before_pixels=True).SeriesInstanceUID)
