"""Hours, disk and workers as limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dicomnode.decisions.campaign.pace import (
    Limit,
    Load,
    must_wait_to_ask,
    must_wait_to_pull,
)
from dicomnode.decisions.campaign.plan import Plan

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def plan(from_hour: int = 0, to_hour: int = 24) -> Plan:
    day = MIDNIGHT.date()
    hours = {"from_hour": from_hour, "to_hour": to_hour}
    return Plan("pacs", "pacs", day, day, **hours)  # type: ignore[arg-type]


def test_a_night() -> None:
    night = plan(22, 6)
    seven = MIDNIGHT + timedelta(hours=7)
    waits = must_wait_to_ask(night, seven)
    assert waits is not None
    assert (waits.limit, waits.until) == (Limit.HOURS, MIDNIGHT + timedelta(hours=22))
    assert must_wait_to_ask(night, MIDNIGHT + timedelta(hours=5, minutes=59)) is None
    folder = Plan("folder", "/data", from_hour=22, to_hour=6)
    assert must_wait_to_ask(folder, seven) is None


def test_what_keeps_another_series_from_being_had() -> None:
    made = plan()
    assert must_wait_to_pull(made, Load(19, 1 << 30)) is None
    limits = [
        must_wait_to_pull(made, each)
        for each in (Load(20), Load(1, 20 << 30), Load(0, 0, "the disk is full"))
    ]
    assert [each and each.limit for each in limits] == [Limit.WORKERS, Limit.DISK, Limit.DISK]
    assert limits[2] is not None
    assert limits[2].text == "the disk is full"
