"""Series as the field sent them when something went wrong, made of the real chest that ships.

Its 64 slices every 5 mm become 127 every 2.5 mm, so that the default policy looks at them; every
second slice is the mean of its neighbours. Every fourth pixel is kept: the tests are not about
resolution.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from support.data import PHILIPS

Slices = list[Dataset]

ROOT = "1.2.826.0.1.3680043.10.511.13"
SLICES, SPACING_MM, STEP = 127, 2.5, 4
_DESCRIBED = (
    *("StudyDate", "StudyTime", "Modality", "Manufacturer", "ImageType", "KVP", "SOPClassUID"),
    *("ConvolutionKernel", "PatientSex", "PatientBirthDate", "ImageOrientationPatient"),
    *("SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "RescaleSlope", "RescaleIntercept", "BodyPartExamined"),
)


@cache
def _source() -> tuple[Dataset, NDArray[np.uint16], list[float]]:
    """Attributes, planes (127, 128, 128) as stored, and the corner of the lowest slice."""
    found = sorted(map(dcmread, PHILIPS), key=lambda each: float(each.ImagePositionPatient[2]))
    planes = [each.pixel_array[::STEP, ::STEP].astype(np.uint32) for each in found]
    between = [(a + b) // 2 for a, b in pairwise(planes)]
    both = [each for pair in zip(planes, [*between, planes[-1]], strict=True) for each in pair]
    described = Dataset()
    for keyword in _DESCRIBED:
        if keyword in found[0]:
            described[keyword] = found[0][keyword]
    described.PixelSpacing = [float(side) * STEP for side in found[0].PixelSpacing]
    corner = [float(value) for value in found[0].ImagePositionPatient]
    return described, np.stack(both[:-1]).astype(np.uint16), corner


def chest(number: int, *, slices: int = SLICES) -> Slices:
    """A plain chest CT, from the base up; `number` names its patient, study and series."""
    described, planes, (x, y, z) = _source()
    made = []
    for index in range(slices):
        each = deepcopy(described)
        each.file_meta = FileMetaDataset()
        each.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        each.PatientName, each.PatientID = f"Case^{number}", f"CASE-{number}"
        each.AccessionNumber, each.StudyID = f"ACC{number}", str(number)
        each.ReferringPhysicianName = ""
        each.StudyInstanceUID, each.SeriesInstanceUID = f"{ROOT}.{number}", f"{ROOT}.{number}.1"
        each.FrameOfReferenceUID = f"{ROOT}.{number}.9"
        each.SeriesDescription, each.SeriesNumber = "chest", 2
        each.InstanceNumber, each.SliceThickness = index + 1, SPACING_MM
        each.ImagePositionPatient = [x, y, z + SPACING_MM * index]
        each.Rows, each.Columns = planes.shape[1:]
        each.PixelData = planes[index].tobytes()
        named(each, f"{ROOT}.{number}.1.{index + 1}")
        made.append(each)
    return made


def named(each: Dataset, uid: str) -> None:
    each.SOPInstanceUID = each.file_meta.MediaStorageSOPInstanceUID = UID(uid)


def stored(each: Dataset) -> NDArray[np.uint16]:
    """Stored values (rows, columns) of a native slice."""
    return np.frombuffer(each.PixelData, "<u2").reshape(each.Rows, each.Columns)


def every(slices: Slices, **values: object) -> Slices:
    """The slices, with these values in each of them."""
    for each in slices:
        for keyword, value in values.items():
            setattr(each, keyword, value)
    return slices


def save(slices: Slices, folder: Path) -> list[Path]:
    """One file a slice."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.dcm" for number in range(len(slices))]
    for each, path in zip(slices, paths, strict=True):
        each.save_as(path, enforce_file_format=True)
    return paths


# How each case came about.


def two_patients(number: int, how: str) -> Slices:
    """Another patient's study under the same Series Instance UID.

    `how`: "alternate" slices, or two whole scans at the "same places" or in "own frames".
    """
    mine, theirs = chest(number), chest(number)
    for index, each in enumerate(theirs):
        each.PatientName, each.PatientID = "Other^Person", f"OTHER-{number}"
        each.AccessionNumber, each.StudyInstanceUID = f"OTH{number}", f"{ROOT}.{number}.7"
        each.PixelData = np.ascontiguousarray(stored(each)[:, ::-1]).tobytes()  # another body
        named(each, f"{ROOT}.{number}.2.{index + 1}")
    if how == "alternate":
        return mine[::2] + theirs[1::2]
    for each in mine + theirs:
        each.FrameOfReferenceUID = f"{each.StudyInstanceUID}.9" if how == "own frames" else ""
    return mine + theirs


def padded(number: int, count: int) -> Slices:
    """Older devices write whole blocks (PS3.5 section 8.1.1, note)."""
    slices = chest(number)
    for each in slices:
        each.PixelData += b"\xff" * count
    return slices


def two_passes(number: int, **told: tuple[object, object]) -> Slices:
    """Inspiration, and expiration half a slice higher, told apart only by these attributes."""
    slices = chest(number)
    for keyword, values in told.items():
        every(slices[::2], **{keyword: values[0]})
        every(slices[1::2], **{keyword: values[1]})
    return slices


def overlapping(number: int, *, alike: bool) -> Slices:
    """Two acquisitions of one scan that share six slices."""
    slices = chest(number)
    lower, upper = slices[:75], deepcopy(slices[69:])
    every(lower, AcquisitionNumber=1, XRayTubeCurrent=188)
    every(upper, AcquisitionNumber=2, XRayTubeCurrent=300)
    for index, each in enumerate(upper):
        named(each, f"{ROOT}.{number}.2.{index + 1}")
        if not alike:  # another breath
            each.PixelData = np.roll(stored(each), 2, axis=0).tobytes()
    return lower + upper


def without_meta_length(content: bytes) -> bytes:
    """A file without File Meta Information Group Length: 12 bytes after preamble and prefix."""
    return content[:132] + content[144:]


def with_meta_length(change: int, content: bytes) -> bytes:
    """A file whose File Meta Information Group Length is wrong by so many bytes."""
    length = int.from_bytes(content[140:144], "little") + change
    return content[:140] + length.to_bytes(4, "little") + content[144:]
