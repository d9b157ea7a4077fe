"""The Structured Report: TID 1500, the answer first.

Each method has a measurement group of its own, and one for each region it found (`groups`); of a
method that failed there is none, and the last container says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from highdicom import sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
)

from dicomnode.decisions.method_failure import MethodFailure
from dicomnode.decisions.result_options import SrClass, Variant
from dicomnode.results.common import codes
from dicomnode.results.common.context import ResultContext, ResultObject
from dicomnode.results.common.encoding import element, references, sequence, set_sequence
from dicomnode.results.common.modules import Place, complete, series_description
from dicomnode.results.common.naming import UNNAMED, named
from dicomnode.results.common.summary import summary
from dicomnode.results.documents.text_document import predecessor_item
from dicomnode.results.report.groups import measurement_groups
from dicomnode.results.report.library import image_library
from dicomnode.results.segmentation.segmentation import (
    SegmentReference,
    are_drawn,
    segment_references,
    segmentations,
)
from inference.findings import PRIVATE_SCHEME, Findings

_CLASSES: dict[SrClass, tuple[type, UID]] = {
    SrClass.ENHANCED: (sr.EnhancedSR, EnhancedSRStorage),
    SrClass.COMPREHENSIVE: (sr.ComprehensiveSR, ComprehensiveSRStorage),
    SrClass.COMPREHENSIVE_3D: (sr.Comprehensive3DSR, Comprehensive3DSRStorage),
}
_CONTAINS = sr.RelationshipTypeValues.CONTAINS

Segments = Mapping[int, SegmentReference]


def structured_report(
    context: ResultContext,
    masks: Sequence[ResultObject] | None = None,
    variant: Variant | None = None,
) -> ResultObject:
    """The report of one analysis, in a series of its own.

    `masks`: the segmentations of the analysis in this variant, which it refers to; None where they
    are not made yet. `variant`: None for that of the settings.
    """
    variant = variant or context.settings.options.variant
    sop_class, sop_class_uid = _CLASSES[variant.sr_class]
    place = Place(
        sop_class_uid=sop_class_uid,
        series_number=context.settings.options.sr_series_number,
        instance_number=1,
        modality="SR",
        series_description=series_description("chest CT report", context, context.training),
    )
    masks = segmentations(context, variant.segmentation) if masks is None else masks
    segments = segment_references(context, masks)
    root, content = _content(context, segments)
    document = sop_class(
        evidence=[_study(context)],
        content=root,
        series_instance_uid=UNNAMED,
        series_number=place.series_number,
        sop_instance_uid=UNNAMED,
        instance_number=place.instance_number,
        is_complete=True,
        coding_schemes=_private_schemes(context),
    )
    data_set = Dataset()
    data_set.update(document)
    data_set.ContentSequence = content
    _separate(data_set)
    _set_evidence(data_set, context, segments)
    if context.predecessor is not None:
        data_set.PredecessorDocumentsSequence = [predecessor_item(context.predecessor)]
    choices = variant.choices if are_drawn(context) else frozenset({variant.sr_class.value})
    made = ResultObject("sr", complete(data_set, place, context), choices)
    return named([made], *context.salt, contents=[_timeless(made, context)])[0]


def _timeless(made: ResultObject, context: ResultContext) -> ResultObject:
    """The same report whenever, and by whatever sign, it was known that all had come: an analysis
    that is made again, of the same by the same, makes no other report."""
    content = Dataset()
    content.update(made.data_set)
    content.file_meta = made.data_set.file_meta
    text = summary(replace(context, completeness=""))
    answer = sr.TextContentItem(codes.SUMMARY, text, _CONTAINS)
    items = made.data_set.ContentSequence
    del content.ContentSequence  # else the element that both share would be changed
    content.ContentSequence = [answer if _is_summary(item) else item for item in items]
    return replace(made, data_set=content)


def _is_summary(item: Dataset) -> bool:
    (name,) = item.ConceptNameCodeSequence
    return bool(name.CodeValue == codes.SUMMARY.value)


def _private_schemes(context: ResultContext) -> list[CodingSchemeIdentificationItem]:
    """Coding Scheme Identification (PS3.3 section C.12.1.1.1): ours, then those of cards."""
    names = {PRIVATE_SCHEME: codes.PRIVATE_SCHEME_NAME}
    for found in context.findings:
        for each in (*found.answer.classes, found.answer.outcome):
            if each.scheme.startswith("99"):
                names.setdefault(each.scheme, f"Private codes of the model {found.model.name}"[:64])
    return [CodingSchemeIdentificationItem(*each) for each in names.items()]


def _separate(item: Dataset) -> None:
    """Continuity of Content (PS3.3 section C.18.8) of the container and of all within it.

    highdicom writes CONTINUOUS, flowing text: readers then show numbers without their names.
    """
    if item.ValueType == "CONTAINER":
        item.ContinuityOfContent = "SEPARATE"
    for child in item.get("ContentSequence", ()):
        _separate(child)


def _study(context: ResultContext) -> Dataset:
    """An instance of the study, with only what highdicom reads; the identity is set afterwards."""
    item = Dataset()
    item.SOPClassUID = context.slices[0].sop_class_uid
    item.SOPInstanceUID = item.SeriesInstanceUID = UNNAMED
    item.StudyInstanceUID = context.header.study_instance_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(item, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        setattr(item, keyword, "")
    return item


def _set_evidence(data_set: Dataset, context: ResultContext, segments: Segments) -> None:
    """All analysed instances, and the segmentations that the regions refer to (PS3.3 C.17.2)."""
    of_source = {source.sop_instance_uid: source.sop_class_uid for source in context.slices}
    by_series = {context.source_series_uid: of_source}
    for each in segments.values():
        of_regions = by_series.setdefault(each.series_instance_uid, {})
        of_regions[each.sop_instance_uid] = each.sop_class_uid
    series = [
        sequence("ReferencedSOPSequence", references(instances))
        + element("SeriesInstanceUID", series_uid)
        for series_uid, instances in by_series.items()
    ]
    study = element("StudyInstanceUID", context.header.study_instance_uid)
    items = [sequence("ReferencedSeriesSequence", series) + study]
    set_sequence(data_set, "CurrentRequestedProcedureEvidenceSequence", items)


def _content(context: ResultContext, segments: Segments) -> tuple[Dataset, sr.ContentSequence]:
    """The root of the tree with its head alone, and what stands in it: context, summary, images,
    measurements, and last what became of the analysis.

    highdicom copies what it is given, and searches it twice for references.
    """
    root = sr.MeasurementReport(
        observation_context=_observation_context(context),
        procedure_reported=codes.PROCEDURE,
        imaging_measurements=measurement_groups(context, segments),
        title=codes.REPORT_TITLE,
    )[0]
    *head, measurements = root.ContentSequence
    answer = sr.TextContentItem(codes.SUMMARY, summary(context), _CONTAINS)
    body = [answer, image_library(context), measurements, _evaluations(context)]
    root.ContentSequence = sr.ContentSequence(head)
    return root, sr.ContentSequence([*head, *body])


def _observation_context(context: ResultContext) -> sr.ObservationContext:
    """TID 1001, 1002, 1004: a device observed, no person."""
    settings = context.settings
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=settings.device_uid,
        name=settings.product_name,
        manufacturer_name=settings.manufacturer,
        model_name=f"{settings.product_name} {settings.software_version}",
        serial_number=settings.device_serial_number,
    )
    observer_type = sr.CodedConcept.from_code(codes.DEVICE)
    return sr.ObservationContext(observer_device_context=sr.ObserverContext(observer_type, device))


def _evaluations(context: ResultContext) -> sr.ContainerContentItem:
    """TID 1500, row 12: what became of the analysis; where one method failed, of each and why."""
    outcome = codes.PARTIALLY_SUCCEEDED if context.failures else codes.SUCCEEDED
    items: list[sr.ContentItem] = [
        sr.CodeContentItem(codes.SUMMARY_OF_ANALYSES, outcome, _CONTAINS)
    ]
    if context.failures:
        items += [_analysis(each) for each in context.outcomes]
        items += [
            sr.TextContentItem(codes.WHY_FAILED, failure.sentence, _CONTAINS)
            for failure in context.failures
        ]
    container = sr.ContainerContentItem(codes.QUALITATIVE_EVALUATIONS, relationship_type=_CONTAINS)
    container.ContentSequence = sr.ContentSequence(items)
    return container


def _analysis(outcome: Findings | MethodFailure) -> sr.CodeContentItem:
    """What became of one method."""
    if isinstance(outcome, Findings):
        name, became = codes.analysis_name(outcome.title.key, outcome.title.words), codes.SUCCEEDED
    else:
        name, became = codes.analysis_name(outcome.method, outcome.words), codes.FAILED
    return sr.CodeContentItem(name, became, _CONTAINS)
