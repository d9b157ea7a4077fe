"""How long a campaign will take still, and by what. Nothing is told before it is measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from dicomnode.decisions.campaign.pace import Limit
from dicomnode.decisions.campaign.plan import Plan

_LONGEST_SECONDS = 100 * 365 * 86400.0


@dataclass(frozen=True)
class Done:
    """How far a campaign is.

    `days_asked`, `days_open`: of the windows. `found`, `wanted`, `pulled`, `ended`: series that are
    in this state now, `ended` of those that were had; `fallen` by their tags. `images`: of all
    that are wanted, had or ended. `lately_seconds`: over which `images_lately` came and
    `ended_lately` ended.
    """

    days_asked: float = 0.0
    days_open: float = 0.0
    found: int = 0
    fallen: int = 0
    wanted: int = 0
    pulled: int = 0
    ended: int = 0
    images: int = 0
    images_lately: int = 0
    ended_lately: int = 0
    lately_seconds: float = 0.0

    @property
    def known(self) -> int:
        return self.found + self.judged

    @property
    def judged(self) -> int:
        return self.fallen + self.passed

    @property
    def passed(self) -> int:
        """Those that do not fall by their tags."""
        return self.wanted + self.pulled + self.ended


@dataclass(frozen=True)
class Outlook:
    """`left`: None where nothing is measured yet. `estimated`: part of the archive is not known."""

    left: timedelta | None
    limit: Limit | None
    text: str
    estimated: bool = False


def outlook(plan: Plan, done: Done) -> Outlook:
    """By the slower of what the archive gives and what the workers do."""
    to_pull = done.wanted + _expected(done)
    estimated = done.days_open > 0 or done.found > 0
    if not to_pull and not done.pulled:
        nothing = done.days_open == 0 and done.found == 0
        return Outlook(timedelta(0) if nothing else None, None, "" if nothing else _TOO_EARLY)
    if not done.passed or not (done.days_asked or not done.days_open):
        return Outlook(None, None, _TOO_EARLY)
    by_archive = _archive_seconds(plan, done, to_pull)
    by_workers = _workers_seconds(done, to_pull + done.pulled)
    if by_archive is None or by_workers is None:
        return Outlook(None, None, _TOO_EARLY)
    limit = Limit.WORKERS if by_workers > by_archive else Limit.RATE
    seconds = min(max(by_workers, by_archive), _LONGEST_SECONDS)
    text = "as fast as the workers go" if limit is Limit.WORKERS else _by_archive(plan)
    return Outlook(timedelta(seconds=round(seconds)), limit, text, estimated)


_TOO_EARLY = "too early to tell"


def _by_archive(plan: Plan) -> str:
    hours = plan.hours.count
    daily = "" if hours == 24 else f", {hours} hours a day"
    return f"as fast as series come, at most {plan.images_per_second:g} images a second{daily}"


def _expected(done: Done) -> float:
    """Series that will be wanted, among those not judged yet and the days not asked for yet."""
    if not done.judged:
        return 0.0
    share = done.passed / done.judged
    to_come = done.known / done.days_asked * done.days_open if done.days_asked else 0.0
    return (done.found + to_come) * share


def _archive_seconds(plan: Plan, done: Done, series: float) -> float | None:
    """By the rate that was, which is never above the one that is allowed."""
    images = series * done.images / done.passed
    if not images:
        return 0.0
    if not done.images_lately or done.lately_seconds <= 0:
        return None
    rate = min(done.images_lately / done.lately_seconds, plan.images_per_second)
    return images / rate * 24 / plan.hours.count


def _workers_seconds(done: Done, series: float) -> float | None:
    if not series:
        return 0.0
    if not done.ended_lately or done.lately_seconds <= 0:
        return None
    return series / done.ended_lately * done.lately_seconds
