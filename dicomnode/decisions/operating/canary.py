"""The canary: is a run due, and is what came of it as it must be? `[canary]`.

The same synthetic patient goes the whole way of a series, each night and after each change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Annotated

from pydantic import Field

from dicomnode.decisions.policy import Positive, policy
from dicomnode.decisions.reasons import Reason

LUNG_VOLUME = "lung_volume"
"""The rule whose reason tells how much lung was found."""

_LUNG_SHARE = 0.2  # by which it may differ from the truth: the pleura is a matter of taste

Scores = Mapping[str, Mapping[str, float]]
"""Of each class, by method."""


@policy
class CanaryPolicy:
    """`at`: "HH:MM", local time. `destinations`: names; none: results are made and stay here.

    `tolerance`: by which a score may differ from that of the first run with the same models.
    """

    enabled: bool = False
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "03:15"
    destinations: tuple[str, ...] = ()
    retract: bool = True
    deadline_seconds: Positive = 1800.0
    tolerance: Annotated[float, Field(ge=0, le=1)] = 0.01


@dataclass(frozen=True)
class Setting:
    """With what a node runs: whatever of it changes is a reason for a run."""

    version: str
    configuration: str
    models: str


@dataclass(frozen=True)
class FormerRun:
    """The newest run, whether it passed or not."""

    setting: Setting
    started_at: datetime
    ended_at: datetime | None


def occasion_of_run(
    policy: CanaryPolicy, setting: Setting, former: FormerRun | None, now: datetime
) -> str | None:
    """Why a run is due at `now`, in local time; None: none is.

    None while one is under way, so long as it may be. A run that failed is not repeated at once:
    somebody is told of it, and mends it first. One that began later than `now`, by a clock that
    was wrong, keeps no other back.
    """
    if not policy.enabled:
        return None
    if former is None:
        return "first run"
    since = now - former.started_at
    if former.ended_at is None and timedelta() <= since < _patience(policy):
        return None
    for name in ("version", "models", "configuration"):
        if getattr(former.setting, name) != getattr(setting, name):
            return f"new {name}"
    tonight = _last_night(policy, now) <= former.started_at <= now
    return None if tonight else "nightly"


def lost_before(policy: CanaryPolicy, now: datetime) -> datetime:
    """Runs that began earlier and have not ended never will."""
    return now - _patience(policy)


def _patience(policy: CanaryPolicy) -> timedelta:
    return timedelta(seconds=policy.deadline_seconds) * 1.5


def _last_night(policy: CanaryPolicy, now: datetime) -> datetime:
    """The last time that it was `at`."""
    today = now.replace(second=0, microsecond=0)
    at = time.fromisoformat(policy.at)
    today = today.replace(hour=at.hour, minute=at.minute)
    return today if today <= now else today - timedelta(days=1)


def problems_of(
    scores: Scores,
    reasons: Iterable[Reason],
    first: Scores,
    *,
    tolerance: float,
    lungs_ml: float,
) -> tuple[str, ...]:
    """What of an analysis is not as it must be; `first`: of the first run, empty for none."""
    return (
        *_finite(scores),
        *_like_the_first(scores, first, tolerance),
        *_lungs(reasons, lungs_ml),
    )


def _finite(scores: Scores) -> Iterable[str]:
    if not scores:
        yield "no method came to an answer"
    for method, by_class in scores.items():
        for name, value in by_class.items():
            if not (math.isfinite(value) and 0 <= value <= 1):
                yield f"{method}: {name} is {value}"


def _like_the_first(scores: Scores, first: Scores, tolerance: float) -> Iterable[str]:
    for method, by_class in first.items():
        for name, before in by_class.items():
            value = scores.get(method, {}).get(name)
            if value is None:
                yield f"{method}: {name} is missing"
            elif abs(value - before) > tolerance:
                yield f"{method}: {name} is {value:.3f}, and was {before:.3f} at first"


def _lungs(reasons: Iterable[Reason], lungs_ml: float) -> Iterable[str]:
    told = next((str(each.value) for each in reasons if each.rule == LUNG_VOLUME), "")
    number = told.partition(" ")[0]
    if not number.isdecimal():
        yield "the volume of the lungs is not told"
    elif abs(float(number) - lungs_ml) > _LUNG_SHARE * lungs_ml:
        yield f"lungs of {told} were found, and there are {lungs_ml:.0f} ml"
