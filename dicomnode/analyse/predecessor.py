"""Which earlier report on a series the next one names as its predecessor.

Where reports are made in several variants, each names the one before it in the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dicomnode.decisions.result_options import Variant
from dicomnode.results.common.context import Predecessor
from storage.decided import AnalysisMarks, FormerDecision, NodeLost, Withdrawal
from storage.records import (
    NOTE_KIND,
    RETRACTION_KIND,
    DeliveryRecord,
    ResultRecord,
    SeriesDetail,
)

_MORE_CAME = "more instances of the series came after it"
_CAME_AGAIN = "its instances came again with other content after it"
_OTHER_MODEL = "it was made by another model or other settings"
_HALF = "one of the two methods had failed in it"
_PART = "not all of its methods had come to an answer"


def before_the_same(detail: SeriesDetail, made_with: str) -> SeriesDetail:
    """The series as it was before it was analysed of the same, by the same: that is made again
    where its results were lost with their node, and is to say the same again.

    `made_with`: `analysis_digest` of the analysis to come.
    """
    while (former := _last_analysed(detail)) is not None:
        at, decision = former
        made = AnalysisMarks.from_json(decision.analysis or {})
        same = decision.input_digest == detail.series.input_digest and made.made_with == made_with
        if not same or made.failed or decision.decided_at is None:
            break
        history = detail.series.history[:at]
        results = tuple(e for e in detail.results if e.created_at < decision.decided_at)
        detail = replace(detail, series=replace(detail.series, history=history), results=results)
    return detail


def _last_analysed(detail: SeriesDetail) -> tuple[int, FormerDecision] | None:
    """With its place in the history; None too where it was not lost, or withdrawn since."""
    lost = False
    for at in reversed(range(len(detail.series.history))):
        entry = detail.series.history[at]
        lost |= isinstance(entry, NodeLost)
        if isinstance(entry, Withdrawal):
            return None
        if isinstance(entry, FormerDecision) and entry.analysis:
            return (at, entry) if lost else None
    return None


def former_report(detail: SeriesDetail, variant: Variant) -> Predecessor | None:
    """The newest report on the series that may be known outside; None when there is none.

    Of those in the variant, if there is one. A report that was withheld before anybody got it is
    not named: who looks it up would not find it. Without any destination the reports are read where
    they are made, so all of them count.
    """
    reports = [each for each in detail.results if each.kind == "sr"]
    known = [each for each in reports if _known_outside(each, detail.deliveries)]
    if not known:
        return None
    alike = [each for each in known if variant.choices.issuperset(each.choices.split())]
    newest = max(alike or known, key=lambda each: each.created_at)
    return Predecessor(
        study_instance_uid=detail.series.study_instance_uid,
        series_instance_uid=newest.result_series_instance_uid,
        sop_class_uid=newest.sop_class_uid,
        sop_instance_uid=newest.sop_instance_uid,
        why=_why(detail),
    )


def withdrawals(detail: SeriesDetail) -> int:
    """How often results of analyses of the series were withdrawn; notes do not count.

    What retention has removed counts: the same analysis again must not bear the same UIDs.
    """
    notes = {
        each.sop_instance_uid
        for each in detail.results
        if each.kind in {NOTE_KIND, RETRACTION_KIND}
    }
    return sum(
        1
        for entry in detail.series.history
        if isinstance(entry, Withdrawal) and not notes & set(entry.retracted)
    )


def _why(detail: SeriesDetail) -> str:
    if _other_input(detail):
        return _CAME_AGAIN if _as_many(detail) else _MORE_CAME
    made = [each.analysis for each in detail.series.former_decisions if each.analysis]
    marks = AnalysisMarks.from_json(made[-1] if made else {})
    if not marks.failed:
        return _OTHER_MODEL
    return _HALF if marks.failed + marks.answered <= 2 else _PART


def _as_many(detail: SeriesDetail) -> bool:
    """Whether the analysis before this one was of so many instances, too."""
    counts = [each.instance_count for each in detail.series.former_decisions if each.analysis]
    return counts[-1:] == [detail.series.instance_count]


def _other_input(detail: SeriesDetail) -> bool:
    """Whether the input is another than at the decision before this one."""
    former = [each.input_digest for each in detail.series.former_decisions if each.input_digest]
    return not former or former[-1] != detail.series.input_digest


def _known_outside(report: ResultRecord, deliveries: Sequence[DeliveryRecord]) -> bool:
    """An attempt without an answer may have arrived all the same."""
    uid = report.sop_instance_uid
    own = [each for each in deliveries if each.result.sop_instance_uid == uid]
    return not own or any(each.attempt > 0 for each in own)
