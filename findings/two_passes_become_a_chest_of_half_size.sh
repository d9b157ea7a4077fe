#!/usr/bin/env bash
# Two passes of one chest in one series, at the same ten positions 1 mm apart (inspiration and expiration
# from a console that gives both one Series Instance UID and two Acquisition Numbers).
#
# Guess before the run: SimpleITK returns the two passes as two series, or the slices in pairs.
# Seen (SimpleITK 2.5.7, dcm2niix 1.0.20260724, dicom-numpy 0.6.5, highdicom 0.28.2, pydicom 3.0.2):
#   SimpleITK returns one volume of 20 slices, first the one pass, then the other, at a spacing of
#   0.4737 mm (9 mm over 19 steps): two short chests on top of each other in the space of one, with a
#   warning on standard error alone. dcm2niix makes a 4-D image of it; highdicom and dicom-numpy refuse.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check SimpleITK==2.5.7 dcm2niix==1.0.20260724 \
    dicom-numpy==0.6.5 highdicom==0.28.2 pydicom==3.0.2 numpy==2.4.6 nibabel==5.4.2
cd "$folder"
venv/bin/python - <<'PY'
import subprocess
import sys
from pathlib import Path

import dicom_numpy
import nibabel
import numpy as np
import SimpleITK as sitk
from highdicom.image import get_volume_from_series
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.8.498.88"
PLACES = 10


def ct_slice(number: int) -> Dataset:
    """A valid CT image of 16 x 16 pixels; the second pass lies at the positions of the first."""
    place, acquisition = number % PLACES, 1 + number // PLACES
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
    ct.SeriesNumber, ct.AcquisitionNumber, ct.InstanceNumber = 1, acquisition, number + 1
    ct.ImagePositionPatient, ct.ImageOrientationPatient = [0, 0, place], [1, 0, 0, 0, 1, 0]
    ct.PixelSpacing, ct.SliceThickness = [1, 1], "1"
    ct.Rows = ct.Columns = 16
    ct.SamplesPerPixel, ct.PhotometricInterpretation = 1, "MONOCHROME2"
    ct.BitsAllocated, ct.BitsStored, ct.HighBit, ct.PixelRepresentation = 16, 12, 11, 0
    ct.RescaleIntercept, ct.RescaleSlope, ct.RescaleType = "0", "1", "HU"
    ct.PixelData = np.full((16, 16), 1000 * acquisition + place, "u2").tobytes()
    return ct


series = Path("series")
series.mkdir()
for number in range(2 * PLACES):
    ct_slice(number).save_as(series / f"{number:02d}.dcm", enforce_file_format=True)
headers = [dcmread(path) for path in sorted(series.iterdir())]

reader = sitk.ImageSeriesReader()
reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames("series"))
image = reader.Execute()
values = sitk.GetArrayFromImage(image)[:, 0, 0].tolist()
print("SimpleITK   ", image.GetSize(), "spacing", image.GetSpacing(), values)
assert image.GetSize()[2] == 2 * PLACES and abs(image.GetSpacing()[2] - 9 / 19) < 1e-6
assert values == [1000 + place for place in range(PLACES)] + [2000 + place for place in range(PLACES)]

Path("out").mkdir()
command = [sys.executable, "-m", "dcm2niix", "-f", "%i_%s", "-o", "out", "series"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
(written,) = Path("out").glob("*.nii")
print("dcm2niix    ", nibabel.load(written).shape)
assert nibabel.load(written).shape == (16, 16, PLACES, 2)

for name, read, error in (
    ("highdicom", get_volume_from_series, ValueError),
    ("dicom-numpy", dicom_numpy.combine_slices, dicom_numpy.DicomImportException),
):
    try:
        read(headers)
        raise SystemExit(f"{name} takes it now")
    except error as refusal:
        print(f"{name:<12} refused: {refusal}")
PY
