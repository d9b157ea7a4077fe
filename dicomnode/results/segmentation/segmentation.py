"""The segmentation: masks on the grid of the source, BINARY or as a label map.

BINARY is what every viewer reads, in Explicit VR Little Endian: 8 MB for a lung on 250 slices of
512 × 512. Deflated (PS3.5 section A.5) it would be 70 times smaller, but there are archives that
answer 0x0000 and keep two elements of such a file, and viewers and validators that cannot inflate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage

from dicomnode.decisions.result_options import SegmentationKind
from dicomnode.results.common import codes
from dicomnode.results.common.context import ResultContext, ResultObject
from dicomnode.results.common.encoding import element, references, sequence, set_sequence
from dicomnode.results.common.modules import Place, complete, training_mark
from dicomnode.results.common.naming import named
from dicomnode.results.common.summary import RESEARCH_ONLY
from dicomnode.results.common.uids import LabelMapSegmentationStorage, derived_uid
from dicomnode.results.pictures.capture import set_compression_history
from dicomnode.results.segmentation.region_segments import drawn_infections, region_segments
from dicomnode.results.segmentation.segment_frames import (
    Frame,
    frames_of,
    label_bytes,
    packed_bits,
    set_dimensions,
    set_functional_groups,
)
from dicomnode.results.segmentation.segments import Segment, lung_segments
from inference.findings import Findings, Training

REGIONS = "region_seg"
_BACKGROUND = Code("125040", "DCM", "Background")
_LO_LIMIT = 64  # characters, PS3.5 section 6.2


@dataclass(frozen=True)
class Content:
    """What an object is about. `kind`: of the `ResultObject`; `label`: Content
    Label (0070,0080); `training`: of the weights that drew it."""

    kind: str
    label: str
    description: str
    series_number: int
    training: Training


def lungs_content(context: ResultContext) -> Content:
    """The lungs, which are marked as what was made of them is."""
    number, training = context.settings.options.seg_series_number, context.models[0].training
    return Content("seg", "SEGMENTATION", "AI segmentation, research only", number, training)


def regions_content(context: ResultContext, found: Findings) -> Content:
    """The regions that one method voted an infection."""
    number, training = context.settings.options.region_seg_series_number, found.model.training
    description = "AI segmentation of regions, research only"
    return Content(REGIONS, "REGIONS", description, number, training)


@dataclass(frozen=True)
class SegmentReference:
    """One segment of one object; `number` counts from 1."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    number: int


def segmentations(
    context: ResultContext, kind: SegmentationKind | None = None
) -> tuple[ResultObject, ...]:
    """The lungs, right and left, and the infections found; `kind`: None for that of the settings.

    An object for the lungs and one for each method with regions, each in a series of its own:
    regions lie in the lungs, and many viewers, OHIF among them, show no segments that overlap, and
    one object of a series. So a reader can also look at the regions without the colour of the
    lungs over them.

    Raises:
        ValueError: see `segmentation`.
    """
    kind = kind or context.settings.options.segmentation
    if kind is SegmentationKind.OFF:
        return ()
    lungs = lung_segments(context)
    made = [segmentation(context, lungs, kind)] if lungs else []
    for found in context.findings:
        if regions := region_segments(context, found):
            made.append(segmentation(context, regions, kind, regions_content(context, found)))
    return tuple(made)


def are_drawn(context: ResultContext) -> bool:
    """Whether there are infections that a report refers to where there are segmentations."""
    return any(True for found in context.findings for _ in drawn_infections(context, found))


def segment_references(
    context: ResultContext, masks: Sequence[ResultObject]
) -> dict[int, SegmentReference]:
    """The segment of each infection that has one among `masks`, by its number."""
    of_regions = [each.data_set for each in masks if each.kind == REGIONS]
    drawn = [tuple(drawn_infections(context, found)) for found in context.findings]
    return {
        each.number: SegmentReference(
            str(made.SOPClassUID), str(made.SOPInstanceUID), str(made.SeriesInstanceUID), at
        )
        for made, infections in zip(of_regions, filter(None, drawn), strict=False)  # none: not made
        for at, each in enumerate(infections, start=1)
    }


def segmentation(
    context: ResultContext,
    segments: Sequence[Segment],
    kind: SegmentationKind,
    content: Content | None = None,
) -> ResultObject:
    """One Segmentation (PS3.3 section A.51) in a series of its own; `content`: None for the lungs.

    Frames without a voxel are left out. Each frame names the source frame it lies on.

    Raises:
        ValueError: there is no voxel at all, a mask has not the shape of the volume, or no
            segmentation is asked for.
    """
    shape = context.volume.hu.shape
    if not all(segment.lies_within(shape) for segment in segments):
        raise ValueError(f"a mask has not the shape of the volume, {shape}")
    if kind is SegmentationKind.OFF:
        raise ValueError("a segmentation is binary or a label map")
    label_map = kind is SegmentationKind.LABELMAP
    frames = frames_of(segments, label_map) if segments else ()
    if not frames:
        raise ValueError("a segmentation has at least one voxel")
    of = content or lungs_content(context)
    place = _place(kind, of)
    data_set = Dataset()
    _set_image(data_set, context, segments, label_map)
    data_set.ContentLabel = of.label
    dimensions = derived_uid("dimensions", of.kind, context.source_series_uid)
    set_dimensions(data_set, dimensions, not label_map)
    set_functional_groups(data_set, context, frames)
    _set_references(data_set, context, frames)
    pixels = label_bytes if label_map else packed_bits
    data_set.PixelData = pixels(segments, frames, (shape[1], shape[2]))
    data_set["PixelData"].VR = "OB"
    choices = frozenset({kind.value})
    made = ResultObject(of.kind, complete(data_set, place, context), choices)
    return named([made], *context.salt)[0]


def _place(kind: SegmentationKind, of: Content) -> Place:
    label_map = kind is SegmentationKind.LABELMAP
    sop_class = LabelMapSegmentationStorage if label_map else SegmentationStorage
    return Place(
        sop_class_uid=sop_class,
        series_number=of.series_number,
        instance_number=1,
        modality="SEG",
        series_description=f"{training_mark(of.training)}{of.description}"[:_LO_LIMIT],
    )


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
    own = derived_uid("frame of reference", context.source_series_uid)
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
    instances = sequence("ReferencedInstanceSequence", references(classes))
    series = element("SeriesInstanceUID", context.source_series_uid)
    set_sequence(data_set, "ReferencedSeriesSequence", [instances + series])
