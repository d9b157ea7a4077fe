"""Who reads the time by itself: nobody whose look is to be tested at any moment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from dicomnode.clock import Clock, SharedClock
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from support.clock import StandingClock
from support.sources import modules, tree
from support.wait import wait_for

SHELLS = ("analyse", "assess", "cleaner", "deliver", "disk_gate", "notes", "processes", "receive")
READS = {("datetime", "now"), ("time", "time"), ("time", "monotonic"), ("time", "sleep")}
WAITING = {
    "dicomnode.processes.nursery.__init__",  # till when the next waits for what it imports
    "dicomnode.processes.nursery._look",
    "dicomnode.processes.nursery.settled",
    "dicomnode.processes.nursery.wait",  # as that of a process of Python's subprocess
    "dicomnode.processes.ports.bound",  # for a port that another process still holds
    "dicomnode.processes.reload_request.ask_to_reload",  # for the answer of the node
    "dicomnode.receive.receiver._let_associations_end",  # to end, at a stop
}
"""Loops that wait for something outside, and end after a while."""


def _reads_the_time(function: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in READS
        for node in ast.walk(function)
    )


def test_the_shells_are_told_the_time() -> None:
    found = {
        f"{name}.{function.name}"
        for name, path in modules().items()
        if name.startswith("dicomnode.") and name.split(".")[1] in SHELLS
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef) and _reads_the_time(function)
    }
    assert found == WAITING


def test_the_clock_is_that_of_the_machine_and_knows_its_zone() -> None:
    clock = Clock()
    first, second = clock.now(), clock.now()
    assert first <= second
    assert first.utcoffset() is not None
    assert clock.seconds() <= clock.seconds()


NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
AHEAD = timedelta(minutes=10)


class _OnServer:
    """A database whose clock is at `NOW`."""

    away = False
    asked = 0

    @contextmanager
    def read(self) -> Iterator[Any]:
        self.asked += 1
        if self.away:
            raise DatabaseUnavailableError("postgresql://server", "away")
        yield self

    def connection(self) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> _OnServer:
    monkeypatch.setattr("storage.statements.moment", lambda _session: NOW)
    return _OnServer()


def shared(server: _OnServer, *, waits: bool = True) -> SharedClock:
    return SharedClock(cast(Database, server), waits, StandingClock(NOW + AHEAD))


def test_a_shared_clock_is_that_of_the_database_and_goes_on(server: _OnServer) -> None:
    clock = shared(server)
    first = clock.now()
    assert timedelta() <= first - NOW < AHEAD / 2
    server.away = True
    assert first < clock.now() < NOW + AHEAD / 2
    assert server.asked == 1, "not asked each time"


def test_files_have_the_time_of_the_machine(server: _OnServer) -> None:
    clock = shared(server)
    clock.now()
    assert AHEAD / 2 < clock.of_files(NOW) - NOW <= AHEAD
    assert AHEAD / 2 < NOW - clock.from_files(NOW) <= AHEAD
    assert Clock().of_files(NOW) == Clock().from_files(NOW) == NOW
    assert clock.host.now() == NOW + AHEAD


def test_before_the_first_answer_it_is_that_of_the_machine(server: _OnServer) -> None:
    server.away = True
    clock = shared(server)
    assert clock.now() == NOW + AHEAD
    server.away = False
    assert clock.now() < NOW + AHEAD / 2, "it is asked again until it has answered"


def test_who_must_not_wait_asks_aside(server: _OnServer) -> None:
    clock = shared(server, waits=False)
    assert clock.now() >= NOW
    wait_for(lambda: clock.now() < NOW + AHEAD / 2, "measured")
