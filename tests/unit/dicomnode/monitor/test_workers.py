"""Beside workers alone: they are known to the others, and end when nothing is left for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.config.sections import InferenceSettings, NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError
from dicomnode.monitor.loops import Station
from dicomnode.monitor.workers import Emptiness, WorkersAlive, looked_after
from storage.database import Database
from storage.incarnations import sign
from storage.jobs import finish
from storage.nodes import all_nodes, find, join, leave, tell_workers
from storage.records import JobKind
from support.clock import StandingClock
from support.several_nodes import A, B, at, seal, take
from support.storage_samples import NOW, instance, queue, receive
from support.wait import wait_for

HOST = "c" * 32
MOST = 600.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/node.db")
    with opened.write() as session:
        for each in (A, B):
            join(session, each, each, True, NOW)
    yield opened
    opened.close()


class Workers:
    def __init__(self, database: Database, folder: Path) -> None:
        node = NodeSettings(data_directory=folder)  # which no file could ask for with SQLite
        here = node.model_copy(update={"shares_database": True})
        inference = InferenceSettings(workers=2, lease_seconds=30)
        self.settings = Settings(inference=inference).model_copy(update={"node": here})
        self.clock, self.stop = StandingClock(NOW), threading.Event()
        station = Station(self.settings, f"{HOST}/host/0/", self.stop, database, self.clock)
        self.alive, self.emptiness = WorkersAlive(station), Emptiness(station, MOST)
        with database.write() as session:
            join(session, HOST, "host", True, NOW, workers=2, receives=False)

    def ends_after(self, seconds: float) -> bool:
        self.clock.move(seconds)
        self.emptiness.look()
        return self.stop.is_set()


@pytest.fixture
def workers(database: Database, tmp_path: Path) -> Workers:
    return Workers(database, tmp_path)


def test_who_was_struck_off_joins_again_with_what_it_has(
    workers: Workers, database: Database
) -> None:
    with database.write() as session:
        tell_workers(session, HOST, ["cpu", "gpu"], 7)
    workers.alive.look()
    with database.write() as session:
        leave(session, HOST)
    workers.alive.look()
    with database.read() as session:
        found = find(session, HOST)
    assert found is not None
    assert (found.capabilities, found.memory_bytes, found.workers) == ("cpu gpu", 7, 2)
    assert not found.receives


def test_who_was_never_let_in_does_not_come_in_by_telling(
    workers: Workers, database: Database
) -> None:
    with database.write() as session:
        leave(session, HOST)
    workers.alive.look()
    with database.read() as session:
        assert find(session, HOST) is None


def test_nothing_left_is_the_end_once_models_are_loaded(
    workers: Workers, database: Database
) -> None:
    assert not workers.ends_after(1)
    with database.write() as session:
        tell_workers(session, HOST, ["cpu"], 8 << 30)
    assert workers.ends_after(1)


def test_what_another_holds_is_waited_for_as_long_as_a_lease_lasts(
    workers: Workers, database: Database
) -> None:
    with database.write() as session:
        tell_workers(session, HOST, ["cpu"], 8 << 30)
    receive(database, *at(A, instance(1)))
    queue(database, owner=f"{A}/w/1/")
    seal(database, A)
    assert not workers.ends_after(1), "it is for us"
    assert take(database, B, JobKind.ANALYSE) is not None
    assert not workers.ends_after(1)
    assert not workers.ends_after(30)
    assert workers.ends_after(3)


def test_what_is_still_received_is_waited_for_and_not_for_ever(
    workers: Workers, database: Database
) -> None:
    with database.write() as session:
        tell_workers(session, HOST, ["cpu"], 8 << 30)
    receive(database, *at(A, instance(1)))
    assert not workers.ends_after(1)
    assert not workers.ends_after(590)
    queue(database, owner=f"{A}/w/1/")
    seal(database, A)
    assert not workers.ends_after(9), "it is for us"
    job = take(database, HOST, JobKind.ANALYSE)
    assert job is not None
    with database.write() as session:
        finish(session, job, NOW)
    receive(database, *at(A, instance(2, "1.2.9")))
    assert not workers.ends_after(1)
    assert not workers.ends_after(590), "anew, since there was something to do"
    assert workers.ends_after(20)


def test_where_two_hosts_are_these_workers_one_ends_and_the_other_keeps_its_row(
    workers: Workers, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = workers.settings.node.model_copy(
        update={"database_url": f"sqlite:///{tmp_path}/node.db"}
    )
    store = workers.settings.object_store.model_copy(update={"url": f"file://{tmp_path}/store"})
    settings = workers.settings.model_copy(update={"node": node, "object_store": store})
    monkeypatch.setattr("dicomnode.monitor.workers._ALIVE_SECONDS", 0.01)

    def lives_elsewhere() -> bool:
        with database.write() as session:
            sign(session, HOST, f"strange/{time.monotonic_ns()}")
        return workers.stop.is_set()

    def look_after() -> None:
        with looked_after(settings, HOST, workers.stop, until_empty=None):
            wait_for(lives_elsewhere, "they see it")

    with pytest.raises(ConfigurationError, match="two hosts bear the id of one node"):
        look_after()
    with database.read() as session:
        assert find(session, HOST) is not None


def test_they_leave_when_they_have_ended(
    workers: Workers, database: Database, tmp_path: Path
) -> None:
    node = workers.settings.node.model_copy(
        update={"database_url": f"sqlite:///{tmp_path}/node.db"}
    )
    store = workers.settings.object_store.model_copy(update={"url": f"file://{tmp_path}/store"})
    settings = workers.settings.model_copy(update={"node": node, "object_store": store})
    with looked_after(settings, HOST, workers.stop, until_empty=None):
        assert not workers.stop.is_set()
    with database.read() as session:
        assert HOST not in {each.node_id for each in all_nodes(session)}
