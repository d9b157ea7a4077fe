"""Readiness as it was seen last, by a disk and a database that the test moves."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.arrival.disk import DiskSpace
from dicomnode.health.collector import BRIEF_SECONDS
from dicomnode.health.work import WorkReader
from dicomnode.monitor.loops import Station
from dicomnode.monitor.ready import ReadinessWatch
from dicomnode.processes.states import States
from storage.database import Database
from support.clock import StandingClock

GIB = 1 << 30


def test_it_follows_the_receivers_the_disk_and_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 10 * GIB
    monkeypatch.setattr(
        "dicomnode.health.collector.disk_space", lambda _folder: DiskSpace(room, 100 * GIB)
    )
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    clock = StandingClock(datetime.now(UTC))
    with closing(Database.open(settings.database_url)) as database:
        station = Station(settings, "node/monitor/1/", threading.Event(), database, clock)
        watch = ReadinessWatch(station)

        def reasons() -> tuple[str, ...]:
            watch.look()
            assert station.outlook.readiness is not None
            assert station.outlook.readiness.at == clock.seconds()
            return station.outlook.readiness.reasons

        assert reasons() == ("no receiver runs",)
        States(tmp_path, "node", clock).started("receiver-1", 7)
        assert reasons() == ()
        room = GIB - 1
        assert reasons()[0].startswith("the disk is full")
        room = GIB + 1
        assert reasons()[0].startswith("the disk is full"), "receivers refuse still"
        room = 2 * GIB
        assert reasons() == ()
        Path(database.url.removeprefix("sqlite:///")).rename(tmp_path / "elsewhere")
        assert reasons()[0].startswith("the database does not answer")


def test_a_database_that_hangs_is_told_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(WorkReader, "fault", lambda _self: over.wait(60) and None)
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    with closing(Database.open_later(settings.database_url)) as database:
        station = Station(settings, "node/monitor/1/", threading.Event(), database)
        watch = ReadinessWatch(station)
        try:
            watch.look()
            began = time.monotonic()
            watch.look()
            assert time.monotonic() - began < BRIEF_SECONDS, "no second question is put"
        finally:
            over.set()
        assert station.outlook.readiness is not None
        told = "the database does not answer: no answer within 1.5 s"
        assert told in station.outlook.readiness.reasons
