"""Only what has ended goes, and only after its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.retention import LEAST_DAYS, RetentionPolicy, judge_retention
from storage.records import EndedSeries, SeriesState

END = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
POLICY = RetentionPolicy(analysed_days=30, skipped_days=7, failed_days=None)
DAYS = st.none() | st.floats(LEAST_DAYS, 1000)


def ended(
    state: SeriesState = SeriesState.ANALYSED, jobs: int = 0, deliveries: int = 0
) -> EndedSeries:
    return EndedSeries("1.2", state, END, jobs, deliveries)


@pytest.mark.parametrize(
    ("state", "days", "removable"),
    [
        (SeriesState.ANALYSED, 29.9, False),
        (SeriesState.ANALYSED, 30, True),
        (SeriesState.SKIPPED, 6.9, False),
        (SeriesState.SKIPPED, 7, True),
        (SeriesState.FAILED, 10_000, False),
        (SeriesState.RECEIVING, 10_000, False),
        (SeriesState.QUEUED, 10_000, False),
    ],
)
def test_each_state_has_its_time(state: SeriesState, days: float, removable: bool) -> None:
    verdict = judge_retention(ended(state), POLICY, END + timedelta(days=days))
    assert verdict.removable is removable


@pytest.mark.parametrize(("jobs", "deliveries"), [(1, 0), (0, 1), (2, 3)])
def test_what_is_still_going_on_keeps_it(jobs: int, deliveries: int) -> None:
    series = ended(jobs=jobs, deliveries=deliveries)
    verdict = judge_retention(series, POLICY, END + timedelta(days=999))
    assert not verdict.removable
    assert f"{jobs} jobs and {deliveries} deliveries are open" in verdict.why


def test_a_series_that_is_sent_again_begins_its_time_anew() -> None:
    again = END + timedelta(days=20)
    for days, removable in ((31, False), (49.9, False), (50, True)):
        now = END + timedelta(days=days)
        assert judge_retention(ended(), POLICY, now, again).removable is removable


@given(
    state=st.sampled_from(SeriesState),
    days=st.tuples(DAYS, DAYS, DAYS),
    jobs=st.integers(0, 2),
    deliveries=st.integers(0, 2),
    age=st.floats(0, 2000),
    touched=st.none() | st.floats(-100, 2000),
)
def test_nothing_that_waits_or_is_too_young_ever_goes(
    state: SeriesState,
    days: tuple[float | None, float | None, float | None],
    jobs: int,
    deliveries: int,
    age: float,
    touched: float | None,
) -> None:
    now = END + timedelta(days=age)
    touched_at = None if touched is None else END + timedelta(days=touched)
    policy = RetentionPolicy(*days)
    if not judge_retention(ended(state, jobs, deliveries), policy, now, touched_at).removable:
        return
    kept_for = policy.of(state)
    assert state in {SeriesState.ANALYSED, SeriesState.SKIPPED, SeriesState.FAILED}
    assert jobs == deliveries == 0
    assert kept_for is not None
    assert policy.shortest is not None
    assert policy.shortest <= kept_for <= now - END
    assert touched_at is None or now - touched_at >= kept_for


def test_by_default_everything_is_kept() -> None:
    policy = RetentionPolicy()
    assert policy.shortest is None
    assert not any(
        judge_retention(ended(state), policy, END + timedelta(days=100_000)).removable
        for state in SeriesState
    )


@pytest.mark.parametrize("days", [0, -1, LEAST_DAYS / 2])
def test_a_time_too_short_is_refused(days: float) -> None:
    with pytest.raises(ValueError, match="skipped_days"):
        RetentionPolicy(skipped_days=days)
