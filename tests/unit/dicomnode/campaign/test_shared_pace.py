"""All who work on a campaign together ask for no more than its rate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.campaign.shared_pace import SharedPace
from storage.database import Database
from support.campaigns import campaign
from support.clock import ClockMoving, StandingClock
from support.storage_samples import NOW


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/node.db")
    yield opened
    opened.close()


def test_two_runners_and_one_begun_anew_have_one_rate(database: Database) -> None:
    made, clock = campaign(database), StandingClock(NOW)
    stop = ClockMoving(clock)

    def pace() -> SharedPace:
        return SharedPace(database, made.campaign_id, 10.0, stop, clock)

    first, second = pace(), pace()
    turns = []
    for each in (first, second, second, first, pace()):
        each.take_turn(20, lambda: None)
        turns.append((clock.now() - NOW).total_seconds())
    assert turns == [0.0, 2.0, 4.0, 6.0, 8.0]
    clock.move(100.0)  # what nobody asked for is not asked for at once
    turns.clear()
    for each in (first, second):
        each.take_turn(20, lambda: None)
        turns.append((clock.now() - NOW).total_seconds())
    assert turns == [108.0, 110.0]


def test_a_long_turn_is_told_of_and_broken_off(database: Database) -> None:
    made, clock = campaign(database), StandingClock(NOW)
    stop, waits = ClockMoving(clock), []
    pace = SharedPace(database, made.campaign_id, 1.0, stop, clock)
    pace.take_turn(35, lambda: waits.append("begun"))
    assert waits == []
    pace.take_turn(1, lambda: waits.append("waits"))
    assert len(waits) == 4
    stop.set()
    pace.take_turn(1000, lambda: None)
    pace.take_turn(1, lambda: waits.append("not told"))
    assert len(waits) == 4
