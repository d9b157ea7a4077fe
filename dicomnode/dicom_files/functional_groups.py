"""Multi-frame CT taken apart: for each frame a data set as if it were an instance of one slice.

PS3.3 C.7.6.16: what all frames share stands in the Shared Functional Groups Sequence (5200,9229),
what differs in the Per-Frame Functional Groups Sequence (5200,9230), one item a frame in the order
of the frames. Decisions, decoding and results then need not know the difference.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicomnode.dicom_files.attributes import AttributeReader

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_CONVERTED_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.2"
MULTI_FRAME_CT = frozenset({ENHANCED_CT, LEGACY_CONVERTED_ENHANCED_CT})
"""SOP classes whose frames have functional groups (PS3.3 A.38.1 and A.70)."""

_LEGACY_ATTRIBUTES = (
    *("ImageType", "InstanceNumber", "AcquisitionNumber", "AcquisitionDateTime"),
    *("AcquisitionTime", "ConvolutionKernel", "GantryDetectorTilt", "KVP", "SliceThickness"),
    *("TemporalPositionIdentifier", "NominalPercentageOfCardiacPhase", "PixelPaddingValue"),
    *("ContrastBolusAgent", "ContrastBolusRoute", "ContrastBolusVolume"),
    *("ContrastBolusStartTime", "ContrastFlowRate", "ImageComments", "ImagesInAcquisition"),
    *("ContrastBolusStopTime", "ContrastBolusTotalDose", "ContrastFlowDuration"),
    *("ContrastBolusIngredient", "ContrastBolusAgentSequence", "DerivationDescription"),
    *("SeriesDescription", "ProtocolName", "MultienergyCTAcquisition", "QualityControlImage"),
    *("RequestAttributesSequence", "PerformedProcedureStepDescription"),
)

GROUPS: dict[str, tuple[str, ...]] = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),  # C.7.6.16.2.1
    "FrameContentSequence": (  # C.7.6.16.2.2
        *("FrameAcquisitionNumber", "FrameAcquisitionDateTime", "StackID"),
        *("TemporalPositionIndex", "FrameComments"),
    ),
    "PlanePositionSequence": ("ImagePositionPatient",),  # C.7.6.16.2.3
    "PlaneOrientationSequence": ("ImageOrientationPatient",),  # C.7.6.16.2.4
    "IrradiationEventIdentificationSequence": ("IrradiationEventUID",),  # C.7.6.16.2.20
    "CardiacSynchronizationSequence": ("NominalPercentageOfCardiacPhase",),  # C.7.6.16.2.7
    "PixelValueTransformationSequence": (  # C.7.6.16.2.9 and C.8.15.3.10
        *("RescaleIntercept", "RescaleSlope", "RescaleType"),
    ),
    "ContrastBolusUsageSequence": ("ContrastBolusAgentPhase",),  # C.7.6.16.2.12
    "CTImageFrameTypeSequence": ("FrameType", "VolumeBasedCalculationTechnique"),  # C.8.15.3.1
    "CTAcquisitionDetailsSequence": ("GantryDetectorTilt",),  # C.8.15.3.3
    "CTReconstructionSequence": ("ConvolutionKernel",),  # C.8.15.3.6
    "CTXRayDetailsSequence": ("KVP",),  # C.8.15.3.9
    "UnassignedSharedConvertedAttributesSequence": _LEGACY_ATTRIBUTES,  # C.7.6.16.2.25
    "UnassignedPerFrameConvertedAttributesSequence": _LEGACY_ATTRIBUTES,  # C.7.6.16.2.26
}
"""Functional group to those of its attributes that are read. No others are taken over: a frame
must not bring a SOP Instance UID or a patient of its own."""


WHOLE_GROUPS = (
    "ContrastBolusUsageSequence",  # C.7.6.16.2.12, an item for each agent
    "RealWorldValueMappingSequence",  # C.7.6.16.2.11, an item for each mapping
    "MultienergyCTCharacteristicsSequence",  # C.8.15.3.14
)
"""Functional groups whose items are taken over as they stand."""


def is_multi_frame_ct(data_set: Dataset) -> bool:
    """Whether the SOP class is one whose frames are described by functional groups."""
    return AttributeReader(data_set).uid("SOPClassUID") in MULTI_FRAME_CT


def number_of_frames(data_set: Dataset) -> int:
    return AttributeReader(data_set).integer("NumberOfFrames") or 1


def described_frames(data_set: Dataset) -> int:
    """How many items the Per-Frame Functional Groups Sequence has."""
    return len(_items(data_set, "PerFrameFunctionalGroupsSequence"))


def frame_data_sets(data_set: Dataset) -> Iterator[Dataset]:
    """One flat data set for each item of the Per-Frame Functional Groups Sequence.

    The value in the frame's own group goes before the shared one, and that before the one at the
    top level. The elements are those of `data_set`, not copies, and stay as they were received.
    """
    own = _items(data_set, "PerFrameFunctionalGroupsSequence")
    shared = _items(data_set, "SharedFunctionalGroupsSequence")
    top = _without_groups(data_set)
    for each in shared[:1]:
        _take(top, each)
    for each in own:
        frame = _copy(top)
        _take(frame, each)
        yield frame


def _without_groups(data_set: Dataset) -> Dataset:
    top = _copy(data_set)
    for keyword in (
        *("NumberOfFrames", "SharedFunctionalGroupsSequence"),
        "PerFrameFunctionalGroupsSequence",
    ):
        tag = BaseTag(tag_for_keyword(keyword) or 0)
        if tag in top:
            del top[tag]
    return top


def _copy(data_set: Dataset) -> Dataset:
    """Another data set with the same elements, and the encoding in which they were received."""
    copy = Dataset()
    for tag in data_set.keys():  # noqa: SIM118 - iterating a Dataset converts its elements
        copy[tag] = data_set.get_item(tag, keep_deferred=True)
    implicit, little = data_set.original_encoding
    copy.set_original_encoding(implicit, little, data_set.original_character_set)
    if (meta := getattr(data_set, "file_meta", None)) is not None:
        copy.file_meta = meta
    return copy


def _take(frame: Dataset, groups: Dataset) -> None:
    for sequence in WHOLE_GROUPS:
        tag = BaseTag(tag_for_keyword(sequence) or 0)
        if tag in groups:
            frame[tag] = groups.get_item(tag, keep_deferred=True)
    for sequence, keywords in GROUPS.items():
        for item in _items(groups, sequence)[:1]:
            for keyword in keywords:
                tag = BaseTag(tag_for_keyword(keyword) or 0)
                if tag in item:
                    frame[tag] = item.get_item(tag, keep_deferred=True)


def _items(data_set: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none where it is absent or no sequence of data sets."""
    return AttributeReader(data_set).items(keyword)
