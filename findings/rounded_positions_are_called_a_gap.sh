#!/usr/bin/env bash
# Slices 0.625 mm apart whose Image Position (Patient) is written with one decimal, as some consoles do:
# the steps are 0.6, 0.6, 0.7 mm. DS allows it, and no slice is missing.
#
# Guess before the run: all five readers take it, with a spacing of 0.62 mm.
# Seen (SimpleITK 2.5.7, dcm2niix 1.0.20260724, dicom2nifti 2.6.2, dicom-numpy 0.6.5, highdicom 0.28.2,
#   pydicom 3.0.2): highdicom says the series is no regularly spaced volume, dicom-numpy that slices are
#   missing; the other three take it: SimpleITK (with a warning) and dicom2nifti at 0.622 mm, dcm2niix at
#   0.6 mm, its first step, by which a lung of 300 mm shrinks to 288.
#   A tolerance for gaps has to know how many decimals were written.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 dcm2niix==1.0.20260724 \
    dicom2nifti==2.6.2 dicom-numpy==0.6.5 highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6 nibabel==5.4.2
cd "$folder"
venv/bin/python - <<'PY'
import subprocess
import sys
from pathlib import Path

import dicom2nifti
import dicom_numpy
import nibabel
import numpy as np
import SimpleITK as sitk
from highdicom.image import get_volume_from_series
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.8.498.88"
SLICES = 10


def ct_slice(number: int) -> Dataset:
    """A valid CT image of 16 x 16 pixels; slices lie 0.625 mm apart, written to 0.1 mm."""
    ct = Dataset()
    ct.file_meta = FileMetaDataset()
    ct.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ct.file_meta.MediaStorageSOPClassUID = ct.SOPClassUID = CTImageStorage
    ct.file_meta.MediaStorageSOPInstanceUID = ct.SOPInstanceUID = f"{ROOT}.9.{number + 1}"
    ct.PatientID, ct.PatientName = "ID-A", "Patient^A"
    ct.StudyInstanceUID, ct.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.3"
    ct.FrameOfReferenceUID, ct.PositionReferenceIndicator = f"{ROOT}.4", ""
    ct.PatientBirthDate = ct.PatientSex = ct.StudyID = ct.AccessionNumber = ""
    ct.ReferringPhysicianName, ct.Manufacturer = "", "none"
    ct.StudyDate, ct.StudyTime, ct.Modality = "20260101", "101010", "CT"
    ct.ImageType, ct.PatientPosition, ct.KVP = ["ORIGINAL", "PRIMARY", "AXIAL"], "HFS", "120"
    ct.SeriesNumber, ct.AcquisitionNumber, ct.InstanceNumber = 1, 1, number + 1
    ct.ImagePositionPatient, ct.ImageOrientationPatient = [0, 0, round(0.625 * number, 1)], [1, 0, 0, 0, 1, 0]
    ct.PixelSpacing, ct.SliceThickness = [1, 1], "0.625"
    ct.Rows = ct.Columns = 16
    ct.SamplesPerPixel, ct.PhotometricInterpretation = 1, "MONOCHROME2"
    ct.BitsAllocated, ct.BitsStored, ct.HighBit, ct.PixelRepresentation = 16, 12, 11, 0
    ct.RescaleIntercept, ct.RescaleSlope, ct.RescaleType = "0", "1", "HU"
    ct.PixelData = np.full((16, 16), number, "u2").tobytes()
    return ct


series = Path("series")
series.mkdir()
for number in range(SLICES):
    ct_slice(number).save_as(series / f"{number:02d}.dcm", enforce_file_format=True)
headers = [dcmread(path) for path in sorted(series.iterdir())]

spacings_mm: dict[str, float | str] = {}
reader = sitk.ImageSeriesReader()
reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames("series"))
spacings_mm["SimpleITK"] = reader.Execute().GetSpacing()[2]
dicom2nifti.dicom_series_to_nifti("series", "one.nii")
spacings_mm["dicom2nifti"] = float(nibabel.load("one.nii").header.get_zooms()[2])
Path("out").mkdir()
command = [sys.executable, "-m", "dcm2niix", "-f", "%i_%s", "-o", "out", "series"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
(written,) = Path("out").glob("*.nii")
spacings_mm["dcm2niix"] = float(nibabel.load(written).header.get_zooms()[2])
for name, read, error in (
    ("highdicom", get_volume_from_series, ValueError),
    ("dicom-numpy", dicom_numpy.combine_slices, dicom_numpy.DicomImportException),
):
    try:
        read(headers)
        spacings_mm[name] = "accepted"
    except error as refusal:
        spacings_mm[name] = f"refused: {refusal}"

for name, spacing in spacings_mm.items():
    print(f"{name:<12} {spacing}")
assert abs(spacings_mm["SimpleITK"] - 5.6 / 9) < 1e-6  # not 0.625: the mean of rounded positions
assert abs(spacings_mm["dicom2nifti"] - 5.6 / 9) < 1e-6
assert abs(spacings_mm["dcm2niix"] - 0.6) < 1e-6  # the first step taken for all of them
assert spacings_mm["highdicom"] == "refused: Series is not a regularly-spaced volume."
assert spacings_mm["dicom-numpy"] == "refused: It appears there are missing slices"
PY
