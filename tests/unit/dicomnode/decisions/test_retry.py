"""Retries: delays that grow, a cap, and an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.retry import RetryPolicy, decide_retry

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
POLICY = RetryPolicy()


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (10_000, 600)]
)
def test_delays_double_up_to_the_cap(attempt: int, seconds: float) -> None:
    decision = decide_retry(attempt, START, POLICY, START)
    assert decision is not None
    assert decision.not_before == START + timedelta(seconds=seconds)


def test_jitter_lengthens_a_delay_by_its_share() -> None:
    decision = decide_retry(1, START, POLICY, START, jitter=0.5)
    assert decision is not None
    assert decision.not_before == START + timedelta(seconds=11)


@pytest.mark.parametrize(("asked", "seconds"), [(0, 10), (5, 10), (90, 90)])
def test_a_peer_that_asks_for_patience_gets_it(asked: float, seconds: float) -> None:
    decision = decide_retry(1, START, POLICY, START, at_least_seconds=asked)
    assert decision is not None
    assert decision.not_before == START + timedelta(seconds=seconds)


def test_the_last_attempt_is_made_at_the_end_and_none_after_it() -> None:
    end = START + timedelta(seconds=POLICY.give_up_after_seconds)
    last = decide_retry(50, START, POLICY, end - timedelta(seconds=1))
    assert last is not None
    assert last.not_before == end
    assert decide_retry(51, START, POLICY, end) is None


def test_most_attempts() -> None:
    policy = RetryPolicy(most_attempts=3)
    assert decide_retry(2, START, policy, START) is not None
    assert decide_retry(3, START, policy, START) is None


@given(st.integers(-1, 10**9), st.floats(0, 4e5), st.floats(-1, 2))
def test_a_retry_is_never_in_the_past_nor_after_the_end(
    attempt: int, later: float, jitter: float
) -> None:
    now = START + timedelta(seconds=later)
    end = START + timedelta(seconds=POLICY.give_up_after_seconds)
    decision = decide_retry(attempt, START, POLICY, now, jitter)
    assert (decision is None) == (now >= end)
    if decision is not None:
        longest = POLICY.longest_delay_seconds * (1 + POLICY.jitter_share)
        assert now < decision.not_before <= min(end, now + timedelta(seconds=longest))


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_delay_seconds": 0.0},
        {"longest_delay_seconds": -1.0},
        {"factor": 0.5},
        {"jitter_share": -0.1},
        {"give_up_after_seconds": -1.0},
    ],
)
def test_a_policy_that_would_hammer_the_peer_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RetryPolicy(**wrong)  # type: ignore[arg-type]
