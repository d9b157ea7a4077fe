"""Whether another series may be had now: hours, disk, workers. What the archive is asked within an
hour is limited by the rate of the pull itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dicomnode.decisions.arrival.disk import told_bytes
from dicomnode.decisions.campaign.plan import Plan

_GIB = 1 << 30
_DAY_HOURS = 24


class Limit(StrEnum):
    """What a campaign waits for, or goes as fast as."""

    HOURS = "hours"
    DISK = "disk"
    WORKERS = "workers"
    RATE = "rate"
    ARCHIVE = "archive"


@dataclass(frozen=True)
class Load:
    """Series that were had and whose analysis has not ended, and the bytes of their files.

    `refusing`: why the disk takes nothing, "" where it does.
    """

    series: int = 0
    held_bytes: int = 0
    refusing: str = ""


@dataclass(frozen=True)
class Wait:
    """`text`: for a person. `until`: None where nobody can know."""

    limit: Limit
    text: str
    until: datetime | None = None


def open_hours(plan: Plan) -> int:
    """Of a day; the same hour as begin and end is the whole day."""
    return (plan.to_hour - plan.from_hour) % _DAY_HOURS or _DAY_HOURS


def is_open(plan: Plan, local: datetime) -> bool:
    """Whether the archive may be asked at this hour. `local`: by the clock on the wall."""
    return (local.hour - plan.from_hour) % _DAY_HOURS < open_hours(plan)


def opens_at(plan: Plan, local: datetime) -> datetime:
    """When it may be asked next."""
    at = local.replace(hour=plan.from_hour % _DAY_HOURS, minute=0, second=0, microsecond=0)
    return at if at > local else at + timedelta(days=1)


def must_wait_to_ask(plan: Plan, local: datetime) -> Wait | None:
    """Whether the archive may not even be queried now."""
    if not plan.by_days or is_open(plan, local):
        return None
    until = opens_at(plan, local)
    hours = f"from {plan.from_hour} to {plan.to_hour} o'clock"
    return Wait(Limit.HOURS, f"the archive is asked {hours} only", until)


def must_wait_to_pull(plan: Plan, load: Load) -> Wait | None:
    """Whether no series may be had now."""
    if load.refusing:
        return Wait(Limit.DISK, load.refusing)
    if load.held_bytes >= plan.disk_gib * _GIB:
        held = told_bytes(load.held_bytes)
        return Wait(Limit.DISK, f"{held} lie here unfinished, the budget is {plan.disk_gib:g} GiB")
    if load.series >= plan.ahead:
        return Wait(Limit.WORKERS, f"{load.series} series wait for the workers")
    return None
