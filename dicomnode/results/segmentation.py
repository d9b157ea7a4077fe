"""The segmentation: masks on the grid of the source, BINARY or as a label map.

BINARY is what every viewer reads. A lung on 250 slices of 512 × 512 has 8 MB of bits, nearly all
of them zero or one for long runs: the file is in Deflated Explicit VR Little Endian (PS3.5 section
A.5), 70 times smaller, and is sent inflated to a peer that does not take that.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import DeflatedExplicitVRLittleEndian, SegmentationStorage

from dicomnode.results import codes
from dicomnode.results.capture import set_compression_history
from dicomnode.results.context import ResultContext, ResultObject, SegmentationKind
from dicomnode.results.modules import Place, complete, training_mark
from dicomnode.results.segment_frames import (
    Frame,
    frames_of,
    label_bytes,
    packed_bits,
    set_dimensions,
    set_functional_groups,
)
from dicomnode.results.segments import Segment, lung_segments
from dicomnode.results.summary import RESEARCH_ONLY
from dicomnode.results.uids import LabelMapSegmentationStorage

KIND = "seg"
_BACKGROUND = Code("125040", "DCM", "Background")
_LO_LIMIT = 64  # characters, PS3.5 section 6.2


def lung_segmentation(context: ResultContext) -> tuple[ResultObject, ...]:
    """The lungs, right and left, as the settings ask for; none when they ask for none.

    Raises:
        ValueError: see `segmentation`.
    """
    kind = context.settings.segmentation
    if kind is SegmentationKind.OFF:
        return ()
    segments = lung_segments(context)
    return (segmentation(context, segments, kind),) if segments else ()


def segmentation(
    context: ResultContext, segments: Sequence[Segment], kind: SegmentationKind
) -> ResultObject:
    """One Segmentation (PS3.3 section A.51) in a series of its own.

    Frames without a voxel are left out. Each frame names the source frame it lies on.

    Raises:
        ValueError: there is no voxel at all, a mask has not the shape of the volume, or no
            segmentation is asked for.
    """
    shape = context.volume.hu.shape
    if any(segment.mask.shape != shape for segment in segments):
        raise ValueError(f"a mask has not the shape of the volume, {shape}")
    if kind is SegmentationKind.OFF:
        raise ValueError("a segmentation is binary or a label map")
    label_map = kind is SegmentationKind.LABELMAP
    frames = frames_of(segments, label_map) if segments else ()
    if not frames:
        raise ValueError("a segmentation has at least one voxel")
    place = _place(context, segments, label_map)
    data_set = Dataset()
    _set_image(data_set, context, segments, label_map)
    set_dimensions(data_set, context.seed.uid("seg dimensions", place.sop_class_uid), not label_map)
    set_functional_groups(data_set, context, frames)
    _set_references(data_set, context, frames)
    encoded = label_bytes(segments, frames) if label_map else packed_bits(segments, frames)
    data_set.PixelData = encoded
    data_set["PixelData"].VR = "OB"
    complete(data_set, place, context)
    data_set.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return ResultObject(KIND, data_set)


def _place(context: ResultContext, segments: Sequence[Segment], label_map: bool) -> Place:
    sop_class = LabelMapSegmentationStorage if label_map else SegmentationStorage
    names = ", ".join(segment.label for segment in segments)
    return Place(
        sop_class_uid=sop_class,
        sop_instance_uid=context.seed.uid(KIND, sop_class, names),
        series_instance_uid=context.seed.uid("seg series", sop_class),
        series_number=context.settings.seg_series_number,
        instance_number=1,
        modality="SEG",
        series_description=_description(context),
    )


def _description(context: ResultContext) -> str:
    mark = training_mark(context.findings.model.training)
    return f"{mark}AI segmentation, research only"[:_LO_LIMIT]


def _set_image(
    data_set: Dataset, context: ResultContext, segments: Sequence[Segment], label_map: bool
) -> None:
    """Segmentation Image (PS3.3 section C.8.20.2), Image Pixel, Frame of Reference (C.7.4.1)."""
    bits = 8 if label_map else 1
    data_set.ImageType = ["DERIVED", "PRIMARY"]
    data_set.SamplesPerPixel = 1
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.Rows, data_set.Columns = context.volume.hu.shape[1:]
    data_set.BitsAllocated = data_set.BitsStored = bits
    data_set.HighBit = bits - 1
    data_set.PixelRepresentation = 0
    set_compression_history(data_set, context)
    data_set.BodyPartExamined = "CHEST"
    data_set.SegmentationType = "LABELMAP" if label_map else "BINARY"
    data_set.SegmentsOverlap = "NO"
    data_set.ContentLabel = "SEGMENTATION"
    data_set.ContentDescription = RESEARCH_ONLY.replace("–", "-")
    data_set.ContentCreatorName = None
    items = [segment.as_item(number) for number, segment in enumerate(segments, 1)]
    data_set.SegmentSequence = [_background(), *items] if label_map else items
    if label_map:
        data_set.PixelPaddingValue = 0
        data_set["PixelPaddingValue"].VR = "US"
        data_set.PresentationLUTShape = "IDENTITY"
    data_set.FrameOfReferenceUID = _frame_of_reference(context)
    data_set.PositionReferenceIndicator = None


def _frame_of_reference(context: ResultContext) -> str:
    """That of the source; where it has none one of our own, for it is of type 1 here.

    Such a mask lies on its source by its references alone.
    """
    own = context.seed.uid("frame of reference", SegmentationStorage)
    return context.header.frame_of_reference_uid or own


def _background() -> Dataset:
    """Segment 0 of a label map (PS3.3 section C.8.20.2.3.4)."""
    item = Dataset()
    item.SegmentNumber = 0
    item.SegmentLabel = "Background"
    item.SegmentAlgorithmType = "AUTOMATIC"
    item.SegmentAlgorithmName = "Background"
    item.SegmentedPropertyCategoryCodeSequence = [codes.code_item(_BACKGROUND)]
    item.SegmentedPropertyTypeCodeSequence = [codes.code_item(_BACKGROUND)]
    return item


def _set_references(data_set: Dataset, context: ResultContext, frames: Sequence[Frame]) -> None:
    """Common Instance Reference (PS3.3 section C.12.2): the instances that frames lie on."""
    shown = [context.slices[index] for index in sorted({f.slice_index for f in frames})]
    classes = {source.sop_instance_uid: source.sop_class_uid for source in shown}
    series = Dataset()
    series.SeriesInstanceUID = context.source_series_uid
    series.ReferencedInstanceSequence = [_instance(uid, name) for uid, name in classes.items()]
    data_set.ReferencedSeriesSequence = [series]


def _instance(sop_instance_uid: str, sop_class_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item
