"""What a row keeps of a decision is read back as it was, and so is what former releases kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.decided import (
    AnalysisMarks,
    FormerDecision,
    Reason,
    SeriesEvidence,
    SeriesQuality,
    Verdict,
    Withdrawal,
    Witness,
    history_entry,
    with_later,
)
from storage.records import SeriesState
from support.storage_samples import NOW, PASSED, THICK

TEXTS = st.text(max_size=9)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, UTC]))
REASONS = st.builds(
    Reason,
    TEXTS,
    TEXTS | NUMBERS | st.integers() | st.booleans() | st.none(),
    TEXTS | NUMBERS | st.none(),
    st.sampled_from(Verdict),
)
QUALITIES = st.builds(SeriesQuality, NUMBERS, NUMBERS, TEXTS, st.integers(0))
EVIDENCE = st.builds(
    SeriesEvidence,
    st.booleans(),
    TEXTS,
    TEXTS,
    st.none() | MOMENTS,
    st.none() | TEXTS,
    st.lists(st.builds(Witness, TEXTS, TEXTS, TEXTS), max_size=2).map(tuple),
    st.none() | st.integers(0),
    st.none() | QUALITIES,
    st.none() | MOMENTS,
    st.none() | st.lists(TEXTS, max_size=2).map(tuple),
)
FORMER = st.builds(
    FormerDecision,
    st.sampled_from(SeriesState),
    st.none() | MOMENTS,
    st.none() | MOMENTS,
    st.integers(0),
    st.none() | TEXTS,
    st.none() | EVIDENCE,
    st.lists(REASONS, max_size=2).map(tuple),
    st.none() | st.just({"probabilities": {}}),
    st.none() | MOMENTS,
)
WITHDRAWALS = st.builds(
    Withdrawal,
    MOMENTS,
    st.lists(TEXTS).map(tuple),
    st.integers(0),
    st.lists(TEXTS).map(tuple),
    TEXTS,
    TEXTS,
)


@given(FORMER | WITHDRAWALS)
def test_an_entry_of_the_history_is_read_back_as_it_was(
    entry: FormerDecision | Withdrawal,
) -> None:
    assert history_entry(entry.as_json()) == entry


@given(EVIDENCE)
def test_evidence_is_read_back_as_it_was(evidence: SeriesEvidence) -> None:
    assert SeriesEvidence.from_json(evidence.as_json()) == evidence


def test_what_former_releases_kept_lacks_what_came_later() -> None:
    """The one before the acquisitions of a scan, and one that knew no witnesses at all."""
    since = "2026-11-28T09:25:36.056509+00:00"
    kept: dict[str, Any] = {
        "complete": True,
        "basis": "association_lost",
        "evidence": "association lost, then 0.2 s without another instance",
        "look_again_at": None,
        "closed_by": "quiet_period",
        "pieces": [{"witness": "slices", "says": "supports", "evidence": "12 slices"}],
        "instances": 12,
        "quality": {
            "slice_spacing_mm": 2.5,
            "coverage_mm": 30.0,
            "kernel": "",
            "slice_count": 12,
        },
        "eligible_since": since,
    }
    read = SeriesEvidence.from_json(kept)
    assert read.as_json() == kept
    assert (read.eligible_since, read.acquisitions) == (datetime.fromisoformat(since), None)
    oldest = SeriesEvidence.from_json({"evidence": "released"})
    assert (oldest.complete, oldest.evidence, oldest.pieces) == (True, "released", ())
    entry = history_entry(
        {
            "state": "skipped",
            "decided_at": since,
            "instance_count": 2,
            "input_digest": "d",
            "completeness": {"evidence": "released"},
            "reasons": [PASSED.as_json()],
        }
    )
    assert isinstance(entry, FormerDecision)
    assert (entry.state, entry.completeness, entry.removed_at) == (
        SeriesState.SKIPPED,
        oldest,
        None,
    )


@pytest.mark.parametrize("later", [[], [THICK], [PASSED, THICK]])
def test_a_rule_that_is_judged_again_counts_as_it_was_judged_last(later: list[Reason]) -> None:
    before = (Reason("modality", "MR", "CT", Verdict.FAIL),)
    found = with_later(before, later)
    assert [each for each in found if each.rule == "modality"] == (
        [PASSED] if PASSED in later else list(before)
    )
    assert (THICK in found) == (THICK in later)


def test_a_withdrawal_has_the_state_and_no_reasons() -> None:
    entry = Withdrawal(NOW, ("2.25.1",), 12, ("PACS",), "safety", "title")
    assert (entry.state, entry.reasons) == ("retracted", ())
    assert entry.as_json()["state"] == "retracted"


@pytest.mark.parametrize(
    ("kept", "marks"),
    [
        ({}, AnalysisMarks("", 0, 0)),
        ({"probabilities": {"covid": 0.2}, "regions": None}, AnalysisMarks("", 1, 0)),
        ({"probabilities": {"covid": 0.2}, "regions": {"noisy_or": {}}}, AnalysisMarks("", 2, 0)),
        (
            {"made_with": "d", "findings": [{}], "failures": [{}, {}], "seconds": {}},
            AnalysisMarks("d", 1, 2),
        ),
    ],
)
def test_what_decides_of_an_analysis_is_read_from_every_release(
    kept: dict[str, Any], marks: AnalysisMarks
) -> None:
    assert AnalysisMarks.from_json(kept) == marks
