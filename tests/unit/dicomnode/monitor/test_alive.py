"""A node that shares its database says that it lives, and sees who does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory import incarnations
from dicomnode.data_directory.incarnations import Start, Starts, starts_of
from dicomnode.monitor.alive import Alive, Pulse
from dicomnode.monitor.loops import Station
from storage.database import Database
from storage.incarnations import held, sign
from storage.nodes import all_nodes, join
from storage.queries import series_detail
from storage.records import JobKind
from support.clock import StandingClock
from support.several_nodes import A, B, at
from support.storage_samples import SERIES, instance, receive

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/node.db")
    with opened.write() as session:
        for each in (A, B):
            join(session, each, each, True, LONG_AGO)
    receive(opened, *at(A, instance(1)))
    yield opened
    opened.close()


class Looking:
    """The monitor of the second."""

    def __init__(self, database: Database, folder: Path, *, shares: bool) -> None:
        node = NodeSettings(data_directory=folder)  # which no file could ask for with SQLite
        here = node.model_copy(update={"shares_database": shares})
        settings = Settings().model_copy(update={"node": here})
        self._clock = StandingClock(LONG_AGO)
        owner = f"{B}/monitor/1/"
        self.station = Station(settings, owner, threading.Event(), database, self._clock)
        self._alive = Alive(self.station)

    def look(self, times: int, seconds: float) -> None:
        for _ in range(times):
            self._alive.look()
            self._clock.move(seconds)


def lost(database: Database) -> bool:
    with database.read() as session:
        return all_nodes(session)[0].left_at is not None


def test_it_lives_and_the_other_is_lost(database: Database, tmp_path: Path) -> None:
    Looking(database, tmp_path, shares=True).look(times=14, seconds=5)
    with database.read() as session:
        other, alive = all_nodes(session)
        detail = series_detail(session, SERIES)
    assert alive.heard_at > LONG_AGO
    assert (other.left_at is None, alive.left_at is None) == (False, True)
    assert detail is not None
    assert [each.kind for each in detail.jobs] == [JobKind.ASSESS, JobKind.FETCH]
    assert [each.state for each in detail.series.history] == ["node_lost"]


def test_one_that_shares_nothing_writes_nothing(database: Database, tmp_path: Path) -> None:
    Looking(database, tmp_path, shares=False).look(times=14, seconds=5)
    with database.read() as session:
        assert {each.heard_at for each in all_nodes(session)} == {LONG_AGO}


def test_after_an_outage_of_the_database_nobody_is_lost_at_once(
    database: Database, tmp_path: Path
) -> None:
    """Who could not be heard of has time to be, as long as who is lost."""
    looking = Looking(database, tmp_path, shares=True)
    looking.look(times=11, seconds=5)
    looking.look(times=9, seconds=100)
    assert not lost(database)
    looking.look(times=14, seconds=5)
    assert lost(database)


def of_this_start() -> Pulse:
    return Pulse(Starts((Start("before", "here"), Start("now", "here"))))


def test_what_this_process_left_or_a_start_before_it_is_its_own() -> None:
    pulse = of_this_start()
    for mark in ("", "before/x", "now", "now/of the monitor before"):
        assert pulse.is_own(mark)
    mine = pulse.next()
    assert mine.startswith("now/")
    for mark in (mine, "now", "before/x"):
        assert pulse.is_own(mark), "or a standby was promoted that lacks the last moments"


def test_who_writes_over_what_was_left_lives_even_under_the_same_start() -> None:
    """As a machine that was cloned while it ran."""
    pulse, clone = of_this_start(), of_this_start()
    assert not pulse.is_of_another(pulse.next())
    assert pulse.is_of_another(clone.next())
    assert clone.is_of_another(pulse.next())
    assert pulse.is_of_another("strange/x")


def test_before_the_first_word_one_strange_mark_may_be_of_a_start_that_is_over() -> None:
    pulse = of_this_start()
    assert [pulse.is_of_another("strange/x") for _ in range(3)] == [False] * 3
    assert pulse.is_of_another("strange/y")


def test_a_database_that_went_back_to_before_the_machine_was_started_is_no_other_host() -> None:
    pulse = Pulse(Starts((Start("before", "another boot"), Start("now", "here"))))
    pulse.next()
    looks = [(pulse.is_of_another("before/x"), pulse.is_past("before/x")) for _ in range(6)]
    assert [other for other, _ in looks] == [False] * 6
    assert [past for _, past in looks] == [False] * 4 + [True] * 2
    mine = pulse.next()
    assert not pulse.is_of_another(mine)
    assert not pulse.is_of_another("before/x"), "or the host that this one is a copy of"
    assert pulse.is_of_another("before/y")


def test_a_node_goes_on_where_its_database_went_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incarnations.begin(tmp_path)
    (tmp_path / "boot").write_text("another")
    monkeypatch.setattr(incarnations, "_BOOT", tmp_path / "boot")
    before = starts_of(tmp_path).word
    incarnations.begin(tmp_path)
    looking = Looking(database, tmp_path, shares=True)
    looking.look(1, 5)
    with database.write() as session:
        sign(session, B, f"{before}/x")
    looking.look(5, 5)
    assert not looking.station.stop.is_set()
    with database.write() as session:
        found = held(session, B)
    assert found is not None
    assert found.mark.startswith(f"{starts_of(tmp_path).word}/")
    assert found.twice_at is None


def test_where_another_host_lives_as_this_node_this_one_ends(
    database: Database, tmp_path: Path
) -> None:
    looking = Looking(database, tmp_path, shares=True)
    looking.look(1, 5)
    assert not looking.station.stop.is_set()
    with database.write() as session:
        sign(session, B, "strange/x")
    looking.look(1, 5)
    assert looking.station.stop.is_set()
    assert f"it runs on {B}" in looking.station.outlook.must_end
    with database.write() as session:
        found = held(session, B)
    assert found is not None
    assert (found.mark, bool(found.twice_at), bool(found.twice_on)) == ("strange/x", True, True)
