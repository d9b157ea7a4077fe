"""A clock that stands until a test moves it."""

from __future__ import annotations

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
