"""What the placer does at each look, on a cluster that the test plays, by a clock that it moves."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dicomnode.decisions.placement import Bounds
from dicomnode.placement.placer import Ended, Placer
from storage.overview_records import Waiting
from support.clock import StandingClock
from support.storage_samples import NOW

QUIET = Waiting(0, 0.0)
LATE = Waiting(50, 600.0)


class Played:
    """Every worker that is placed stands; `workers`: whether each lasts."""

    def __init__(self) -> None:
        self.workers: list[bool] = []
        self.ends: list[Ended] = []

    @property
    def count(self) -> int:
        return len(self.workers)

    @property
    def lasting(self) -> int:
        return sum(self.workers)

    def place(self, *, lasting: bool) -> None:
        self.workers.append(lasting)

    def ended(self) -> Iterable[Ended]:
        ends, self.ends = self.ends, []
        return ends

    def end(self, status: int | None, lived: float = 600.0) -> None:
        self.workers.pop()
        self.ends.append(Ended("w", lived, status, "its host is gone"))


class Bench:
    def __init__(self, least: int, most: int) -> None:
        self.cluster, self.clock = Played(), StandingClock(NOW)
        self.waiting: Waiting | None = QUIET
        bounds = Bounds(least, most, 60.0)
        self.placer = Placer(self.cluster, lambda: self.waiting, bounds, self.clock)

    def look(self, after: float = 0.0) -> int:
        """How many stand then."""
        self.clock.move(after)
        self.placer.look()
        return self.cluster.count


def test_a_fixed_number_is_placed_at_once_and_lasts() -> None:
    bench = Bench(3, 3)
    assert bench.look() == 3
    assert bench.cluster.workers == [True] * 3
    bench.waiting = LATE
    assert bench.look(600) == 3


def test_more_are_placed_while_much_waits_and_end_by_themselves() -> None:
    bench = Bench(1, 6)
    assert bench.look() == 1
    bench.waiting = LATE
    assert bench.look(30) == 1, "those that were placed last have not begun yet"
    assert bench.look(30) == 2
    assert bench.look(1) == 2
    assert bench.look(60) == 4
    assert bench.look(60) == 6
    assert bench.look(60) == 6
    assert bench.cluster.workers == [True] + [False] * 5
    bench.waiting = QUIET
    for _ in range(5):
        bench.cluster.end(0)
    assert bench.look(60) == 1


def test_without_any_to_last_nothing_stands_until_something_waits_for_too_long() -> None:
    bench = Bench(0, 6)
    bench.waiting = Waiting(1, 60.0)
    assert bench.look() == 0
    bench.waiting = Waiting(1, 61.0)
    assert bench.look() == 1
    assert bench.cluster.workers == [False]


@pytest.mark.parametrize("status", [None, 1, -9])
def test_one_that_is_lost_is_placed_again_and_soon(status: int | None) -> None:
    bench = Bench(2, 2)
    bench.look()
    bench.cluster.end(status)
    assert bench.look(1) == 1
    assert bench.look(1) == 2
    assert bench.cluster.workers == [True, True]


def test_who_ends_at_once_again_and_again_is_placed_later_each_time() -> None:
    bench = Bench(1, 1)
    bench.look()
    waits = []
    for _ in range(8):
        bench.cluster.end(2, lived=0.5)
        bench.look()
        waits.append(0)
        while bench.look(1) == 0:
            waits[-1] += 1
    assert [each + 1 for each in waits] == [1, 2, 4, 8, 16, 32, 60, 60]
    bench.cluster.end(2, lived=60.0)
    bench.look()
    assert bench.look(1) == 1, "it did its work meanwhile"


def test_while_the_queue_cannot_be_asked_those_that_are_to_last_are_placed_all_the_same() -> None:
    bench = Bench(1, 6)
    bench.waiting = None
    assert bench.look() == 1
    assert bench.look(600) == 1
