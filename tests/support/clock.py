"""A clock that stands until a test moves it."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from dicomnode.clock import Clock


class StandingClock(Clock):
    """At `moment`, and 0 seconds."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment
        self._passed = 0.0

    def now(self) -> datetime:
        return self._moment + timedelta(seconds=self._passed)

    def seconds(self) -> float:
        return self._passed

    def move(self, seconds: float) -> datetime:
        """So many seconds later."""
        self._passed += seconds
        return self.now()


class ClockMoving(threading.Event):
    """Nobody waits for it: the clock moves."""

    def __init__(self, clock: StandingClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self._clock.move(timeout or 0.0)
        return self.is_set()
