"""A report that takes the place of another one names it, where it is known outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.analyse.predecessor import before_the_same, former_report, withdrawals
from dicomnode.decisions.result_options import ResultOptions, SegmentationKind, SrClass, Variant
from dicomnode.results.build import build_results
from dicomnode.results.common.context import Predecessor
from dicomnode.results.common.summary import summary
from dicomnode.results.report.report import structured_report
from storage.decided import FormerDecision, HistoryEntry, JsonObject, NodeLost, Withdrawal
from storage.records import (
    DeliveryRecord,
    DeliveryState,
    ResultRecord,
    SeriesDetail,
    SeriesState,
)
from support.result_samples import STUDY_UID, context, dciodvfy, options
from support.storage_samples import a_series

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SR = "1.2.840.10008.5.1.4.1.1.88.34"
VARIANT = ResultOptions().variant
FORMER = Predecessor(STUDY_UID, "2.25.10", SR, "2.25.11")


def report(uid: str, hours: int = 0, kind: str = "sr", choices: str = "") -> ResultRecord:
    made = NOW + timedelta(hours=hours)
    return ResultRecord(uid, SR, f"{uid}.1", "1.2.3", kind, f"{uid}.dcm", 10, made, choices)


def decision(digest: str, analysis: JsonObject | None, count: int = 60) -> FormerDecision:
    state = SeriesState.ANALYSED
    return FormerDecision(state, NOW, NOW, count, digest, None, (), analysis)


def withdrawal(*uids: str) -> Withdrawal:
    return Withdrawal(NOW, uids, 60, (), "safety", "Rejected for Patient Safety Reasons")


def delivery(result: ResultRecord, attempt: int, destination: str = "pacs") -> DeliveryRecord:
    state = DeliveryState.STORED if attempt else DeliveryState.FAILED
    nothing = None, None, None, None, None
    return DeliveryRecord(1, destination, state, attempt, NOW, *nothing, result)


def detail(
    results: Sequence[ResultRecord], deliveries: Sequence[DeliveryRecord] = ()
) -> SeriesDetail:
    return SeriesDetail(a_series(), results=tuple(results), deliveries=tuple(deliveries))


def test_the_first_report_names_none() -> None:
    assert former_report(detail([]), VARIANT) is None
    assert former_report(detail([report("2.25.5", kind="montage")]), VARIANT) is None
    first = structured_report(context()).data_set
    assert "PredecessorDocumentsSequence" not in first


def test_the_newest_report_is_named() -> None:
    several = [report("2.25.6", 1), report("2.25.7", 2), report("2.25.5")]
    found = former_report(detail(several), VARIANT)
    assert found == Predecessor(STUDY_UID, "2.25.7.1", SR, "2.25.7")


@pytest.mark.parametrize(
    ("sr_class", "segmentation", "named"),
    [
        (SrClass.COMPREHENSIVE_3D, SegmentationKind.BINARY, "2.25.6"),
        (SrClass.COMPREHENSIVE_3D, SegmentationKind.LABELMAP, "2.25.7"),
        (SrClass.ENHANCED, SegmentationKind.LABELMAP, "2.25.8"),
        (SrClass.COMPREHENSIVE, SegmentationKind.OFF, "2.25.8"),  # none yet: the newest of all
    ],
)
def test_of_several_variants_that_is_named_which_is_of_the_same(
    sr_class: SrClass, segmentation: SegmentationKind, named: str
) -> None:
    """The one without a segmentation is of all of its class."""
    several = [
        report("2.25.5", choices="binary comprehensive_3d"),
        report("2.25.6", 1, choices="binary comprehensive_3d"),
        report("2.25.7", 1, choices="comprehensive_3d labelmap"),
        report("2.25.8", 2, choices="enhanced"),
    ]
    found = former_report(detail(several), Variant(sr_class, segmentation))
    assert found is not None
    assert found.sop_instance_uid == named


@pytest.mark.parametrize(
    ("former_digest", "count", "why"),
    [
        ("c", 59, "more instances of the series came after it"),
        ("c", 60, "its instances came again with other content after it"),
        ("d", 60, "it was made by another model or other settings"),
    ],
)
def test_why_it_is_replaced(former_digest: str, count: int, why: str) -> None:
    """The sample's input has the digest d and 60 instances."""
    found = detail([report("2.25.5")])
    analysed = decision(former_digest, {"probabilities": {}}, count)
    entries = (analysed, withdrawal("2.25.5"))
    again = replace(found, series=replace(found.series, history=entries))
    former = former_report(again, VARIANT)
    assert former is not None
    assert former.why == why
    assert any(
        line.endswith(f": {why}.") for line in summary(context(predecessor=former)).split("\n")
    )


MADE: JsonObject = {"made_with": "m", "findings": []}
LOST = NodeLost(NOW + timedelta(hours=2), "node", "host", 0)


def again(*history: HistoryEntry) -> SeriesDetail:
    """A report of the first decision at NOW, and one of the second, an hour later; the input has
    the digest d."""
    found = detail([report("2.25.5"), report("2.25.6", 1)])
    return replace(found, series=replace(found.series, history=history))


def test_what_was_lost_with_its_node_is_made_again_as_it_was() -> None:
    """Else whoever has its report already would get a second one, of the same by the same."""
    first = decision("c", MADE)
    second = replace(decision("d", MADE), decided_at=NOW + timedelta(hours=1))
    known = before_the_same(again(first, second, LOST), "m")
    assert known.series.history == (first,)
    assert former_report(known, VARIANT) == Predecessor(
        STUDY_UID, "2.25.5.1", SR, "2.25.5", "its instances came again with other content after it"
    )
    only = replace(again(decision("d", MADE), LOST), results=(report("2.25.5"),))
    assert former_report(before_the_same(only, "m"), VARIANT) is None


@pytest.mark.parametrize(
    "history",
    [
        (),
        (decision("d", MADE),),
        (decision("c", MADE), LOST),
        (decision("d", {"made_with": "other", "findings": []}), LOST),
        (decision("d", MADE), withdrawal("2.25.5"), LOST),
        (decision("d", None), LOST),
    ],
)
def test_any_other_analysis_comes_after_the_one_before(history: tuple[HistoryEntry, ...]) -> None:
    found = again(*history)
    assert before_the_same(found, "m") == found


def test_after_a_failed_method_that_is_why() -> None:
    found = detail([report("2.25.5")])
    former = decision("d", {"failures": [{"rule": "x"}]})
    again = replace(found, series=replace(found.series, history=(former,)))
    named = former_report(again, VARIANT)
    assert named is not None
    assert named.why == "one of the two methods had failed in it"


def test_after_one_of_three_methods_failed_it_is_not_one_of_two() -> None:
    found = detail([report("2.25.5")])
    former = decision("d", {"failures": [{"rule": "x"}], "findings": [{}, {}]})
    named = former_report(replace(found, series=replace(found.series, history=(former,))), VARIANT)
    assert named is not None
    assert named.why == "not all of its methods had come to an answer"


def test_withdrawn_results_count_and_withdrawn_notes_do_not() -> None:
    found = detail([report("2.25.5"), report("2.25.6", kind="seg"), report("2.25.7", kind="note")])
    told = (withdrawal("2.25.5", "2.25.6"), withdrawal("2.25.7"))
    skipped = replace(decision("d", None), state=SeriesState.SKIPPED)
    again = replace(found, series=replace(found.series, history=(skipped, *told)))
    assert withdrawals(found) == 0
    assert withdrawals(again) == 1


def test_a_report_that_nobody_got_is_not_named() -> None:
    old, withheld = report("2.25.5"), report("2.25.6", 1)
    tried = [delivery(old, 2), delivery(withheld, 0)]
    found = former_report(detail([old, withheld], tried), VARIANT)
    assert found is not None
    assert found.sop_instance_uid == "2.25.5"
    assert former_report(detail([withheld], tried[1:]), VARIANT) is None


def test_a_report_that_one_of_two_destinations_got_is_named() -> None:
    old = report("2.25.5")
    tried = [delivery(old, 0, "archive"), delivery(old, 1, "pacs")]
    assert former_report(detail([old], tried), VARIANT) is not None


@pytest.mark.parametrize("sr_class", list(SrClass))
def test_the_report_refers_to_its_predecessor_and_is_valid(
    sr_class: SrClass, tmp_path: Path
) -> None:
    settings = options(sr_class=sr_class)
    made = structured_report(context(predecessor=FORMER, settings=settings))
    (study,) = made.data_set.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (instance,) = series.ReferencedSOPSequence
    assert (study.StudyInstanceUID, series.SeriesInstanceUID) == (STUDY_UID, "2.25.10")
    assert (instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID) == (SR, "2.25.11")
    errors, warnings = dciodvfy(made, tmp_path)
    assert errors == []
    assert warnings == dciodvfy(structured_report(context(settings=settings)), tmp_path)[1]


def test_the_summary_says_what_is_replaced_and_why() -> None:
    lines = summary(context(predecessor=FORMER)).splitlines()
    told = "Replaces an earlier report (2.25.11): more instances of the series came after it."
    assert told in lines
    assert not any(line.startswith("Replaces") for line in summary(context()).splitlines())


def test_only_the_report_names_it() -> None:
    for made in build_results(context(predecessor=FORMER)):
        assert ("PredecessorDocumentsSequence" in made.data_set) == (made.kind == "sr")
