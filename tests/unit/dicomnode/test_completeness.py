"""Completeness: how long silence must last after what the sender did."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.completeness import Basis, CompletenessPolicy, judge_completeness
from storage.records import AssociationEnd, SeriesArrival

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
POLICY = CompletenessPolicy()
ARRIVAL = SeriesArrival(
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
    assert early.as_json() == {
        "complete": False,
        "basis": "association_released",
        "evidence": early.evidence,
        "look_again_at": "2026-01-05T08:00:06+00:00",
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
    with pytest.raises(ValueError, match="lost_quiet_seconds must be 0 or more"):
        CompletenessPolicy(lost_quiet_seconds=seconds)
