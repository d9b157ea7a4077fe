"""The indexer: an outage is waited for, and one event at fault holds up no other."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dicomnode.errors import ConfigurationError
from dicomnode.receive.arrivals import ArrivalIndexer
from dicomnode.receive.events import AssociationEnded, Event
from dicomnode.receive.reconciliation import Reconciler, reconcile
from storage import index
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.records import AssociationEnd, StoredInstance
from support.house import House
from support.storage_samples import NOW, SERIES, association, instance
from support.wait import wait_for


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomnode.receive.arrivals._RETRY_SECONDS", 0.0)
    monkeypatch.setattr("dicomnode.receive.arrivals._GATHER_SECONDS", 0.0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/node.sqlite3")
    yield opened
    opened.close()


def run(indexer: ArrivalIndexer) -> None:
    indexer.start()
    assert indexer.close(30)


def indexed(database: Database, series: str = SERIES) -> list[str]:
    with database.read() as session:
        return [each.sop_instance_uid for each in index.instances_of_series(session, series)]


def at_fault(number: int) -> StoredInstance:
    """Nothing where a number must be: no database takes it."""
    nothing: Any = None
    return replace(instance(number), size_bytes=nothing)


def test_one_event_at_fault_holds_up_no_other(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    indexer = ArrivalIndexer(database)
    bad = at_fault(2)
    events: list[Event] = [association(), instance(1), bad, instance(3)]
    for event in events:
        indexer.put(event)
    indexer.put(AssociationEnded("never-opened", NOW, AssociationEnd.RELEASED))
    indexer.put(AssociationEnded("a1", NOW, AssociationEnd.RELEASED))
    run(indexer)
    assert indexed(database) == [f"{SERIES}.1", f"{SERIES}.3"]
    with database.read() as session:
        arrival = index.series_arrival(session, SERIES)
    assert arrival is not None
    assert arrival.open_associations == 0
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 2
    assert bad.path in told[0]
    assert "association never-opened" in told[1]


def test_when_nothing_can_be_indexed_it_is_no_single_event(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then its process ends, and the next finds all again from the files."""
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    monkeypatch.setattr("logging.shutdown", lambda: None)
    indexer = ArrivalIndexer(database)
    for number in range(30):
        indexer.put(at_fault(number))
    run(indexer)
    assert ended == [1]


def failing(times: int, error: Exception, work: Callable[..., Any]) -> Callable[..., Any]:
    left = [times]

    def tried(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return work(*arguments, **named)

    return tried


def test_an_outage_is_told_once_and_once_its_end(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    away = DatabaseUnavailableError("url", "away")
    monkeypatch.setattr(database, "write", failing(5, away, database.write))
    indexer = ArrivalIndexer(database)
    indexer.put(association())
    indexer.put(instance(1))
    indexer.start()
    wait_for(lambda: indexed(database), "it is indexed")
    assert indexer.close(30)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_until_the_database_is_this_nodes_own_nothing_is_written(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[list[str]] = []

    def ready() -> None:
        seen.append(indexed(database))
        if len(seen) < 3:
            raise ConfigurationError("not yours")

    indexer = ArrivalIndexer(database, ready=ready)
    indexer.put(association())
    indexer.put(instance(1))
    indexer.start()
    wait_for(lambda: indexed(database), "it is indexed")
    assert indexer.close(30)
    assert seen == [[], [], []]
    assert [record.getMessage() for record in caplog.records].count(
        "the index waits: not to be used: not yours"
    ) == 1


def test_a_file_that_cannot_be_read_just_now_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file descriptor is free, for a while: its instance must not be missing for good."""
    house = House(tmp_path / "data")
    stored = house.store_files("1.2.3", 3)
    opened = Path.open
    left = [4]

    def open_(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name == Path(stored[1].path).name and left[0]:
            left[0] -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", open_)
    run_with_files(house)
    assert len(indexed(house.database, "1.2.3")) == 3


def test_a_file_that_never_reads_holds_up_no_other_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(tmp_path / "data")
    stored = house.store_files("1.2.3", 3)
    opened = Path.open

    def open_(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name == Path(stored[1].path).name:
            raise OSError(errno.EIO, "Input/output error")
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", open_)
    with pytest.raises(OSError, match="Input/output"):
        reconcile(house.database, house.files, "node")
    run_with_files(house)
    assert len(indexed(house.database, "1.2.3")) == 2
    assert f"instance file {stored[1].path} is not indexed" in caplog.text


def run_with_files(house: House) -> None:
    """Until the files that were there at the start have been looked at."""
    indexer = ArrivalIndexer(house.database, Reconciler(house.database, house.files, "node"))
    indexer.start()
    wait_for(lambda: indexer.caught_up, "the files were looked at")
    assert indexer.close(30)


class Coming:
    """Stands for the wish to close: each wait brings the next events."""

    def __init__(self, indexer: ArrivalIndexer, *brought: list[Event]) -> None:
        self._indexer, self._brought, self.waits = indexer, list(brought), 0

    def wait(self, _seconds: float) -> bool:
        self.waits += 1
        for event in self._brought.pop(0) if self._brought else []:
            self._indexer.put(event)
        return False


@pytest.mark.parametrize(
    ("brought", "waits", "together"),
    [
        pytest.param([], 1, 1, id="nothing-more"),
        pytest.param([[instance(2)], []], 2, 2, id="a-pause"),
        pytest.param([[instance(number)] for number in range(2, 9)], 4, 5, id="more-and-more"),
        pytest.param(
            [[instance(2), AssociationEnded("a1", NOW, AssociationEnd.RELEASED)], [instance(3)]],
            1,
            3,
            id="an-end",
        ),
        pytest.param([[instance(number) for number in range(2, 400)]], 1, 256, id="many"),
    ],
)
def test_what_keeps_coming_is_written_together_and_an_end_soon(
    database: Database, brought: list[list[Event]], waits: int, together: int
) -> None:
    indexer = ArrivalIndexer(database)
    coming: Any = Coming(indexer, *brought)
    indexer._closing = coming
    indexer.put(instance(1))
    batch = indexer._next_batch()
    assert batch is not None
    assert (coming.waits, len(batch)) == (waits, together)
