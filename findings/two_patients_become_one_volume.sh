#!/usr/bin/env bash
# Two patients, two studies, one Series Instance UID (left by de-identification that hashed too little,
# or by a vendor's export), the slices of one between those of the other.
#
# Guess before the run: SimpleITK, dicom2nifti and dicom-numpy, which sort by Series Instance UID or by
#   what they are handed, join them; dcm2niix and highdicom, which look at studies, keep them apart.
# Seen (SimpleITK 2.5.7, dcm2niix 1.0.20260724, dicom2nifti 2.6.2, dicom-numpy 0.6.5, highdicom 0.28.2,
#   pydicom 3.0.2): every one of the five makes one volume of 10 slices in which the patients take turns,
#   and none says a word about it. Who builds on them compares Patient ID and Study Instance UID first.
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
    """A valid CT image of 16 x 16 pixels that all bear its number, 1 mm above the one before."""
    patient = "AB"[number % 2]
    ct = Dataset()
    ct.file_meta = FileMetaDataset()
    ct.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ct.file_meta.MediaStorageSOPClassUID = ct.SOPClassUID = CTImageStorage
    ct.file_meta.MediaStorageSOPInstanceUID = ct.SOPInstanceUID = f"{ROOT}.9.{number + 1}"
    ct.PatientID, ct.PatientName = f"ID-{patient}", f"Patient^{patient}"
    ct.StudyInstanceUID, ct.SeriesInstanceUID = f"{ROOT}.{1 + number % 2}", f"{ROOT}.3"
    ct.FrameOfReferenceUID, ct.PositionReferenceIndicator = f"{ROOT}.4", ""
    ct.PatientBirthDate = ct.PatientSex = ct.StudyID = ct.AccessionNumber = ""
    ct.ReferringPhysicianName, ct.Manufacturer = "", "none"
    ct.StudyDate, ct.StudyTime, ct.Modality = "20260101", "101010", "CT"
    ct.ImageType, ct.PatientPosition, ct.KVP = ["ORIGINAL", "PRIMARY", "AXIAL"], "HFS", "120"
    ct.SeriesNumber, ct.AcquisitionNumber, ct.InstanceNumber = 1, 1, number + 1
    ct.ImagePositionPatient, ct.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    ct.PixelSpacing, ct.SliceThickness = [1, 1], "1"
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

volumes = {}
identifiers = sitk.ImageSeriesReader.GetGDCMSeriesIDs("series")
reader = sitk.ImageSeriesReader()
reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames("series", identifiers[0]))
volumes["SimpleITK"] = sitk.GetArrayFromImage(reader.Execute())[:, 0, 0]
volumes["highdicom"] = get_volume_from_series(headers).array[:, 0, 0]
volumes["dicom-numpy"] = dicom_numpy.combine_slices(headers)[0][0, 0]
dicom2nifti.dicom_series_to_nifti("series", "one.nii")
volumes["dicom2nifti"] = nibabel.load("one.nii").get_fdata()[0, 0]
Path("out").mkdir()
command = [sys.executable, "-m", "dcm2niix", "-f", "%i_%s", "-o", "out", "series"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
written = sorted(Path("out").glob("*.nii"))
volumes["dcm2niix"] = nibabel.load(written[0]).get_fdata()[0, 0]

for name, values in volumes.items():
    print(f"{name:<12} one volume of {len(values)} slices, both patients in it")
    assert sorted(int(value) for value in values) == list(range(SLICES)), (name, values)
assert len(identifiers) == 1 and len(written) == 1, (identifiers, written)
PY
