"""When a session with a cluster takes it for gone, by a clock that the test moves."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from dicomnode.placement.session import Alive
from support.clock import StandingClock
from support.storage_samples import NOW


class Head:
    """Takes connections and answers nothing, as long as it stands."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.identity = "one"

    def fall(self) -> None:
        self._listening.close()


@pytest.fixture
def head() -> Iterator[Head]:
    made = Head()
    yield made
    made.fall()


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(NOW)


@pytest.fixture
def alive(head: Head, clock: StandingClock) -> Alive:
    made = Alive(f"127.0.0.1:{head.port}", clock)
    assert made.fault() == "", "it is not connected yet"
    made.connected(lambda: head.identity)
    return made


def looks(alive: Alive, clock: StandingClock, seconds: float) -> str:
    """So much later, and the placer gets on."""
    clock.move(seconds)
    alive.looked()
    return alive.fault()


def test_a_head_that_answers_is_there_however_long(alive: Alive, clock: StandingClock) -> None:
    assert [looks(alive, clock, 3600.0) for _ in range(3)] == [""] * 3


def test_one_that_has_not_answered_for_a_while_is_gone(
    head: Head, alive: Alive, clock: StandingClock
) -> None:
    head.fall()
    assert looks(alive, clock, 5.0) == ""
    assert "has not answered for 6 s (Connection refused)" in looks(alive, clock, 1.0)


def test_one_that_knows_nothing_of_before_is_another(
    head: Head, alive: Alive, clock: StandingClock
) -> None:
    head.identity = "two"
    assert looks(alive, clock, 1.0).startswith("another head answers")


def test_so_is_one_by_which_nothing_gets_on(alive: Alive, clock: StandingClock) -> None:
    clock.move(89.0)
    assert alive.fault() == ""
    clock.move(1.0)
    assert alive.fault() == "it has not answered for 90 s"
