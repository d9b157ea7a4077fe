"""One pass of the cleaner, at the moment that it is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dicomnode.data_directory.cleaner import Cleaned
from storage.records import SeriesState
from support.audit_file import event_of, messages, recording, studies_of
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
    cleaner, due = house.cleaner(), house.now + (POLICY.skipped_days or 0) * DAY
    assert cleaner.clean(due - timedelta(seconds=1)) == Cleaned()
    assert house.state_of("1.2.1") == before
    assert cleaner.clean(due + timedelta(seconds=1)) == Cleaned(series=1, files=3)
    assert house.state_of("1.2.1") == (0, 0, True)
    assert cleaner.clean(due + timedelta(seconds=2)) == Cleaned()


def test_the_audit_trail_tells_whose_files_are_gone(house: House, tmp_path: Path) -> None:
    house.add("1.2.1", SeriesState.SKIPPED, 10 * DAY)
    with recording(tmp_path) as file:
        house.cleaner().clean(house.now)
    (message,) = messages(file)
    assert (event_of(message), studies_of(message)) == (
        "DICOM Instances Accessed",
        ["1.2.826.1.1"],
    )
    assert message.find("EventIdentification[@EventActionCode='D']") is not None


def test_what_a_dead_writer_left_goes_after_an_hour(house: House) -> None:
    left = house.settings.instances / "incoming" / "0.part"
    left.write_bytes(b"begun")
    cleaner = house.cleaner()
    assert cleaner.clean(house.now + timedelta(minutes=59)) == Cleaned()
    assert cleaner.clean(house.now + timedelta(minutes=61)) == Cleaned(leftovers=1)
    assert not left.exists()
