"""One pass of the keeper, at the moment that it is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dicomnode.cleaner import Kept
from storage.records import SeriesState
from support.house import POLICY, House

DAY = timedelta(days=1)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.database.close()


def test_a_series_goes_when_its_time_is_over_and_not_a_moment_before(house: House) -> None:
    house.add("1.2.1", SeriesState.SKIPPED, timedelta())
    before = house.state_of("1.2.1")
    keeper, due = house.keeper(), house.now + (POLICY.skipped_days or 0) * DAY
    assert keeper.keep(due - timedelta(seconds=1)) == Kept()
    assert house.state_of("1.2.1") == before
    assert keeper.keep(due + timedelta(seconds=1)) == Kept(series=1, files=3)
    assert house.state_of("1.2.1") == (0, 0, True)
    assert keeper.keep(due + timedelta(seconds=2)) == Kept()


def test_what_a_dead_writer_left_goes_after_an_hour(house: House) -> None:
    left = house.settings.instances / "incoming" / "0.part"
    left.write_bytes(b"begun")
    keeper = house.keeper()
    assert keeper.keep(house.now + timedelta(minutes=59)) == Kept()
    assert keeper.keep(house.now + timedelta(minutes=61)) == Kept(leftovers=1)
    assert not left.exists()
