"""When to try again, and when to give up: exponential delays with a cap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from dicomnode.decisions.policy import NotNegative, Positive, policy

_LARGEST_EXPONENT = 64  # beyond it every sensible cap is reached; keeps the power finite


@policy
class RetryPolicy:
    """The n-th failed attempt is followed by `first_delay_seconds * factor ** (n - 1)`, capped.

    A destination that is away as a whole is probed in the same way with a cap of its own, and
    never given up: its time to give up is that of each object, from its first try.
    """

    first_delay_seconds: Positive = 10.0
    factor: Annotated[float, Field(ge=1)] = 2.0
    longest_delay_seconds: Positive = 600.0
    longest_probe_seconds: Positive = 30.0
    jitter_share: NotNegative = 0.2  # a delay is lengthened by up to this share of itself
    give_up_after_seconds: NotNegative = 3 * 24 * 3600.0  # a PACS may be down over a weekend
    most_attempts: int | None = None


@dataclass(frozen=True)
class RetryDecision:
    """Try again, but not before this time."""

    not_before: datetime


def decide_retry(
    attempt: int,
    first_tried_at: datetime,
    policy: RetryPolicy,
    now: datetime,
    jitter: float = 0.0,
    at_least_seconds: float = 0.0,
) -> RetryDecision | None:
    """What follows failed attempt number `attempt` (1 for the first); None means give up.

    `jitter` is a number from 0 to 1 that the caller draws: it keeps many deliveries that failed
    together from coming back together. `at_least_seconds`: the peer asks to be left alone so long.
    The last attempt is made when the time to give up comes, not after it.
    """
    give_up_at = first_tried_at + timedelta(seconds=policy.give_up_after_seconds)
    if now >= give_up_at:
        return None
    if policy.most_attempts is not None and attempt >= policy.most_attempts:
        return None
    longest = policy.longest_delay_seconds
    delay = _delay(attempt, policy, longest, jitter, at_least_seconds)
    return RetryDecision(min(now + delay, give_up_at))


def next_probe(failures: int, policy: RetryPolicy, now: datetime, jitter: float = 0.0) -> datetime:
    """When a destination is tried next that was away `failures` times in a row (1 or more)."""
    return now + _delay(failures, policy, policy.longest_probe_seconds, jitter)


def _delay(
    failures: int, policy: RetryPolicy, longest: float, jitter: float, least: float = 0.0
) -> timedelta:
    exponent = min(max(failures - 1, 0), _LARGEST_EXPONENT)
    delay = max(min(policy.first_delay_seconds * policy.factor**exponent, longest), least)
    return timedelta(seconds=delay * (1.0 + policy.jitter_share * min(max(jitter, 0.0), 1.0)))
