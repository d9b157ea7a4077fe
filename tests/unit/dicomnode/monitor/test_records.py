"""The end of the flight records, told each day."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomnode.config.settings import Settings
from dicomnode.monitor.loops import Station
from dicomnode.monitor.records import Anchoring
from storage import flight_records
from storage.database import Database
from support.clock import StandingClock

NOON = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


def test_the_last_flight_record_is_told_once_a_day_in_the_words_that_verify_takes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dicomnode.monitor.records")
    database = Database.open(f"sqlite:///{tmp_path}/node.db")
    clock = StandingClock(NOON)
    station = Station(Settings(), "node/monitor/1/", threading.Event(), database, clock)
    anchoring = Anchoring(station)
    with database.write() as session:
        first = flight_records.append(session, NOON, "1.2", "1", {})
    anchoring.look()
    clock.move(11 * 3600)
    anchoring.look()
    with database.write() as session:
        second = flight_records.append(session, NOON, "1.3", "1", {})
    clock.move(2 * 3600)
    anchoring.look()
    database.close()
    assert caplog.messages == [
        f"flight records: the last is 1:{first.digest}",
        f"flight records: the last is 2:{second.digest}",
    ]
