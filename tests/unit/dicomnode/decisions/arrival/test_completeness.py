"""Completeness: how long silence must last after what the sender did, and what shortens it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.arrival.arrival_evidence import (
    Announcement,
    HeaderEvidence,
    PacsCount,
    Source,
    Weight,
)
from dicomnode.decisions.arrival.completeness import (
    Basis,
    CompletenessPolicy,
    incomplete_reason,
    judge_completeness,
    worth_asking,
)
from dicomnode.decisions.reasons import Verdict
from storage.records import AssociationEnd, SeriesArrival

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
POLICY = CompletenessPolicy()
ARRIVAL = SeriesArrival(
    series_key="1.2.3",
    series_instance_uid="1.2.3",
    study_instance_uid="1.2",
    instance_count=60,
    first_received_at=START,
    last_received_at=START,
    open_associations=0,
    last_association_ended_at=START + timedelta(seconds=1),
    last_association_end=AssociationEnd.RELEASED,
)


@pytest.mark.parametrize(
    ("end", "still_open", "basis", "complete_after"),
    [
        (AssociationEnd.RELEASED, 0, Basis.RELEASED, 1 + POLICY.quiet_seconds),
        (AssociationEnd.ABORTED, 0, Basis.ABORTED, 1 + POLICY.aborted_quiet_seconds),
        (AssociationEnd.LOST, 0, Basis.LOST, 1 + POLICY.lost_quiet_seconds),
        (None, 0, Basis.LOST, 1 + POLICY.lost_quiet_seconds),
        (AssociationEnd.RELEASED, 1, Basis.OPEN, POLICY.open_quiet_seconds),
    ],
)
def test_how_long_silence_must_last(
    end: AssociationEnd | None, still_open: int, basis: Basis, complete_after: float
) -> None:
    arrival = replace(ARRIVAL, last_association_end=end, open_associations=still_open)
    due = START + timedelta(seconds=complete_after)
    before = judge_completeness(arrival, POLICY, due - timedelta(seconds=0.1))
    assert (before.complete, before.basis, before.look_again_at) == (False, basis, due)
    after = judge_completeness(arrival, POLICY, due)
    assert (after.complete, after.basis, after.look_again_at) == (True, basis, None)


def test_the_evidence_is_a_sentence() -> None:
    found = judge_completeness(ARRIVAL, POLICY, START + timedelta(seconds=6))
    assert found.evidence == "association released, then 5.0 s without another instance"
    early = judge_completeness(ARRIVAL, POLICY, START + timedelta(seconds=3))
    assert early.evidence.endswith("2.0 s without another instance; complete after 5.0 s")
    assert early.noted(60).as_json() == {
        "complete": False,
        "basis": "association_released",
        "evidence": early.evidence,
        "look_again_at": "2026-01-05T08:00:06+00:00",
        "closed_by": None,
        "pieces": [
            {
                "witness": "association",
                "says": "supports",
                "evidence": "sender: association released after 60 instances",
            }
        ],
        "instances": 60,
    }


def test_an_instance_after_the_last_end_restarts_the_silence() -> None:
    arrival = replace(ARRIVAL, last_received_at=START + timedelta(seconds=4))
    found = judge_completeness(arrival, POLICY, START + timedelta(seconds=8))
    assert found.look_again_at == START + timedelta(seconds=9)


def test_a_clock_set_back_makes_nothing_complete() -> None:
    found = judge_completeness(ARRIVAL, POLICY, START - timedelta(hours=1))
    assert not found.complete
    assert "0.0 s" in found.evidence


@given(
    st.integers(0, 3),
    st.sampled_from([None, *AssociationEnd]),
    st.none() | st.floats(-100, 100),
    st.floats(0, 1000),
)
def test_looking_again_when_told_finds_it_complete(
    still_open: int, end: AssociationEnd | None, ended: float | None, looked: float
) -> None:
    ended_at = None if ended is None else START + timedelta(seconds=ended)
    arrival = replace(
        ARRIVAL,
        open_associations=still_open,
        last_association_end=end,
        last_association_ended_at=ended_at,
    )
    found = judge_completeness(arrival, POLICY, START + timedelta(seconds=looked))
    assert found.complete == (found.look_again_at is None)
    if found.look_again_at is not None:
        assert judge_completeness(arrival, POLICY, found.look_again_at).complete


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_policy_that_never_or_always_waits_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="lost_quiet_seconds"):
        CompletenessPolicy(lost_quiet_seconds=seconds)


ENDED = START + timedelta(seconds=1)
EVEN = HeaderEvidence(slices=60, missing=0)
GAP = HeaderEvidence(slices=60, missing=2)


def pacs(count: int | None) -> PacsCount:
    return PacsCount("pacs", ENDED + timedelta(seconds=1), count, "C-FIND at SERIES level")


def headers(count: int, binding: bool, base: HeaderEvidence = EVEN) -> HeaderEvidence:
    return replace(base, announced=(Announcement("count", count, 60, binding),))


@pytest.mark.parametrize(
    ("told", "seen", "closed_by", "after"),
    [
        (pacs(60), None, Source.PACS_COUNT, POLICY.proven_quiet_seconds),
        (pacs(60), EVEN, Source.PACS_COUNT, POLICY.proven_quiet_seconds),
        (pacs(60), GAP, Source.PACS_COUNT, POLICY.quiet_seconds),
        (pacs(60), headers(64, True), Source.PACS_COUNT, POLICY.quiet_seconds),
        (pacs(59), EVEN, Source.QUIET_PERIOD, POLICY.quiet_seconds),
        (pacs(None), EVEN, Source.QUIET_PERIOD, POLICY.quiet_seconds),
        (pacs(64), EVEN, Source.TIME_OUT, POLICY.incomplete_after_seconds),
        (pacs(64), headers(60, True), Source.TIME_OUT, POLICY.incomplete_after_seconds),
        (pacs(59), GAP, Source.TIME_OUT, POLICY.incomplete_after_seconds),
        (None, EVEN, Source.QUIET_PERIOD, POLICY.quiet_seconds),
        (None, GAP, Source.TIME_OUT, POLICY.incomplete_after_seconds),
        (None, headers(60, True), Source.HEADER_COUNT, POLICY.proven_quiet_seconds),
        (None, headers(60, False), Source.HEADER_COUNT, POLICY.proven_quiet_seconds),
        (None, headers(60, True, GAP), Source.TIME_OUT, POLICY.incomplete_after_seconds),
        (None, headers(64, True), Source.TIME_OUT, POLICY.incomplete_after_seconds),
        (None, headers(64, False), Source.QUIET_PERIOD, POLICY.doubted_quiet_seconds),
        (None, headers(30, True), Source.QUIET_PERIOD, POLICY.quiet_seconds),
    ],
)
def test_what_closes_a_released_series_and_when(
    told: PacsCount | None, seen: HeaderEvidence | None, closed_by: Source, after: float
) -> None:
    due = ENDED + timedelta(seconds=after)
    before = judge_completeness(ARRIVAL, POLICY, due - timedelta(seconds=0.1), told, seen)
    assert (before.closed, before.complete, before.look_again_at) == (False, False, due)
    found = judge_completeness(ARRIVAL, POLICY, due, told, seen)
    assert (found.closed, found.closed_by) == (True, closed_by)
    assert found.complete == (closed_by is not Source.TIME_OUT)


def test_the_sentence_names_who_counted_and_the_record_all_who_were_heard() -> None:
    now = ENDED + timedelta(seconds=1)
    found = judge_completeness(ARRIVAL, POLICY, now, pacs(60), EVEN)
    assert found.evidence == (
        "pacs: 60 instances (C-FIND at SERIES level), 60 came; "
        "association released, then 1.0 s without another instance"
    )
    recorded = found.noted(60).as_json()
    assert recorded["closed_by"] == "pacs_count"
    assert [(each["witness"], each["says"]) for each in recorded["pieces"]] == [
        ("association", "supports"),
        ("pacs_count", "proves"),
        ("slices", "supports"),
    ]


@pytest.mark.parametrize(
    ("end", "still_open", "after"),
    [
        (AssociationEnd.ABORTED, 0, 1 + POLICY.proven_quiet_seconds),
        (AssociationEnd.LOST, 0, 1 + POLICY.proven_quiet_seconds),
        (AssociationEnd.RELEASED, 1, POLICY.quiet_seconds),
    ],
)
def test_a_count_spares_the_wait_for_a_sender_that_broke_off_or_stays(
    end: AssociationEnd, still_open: int, after: float
) -> None:
    arrival = replace(ARRIVAL, last_association_end=end, open_associations=still_open)
    due = START + timedelta(seconds=after)
    assert worth_asking(arrival, POLICY) == due
    found = judge_completeness(arrival, POLICY, due, pacs(60))
    assert (found.complete, found.closed_by) == (True, Source.PACS_COUNT)


def test_nobody_is_asked_later_than_the_quiet_period() -> None:
    quick = CompletenessPolicy(quiet_seconds=0.5)
    assert worth_asking(ARRIVAL, quick) == ENDED + timedelta(seconds=0.5)


@pytest.mark.parametrize(
    ("incomplete", "verdict"), [("analyse", Verdict.WARNING), ("skip", Verdict.FAIL)]
)
def test_an_incomplete_series_bears_its_reason(incomplete: str, verdict: Verdict) -> None:
    policy = CompletenessPolicy(incomplete=incomplete)  # type: ignore[arg-type]
    late = ENDED + timedelta(seconds=policy.incomplete_after_seconds)
    found = judge_completeness(ARRIVAL, policy, late, pacs(64), GAP)
    reason = incomplete_reason(found, policy)
    assert reason is not None
    assert (reason.rule, reason.verdict) == ("completeness", verdict)
    assert reason.value == (
        "pacs: 64 instances (C-FIND at SERIES level), 60 came; "
        "Image Position (Patient): 2 slices missing between others"
    )
    assert reason.limit == "all instances within 300 s"


def test_a_series_that_is_complete_or_waits_bears_no_reason() -> None:
    for seconds in (0, 1000):
        found = judge_completeness(ARRIVAL, POLICY, ENDED + timedelta(seconds=seconds), pacs(60))
        assert incomplete_reason(found, POLICY) is None
    waiting = judge_completeness(ARRIVAL, POLICY, ENDED, pacs(64))
    assert incomplete_reason(waiting, POLICY) is None


_ARRIVALS = st.builds(
    lambda still_open, end, ended, count: replace(
        ARRIVAL,
        instance_count=count,
        open_associations=still_open,
        last_association_end=end,
        last_association_ended_at=None if ended is None else START + timedelta(seconds=ended),
    ),
    st.integers(0, 3),
    st.sampled_from([None, *AssociationEnd]),
    st.none() | st.floats(-100, 100),
    st.integers(1, 100),
)
_ANSWERS = st.none() | st.builds(
    PacsCount,
    st.just("pacs"),
    st.floats(-100, 1000).map(lambda seconds: START + timedelta(seconds=seconds)),
    st.none() | st.integers(0, 100),
    st.just("C-FIND"),
    st.booleans(),
)
_HEADERS = st.none() | st.builds(
    HeaderEvidence,
    st.integers(0, 100),
    st.none() | st.integers(0, 5),
    st.lists(
        st.builds(
            Announcement, st.just("A"), st.integers(1, 100), st.integers(1, 100), st.booleans()
        ),
        max_size=3,
    ).map(tuple),
)
_POLICIES = st.builds(
    CompletenessPolicy, *(st.floats(0, 500) for _ in range(7)), st.sampled_from(["analyse", "skip"])
)


@given(_ARRIVALS, _ANSWERS, _HEADERS, _POLICIES, st.floats(-200, 3000))
def test_while_the_pacs_has_more_a_series_is_never_complete_and_waits_to_the_end(
    arrival: SeriesArrival,
    told: PacsCount | None,
    seen: HeaderEvidence | None,
    policy: CompletenessPolicy,
    looked: float,
) -> None:
    now = START + timedelta(seconds=looked)
    found = judge_completeness(arrival, policy, now, told, seen)
    if told is not None and told.count is not None and told.count > arrival.instance_count:
        assert not found.complete
        due = arrival.last_received_at + timedelta(seconds=policy.incomplete_after_seconds)
        assert not found.closed or now >= due
    if found.complete:
        proven = any(each.weight is Weight.PROVES for each in found.witnesses)
        assert proven or found.closed_by is Source.QUIET_PERIOD


@given(_ARRIVALS, _ANSWERS, _HEADERS, _POLICIES, st.floats(-200, 3000))
def test_whatever_was_said_a_series_is_closed_when_told_and_not_before(
    arrival: SeriesArrival,
    told: PacsCount | None,
    seen: HeaderEvidence | None,
    policy: CompletenessPolicy,
    looked: float,
) -> None:
    found = judge_completeness(arrival, policy, START + timedelta(seconds=looked), told, seen)
    assert found.closed == (found.closed_by is not None)
    due = found.look_again_at
    if due is None:
        return
    assert judge_completeness(arrival, policy, due, told, seen).closed
    assert not judge_completeness(
        arrival, policy, due - timedelta(milliseconds=1), told, seen
    ).closed
    assert due <= START + timedelta(seconds=100 + 500)
