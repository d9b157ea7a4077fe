"""Whether another series may be had now: hours, disk, workers. What the archive is asked within an
hour is limited by the rate of the pull itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dicomnode.decisions.arrival.disk import told_bytes
from dicomnode.decisions.campaign.plan import Plan

_GIB = 1 << 30


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


def must_wait_to_ask(plan: Plan, local: datetime) -> Wait | None:
    """Whether the archive may not even be queried now. `local`: by the clock on the wall."""
    if not plan.by_days or plan.hours.has(local):
        return None
    return Wait(Limit.HOURS, plan.hours.text, plan.hours.begin_after(local))


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
