"""A pull that may ask at night alone waits for the night, and closes what it had open."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest

from dicomnode.decisions.hours import Hours
from dicomnode.pull.open_hours import OpenHours
from support.clock import StandingClock


class Night:
    """From 22 to 6 o'clock on the wall; while it waits, the time goes on."""

    def __init__(self, hour: int, minute: int = 0, day: int = 1) -> None:
        at = datetime(2026, 3, day, hour, minute).astimezone()  # on the wall
        self.clock, self.stop = StandingClock(at), threading.Event()
        self.told: list[datetime] = []
        self.closed = self.looks = 0
        self.stopped_after: int | None = None
        self.stop.wait = self._wait  # type: ignore[method-assign,assignment]
        self.hours = OpenHours(Hours(22, 6), self.stop, self.told.append, self.clock)

    def _wait(self, seconds: float) -> None:
        assert 0 < seconds <= 30
        self.clock.move(seconds)
        self.looks += 1
        if self.looks == self.stopped_after:
            self.stop.set()

    def close(self) -> None:
        self.closed += 1

    def wait(self) -> datetime:
        self.hours.wait(self.close)
        return self.clock.now().astimezone()


@pytest.mark.parametrize(("hour", "minute"), [(22, 0), (23, 59), (0, 0), (5, 59)])
def test_before_and_after_midnight_nothing_is_waited_for(hour: int, minute: int) -> None:
    night = Night(hour, minute)
    began = night.clock.now()
    assert night.wait() == began
    assert (night.told, night.closed) == ([], 0)


def test_in_the_morning_it_waits_for_the_evening_and_says_so_once() -> None:
    night = Night(6)
    at = night.wait()
    assert (at.day, at.hour, at.minute, at.second) == (1, 22, 0, 0)
    assert [(each.day, each.hour) for each in night.told] == [(1, 22)]
    assert night.closed == 1


def test_a_second_series_is_asked_for_on_the_other_side_of_midnight() -> None:
    night = Night(23, 59)
    night.wait()
    night.clock.move(120)
    assert night.wait().day == 2
    night.clock.move(6 * 3600)
    at = night.wait()
    assert (at.day, at.hour) == (2, 22)
    assert len(night.told) == 1


def test_who_is_stopped_waits_no_longer() -> None:
    night = Night(12)
    night.stopped_after = 3
    assert night.wait().hour == 12
    assert night.looks == 3
