"""The chest phantom as one multi-frame CT instance with functional groups."""

from __future__ import annotations

from collections import abc
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels.encoders.base import get_encoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
    RLELossless,
)

from support.phantom import SPACING_MM, write_series

FRAME_ATTRIBUTES = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "InstanceNumber", "ImageType"),
)


def group(**values: object) -> Sequence:
    """A functional group: a sequence of one item."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Sequence([item])


def multi_frame_of(slices: abc.Sequence[Dataset], *, legacy: bool = False) -> Dataset:
    """One native instance, its frames in the order of `slices`, all of one series.

    Every fourth frame has a Rescale Intercept 100 lower and stored values 100 higher: HU are those
    of the frame, not of the first one.
    """
    enhanced = Dataset()
    enhanced.update({e.tag: e for e in slices[0] if e.keyword not in FRAME_ATTRIBUTES})
    enhanced.file_meta = FileMetaDataset()
    enhanced.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    classes = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
    enhanced.SOPClassUID = classes[legacy]
    enhanced.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    enhanced.InstanceNumber = 1
    enhanced.NumberOfFrames = len(slices)
    enhanced.SharedFunctionalGroupsSequence = Sequence([_shared(slices[0])])
    enhanced.PerFrameFunctionalGroupsSequence = Sequence(
        [_own(each, number, legacy=legacy) for number, each in enumerate(slices)]
    )
    frames = [(each.pixel_array + _shift(n)).astype("<i2") for n, each in enumerate(slices)]
    enhanced.PixelData = b"".join(frame.tobytes() for frame in frames)
    return enhanced


def write_multi_frame(folder: Path, slices: int, *, legacy: bool = False) -> Path:
    """A phantom chest of `slices` frames, the last one first, in one file."""
    singles = [dcmread(path) for path in write_series(folder / "singles", slices)]
    for path in (folder / "singles").iterdir():
        path.unlink()
    (folder / "singles").rmdir()
    path = folder / "multi-frame.dcm"
    multi_frame_of(singles[::-1], legacy=legacy).save_as(path, enforce_file_format=True)
    return path


def encapsulated(native: Dataset, table: str) -> Dataset:
    """The instance in RLE; `table`: "basic", "extended", or "" for no offset table."""
    size = native.Rows * native.Columns * 2
    count = int(native.NumberOfFrames)
    frames = [
        get_encoder(RLELossless).encode(
            native.PixelData[i * size : (i + 1) * size],
            rows=native.Rows,
            columns=native.Columns,
            samples_per_pixel=1,
            photometric_interpretation="MONOCHROME2",
            bits_allocated=16,
            bits_stored=16,
            pixel_representation=1,
            number_of_frames=1,
        )
        for i in range(count)
    ]
    if table == "extended":
        parts = encapsulate_extended(frames)
        native.PixelData, native.ExtendedOffsetTable, native.ExtendedOffsetTableLengths = parts
    else:
        native.PixelData = encapsulate(frames, has_bot=table == "basic")
    native["PixelData"].VR = "OB"
    native["PixelData"].is_undefined_length = True
    native.file_meta.TransferSyntaxUID = RLELossless
    return native


def _shift(frame: int) -> int:
    return 100 if frame % 4 == 3 else 0


def _shared(first: Dataset) -> Dataset:
    shared = Dataset()
    shared.PixelMeasuresSequence = group(PixelSpacing=first.PixelSpacing, SliceThickness=SPACING_MM)
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=first.ImageOrientationPatient)
    shared.CTImageFrameTypeSequence = group(
        FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], VolumeBasedCalculationTechnique="NONE"
    )
    shared.CTReconstructionSequence = group(ConvolutionKernel="Br40")
    return shared


def _own(single: Dataset, number: int, *, legacy: bool) -> Dataset:
    own = Dataset()
    own.FrameContentSequence = group(FrameAcquisitionNumber=1, StackID="1")
    own.PlanePositionSequence = group(ImagePositionPatient=single.ImagePositionPatient)
    own.PixelValueTransformationSequence = group(
        RescaleIntercept=-_shift(number), RescaleSlope=1, RescaleType="HU"
    )
    if legacy:
        own.UnassignedPerFrameConvertedAttributesSequence = group(
            InstanceNumber=single.InstanceNumber, PatientName="Not^Taken"
        )
    return own
