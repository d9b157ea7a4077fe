"""One object of every kind that this product makes, for the validators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from pydicom.uid import Comprehensive3DSRStorage

from dicomnode.decisions.method_failure import MethodFailure
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.decisions.rejection import RejectionReason
from dicomnode.decisions.result_options import AllSlices, SegmentationKind, SrClass
from dicomnode.results.build import ResultObject, build_results
from dicomnode.results.common.context import Predecessor
from dicomnode.results.common.patient import normalised_header
from dicomnode.results.documents.note import SeriesNotAnalysed, note_objects
from dicomnode.results.documents.retraction import Rejected, rejection_note, superseding_report
from dicomnode.results.documents.text_document import TextOrigin
from dicomnode.results.pictures.all_slices import all_slices
from inference.covnet.engine import Engine
from inference.location_attention.engine import RegionEngine
from support.region_samples import COVID, FLU, region, regions
from support.result_samples import SETTINGS, STUDY_UID, context, source, with_settings

THICK = Reason("slice_thickness", 5.0, "at most 3 mm", Verdict.FAIL)
FORMER = Predecessor(STUDY_UID, "2.25.10", Comprehensive3DSRStorage, "2.25.11")
FAILED = {
    title.key: MethodFailure(title.key, title.words, "Example 1.0", "network_output", "not finite")
    for title in (Engine.title, RegionEngine.title)
}
DOCUMENTS = (
    "report",
    "report of both methods",
    "report with regions that failed",
    "report with a classification that failed",
    "report in the place of another",
    "comprehensive report",
    "enhanced report",
    "note of a skipped series",
    "note of a failed series",
    "rejection note",
    "report in the place of a withdrawn one",
    "report in the place of a note",
)
"""Those that have a content tree."""

PICTURES = (
    "montage",
    "key slice",
    "slice",
    "all slices in one",
    "page of a note",
    "lungs",
    "regions",
    "label map",
)


@cache
def every_kind() -> dict[str, ResultObject]:
    """By name; made once, and not to be changed."""
    return dict(_results()) | dict(_notes()) | dict(_retractions())


def _results() -> Iterator[tuple[str, ResultObject]]:
    one = build_results(context())
    found = regions(region(COVID, 0.75), region(FLU, 0.6))
    both = build_results(context(regions=found))
    named = {each.kind: each for each in one}
    yield "report", named["sr"]
    yield "montage", named["montage"]
    yield "key slice", named["key_slice"]
    yield "lungs", named["seg"]
    yield "label map", build_results(with_settings(segmentation=SegmentationKind.LABELMAP))[-1]
    yield "report of both methods", both[0]
    yield "regions", both[-1]
    yield from _with_a_failure()
    later = context(predecessor=FORMER, input_digest="cd" * 32)
    yield "report in the place of another", build_results(later)[0]
    for multi_frame in (False, True):
        as_jpeg = with_settings(all_slices=AllSlices.JPEG, multi_frame=multi_frame)
        yield "all slices in one" if multi_frame else "slice", all_slices(as_jpeg)[0]
    for sr_class in (SrClass.COMPREHENSIVE, SrClass.ENHANCED):
        yield f"{sr_class.value} report", build_results(with_settings(sr_class=sr_class))[0]


def _with_a_failure() -> Iterator[tuple[str, ResultObject]]:
    failed = context(failures=(FAILED["regions"],))
    yield "report with regions that failed", build_results(failed)[0]
    failed = context(
        findings=None,
        regions=regions(region(COVID, 0.75)),
        failures=(FAILED["lungs"],),
    )
    yield "report with a classification that failed", build_results(failed)[0]


def _origin() -> TextOrigin:
    moment = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    return TextOrigin(normalised_header([source(0)]), moment, SETTINGS)


def _notes() -> Iterator[tuple[str, ResultObject]]:
    skipped = SeriesNotAnalysed("1.2.3", "3", "Thorax 5.0", 60, False, "d", (THICK,))
    text, page = _note(skipped)
    yield "note of a skipped series", text
    yield "page of a note", page
    fault = Reason("fault", "ValueError", None, Verdict.FAIL)
    yield "note of a failed series", _note(replace(skipped, failed=True, reasons=(fault,)))[0]


def _note(series: SeriesNotAnalysed) -> tuple[ResultObject, ...]:
    return note_objects(_origin(), [series], whole_study=True, series_number=9004)


def _retractions() -> Iterator[tuple[str, ResultObject]]:
    results, note = build_results(context()), dict(_notes())["note of a skipped series"]
    safety, outdated = RejectionReason.SAFETY, RejectionReason.OUTDATED
    rejected = [_rejected(each) for each in results]
    yield "rejection note", rejection_note(_origin(), rejected, safety, 9006)
    instead = superseding_report(_origin(), results[0].data_set, rejected, safety)
    yield "report in the place of a withdrawn one", instead
    instead = superseding_report(_origin(), note.data_set, [_rejected(note)], outdated)
    yield "report in the place of a note", instead


def _rejected(result: ResultObject) -> Rejected:
    data_set = result.data_set
    return Rejected(data_set.SeriesInstanceUID, result.sop_class_uid, result.sop_instance_uid)
