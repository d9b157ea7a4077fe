"""The frames of a segmentation: their pixels, their place, and the source each was drawn on.

Built here and not by highdicom, whose general way takes two to three times as long for the 500
frames of a thin-slice chest; highdicom reads every object back in the tests. What frames have in
common is encoded once.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.tag import Tag

from dicomnode.results.common import codes
from dicomnode.results.common.context import ResultContext, SourceSlice
from dicomnode.results.common.encoding import element, encoded, sequence, set_sequence
from dicomnode.results.segmentation.segments import Segment

_SEGMENTATION = Code("113076", "DCM", "Segmentation")  # CID 7203
_NUMBER = "Referenced Segment Number"
_POSITION = "Image Position (Patient)"


@dataclass(frozen=True)
class Frame:
    """One frame: a slice of one segment, or with `segment` None a slice of the label map."""

    slice_index: int
    segment: int | None  # counts from 0


def frames_of(segments: Sequence[Segment], label_map: bool) -> tuple[Frame, ...]:
    """The frames that are not empty: segment by segment, each in the order of the stack."""
    occupied = [segment.occupied for segment in segments]
    if label_map:
        return tuple(Frame(int(i), None) for i in np.unique(np.concatenate(occupied)))
    return tuple(Frame(int(i), n) for n, found in enumerate(occupied) for i in found)


def packed_bits(
    segments: Sequence[Segment], frames: Sequence[Frame], shape: tuple[int, int]
) -> bytes:
    """Pixels of one bit each, the first in the lowest bit, no gap between frames (PS3.5 8.1.1)."""
    masks = (segments[f.segment or 0].on_slice(f.slice_index, shape) for f in frames)
    if shape[0] * shape[1] % 8 == 0:
        bits = b"".join(np.packbits(mask, bitorder="little").tobytes() for mask in masks)
    else:
        whole = np.concatenate([mask.ravel() for mask in masks])
        bits = np.packbits(whole, bitorder="little").tobytes()
    return bits + b"\0" * (len(bits) % 2)


def label_bytes(
    segments: Sequence[Segment], frames: Sequence[Frame], shape: tuple[int, int]
) -> bytes:
    """Pixels of one byte each: 0, or the number of the segment."""
    pixels = b"".join(_labels(segments, frame.slice_index, shape).tobytes() for frame in frames)
    return pixels + b"\0" * (len(pixels) % 2)


def _labels(segments: Sequence[Segment], index: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    labels = np.zeros(shape, np.uint8)
    for number, segment in enumerate(segments, 1):
        labels[segment.on_slice(index, shape)] = number
    return labels


def set_dimensions(data_set: Dataset, uid: str, by_segment: bool) -> None:
    """Multi-frame Dimension (PS3.3 section C.7.6.17): the segment, then the place in the stack."""
    organization = Dataset()
    organization.DimensionOrganizationUID = uid
    data_set.DimensionOrganizationSequence = [organization]
    indices = [_dimension(uid, 0x00200032, 0x00209113, _POSITION)]
    if by_segment:
        indices.insert(0, _dimension(uid, 0x0062000B, 0x0062000A, _NUMBER))
    data_set.DimensionIndexSequence = indices


def _dimension(uid: str, attribute: int, group: int, label: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = uid
    item.DimensionIndexPointer = Tag(attribute)
    item.FunctionalGroupPointer = Tag(group)
    item.DimensionDescriptionLabel = label
    return item


def set_functional_groups(
    data_set: Dataset, context: ResultContext, frames: Sequence[Frame]
) -> None:
    """Multi-frame Functional Groups (PS3.3 section C.7.6.16, macros of table A.51-2)."""
    data_set.SharedFunctionalGroupsSequence = [_shared(context)]
    places = {index: n for n, index in enumerate(sorted({f.slice_index for f in frames}), 1)}
    derivation = {index: _derivation(context.slices[index]) for index in places}
    position = {index: _position(context, index) for index in places}
    of_segment = {number: _segment_group(number) for number in {f.segment for f in frames}}
    indices = _FrameContents(2 if frames[0].segment is not None else 1)
    items = [
        # in the order of their tags
        derivation[frame.slice_index]
        + indices.of(frame, places[frame.slice_index])
        + position[frame.slice_index]
        + of_segment[frame.segment]
        for frame in frames
    ]
    set_sequence(data_set, "PerFrameFunctionalGroupsSequence", items)
    data_set.NumberOfFrames = len(frames)


def _shared(context: ResultContext) -> Dataset:
    """What is the same for all frames: size and orientation of the voxels, in mm and LPS."""
    affine = context.volume.affine
    between, down, right = context.volume.spacing_mm
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = _decimals((down, right))
    # of the voxels of the mask, which lie without gap or overlap whatever the slices do
    measures.SliceThickness = measures.SpacingBetweenSlices = _decimals((between,))[0]
    cosines = (*(affine[:3, 2] / right), *(affine[:3, 1] / down))
    orientation.ImageOrientationPatient = _decimals(cosines)
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    return shared


def _derivation(source: SourceSlice) -> bytes:
    """Derivation Image of one slice: which one it was drawn on, with the frame where the instance
    holds several (PS3.3 table 10-3)."""
    image = element("ReferencedSOPClassUID", source.sop_class_uid)
    image += element("ReferencedSOPInstanceUID", source.sop_instance_uid)
    if source.frame_number is not None:
        image += element("ReferencedFrameNumber", str(source.frame_number))
    images, what = sequence("SourceImageSequence", [image + _use_of_source()]), _derivation_code()
    return sequence("DerivationImageSequence", [images + what])


@cache
def _use_of_source() -> bytes:
    use = Dataset()
    use.SpatialLocationsPreserved = "YES"
    use.PurposeOfReferenceCodeSequence = [codes.code_item(codes.SOURCE_FOR_PROCESSING)]
    return encoded(use)


@cache
def _derivation_code() -> bytes:
    derivation = Dataset()
    derivation.DerivationCodeSequence = [codes.code_item(_SEGMENTATION)]
    return encoded(derivation)


def _position(context: ResultContext, index: int) -> bytes:
    """Plane Position of one slice."""
    position = "\\".join(_decimals(context.volume.to_lps((index, 0, 0))))
    return sequence("PlanePositionSequence", [element("ImagePositionPatient", position)])


def _segment_group(number: int | None) -> bytes:
    """Segment Identification; nothing in a label map."""
    if number is None:
        return b""
    segment = Dataset()
    segment.ReferencedSegmentNumber = number + 1
    return _group("SegmentIdentificationSequence", segment)


class _FrameContents:
    """Frame Content of each frame, encoded: the same but for the `count` indices at its end."""

    def __init__(self, count: int) -> None:
        content = Dataset()
        content.DimensionIndexValues = [0] * count
        self._indices = struct.Struct(f"<{count}L")  # VR UL
        self._before = _group("FrameContentSequence", content)[: -self._indices.size]

    def of(self, frame: Frame, place: int) -> bytes:
        first = () if frame.segment is None else (frame.segment + 1,)
        return self._before + self._indices.pack(*first, place)


def _group(keyword: str, item: Dataset) -> bytes:
    """One functional group, encoded."""
    holder = Dataset()
    setattr(holder, keyword, [item])
    return encoded(holder)


def _decimals(values: Sequence[float]) -> list[str]:
    """VR DS: at most 16 characters (PS3.5 section 6.2), no −0."""
    return [f"{value + 0.0 if abs(value) > 1e-9 else 0.0:.9g}" for value in values]
