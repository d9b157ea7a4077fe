"""Waiting until an archive may be asked, at the hours that a person gave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from dicomnode.clock import Clock
from dicomnode.decisions.hours import Hours

_LONGEST_SECONDS = 30.0
"""Between two looks at the clock: it may be set, and be put forward or back for the summer."""

Told = Callable[[datetime], object]
"""Told once of each wait, and until when it lasts, by the clock on the wall."""


class OpenHours:
    """By the clock of this machine, as the archive's own people give them."""

    def __init__(
        self,
        hours: Hours,
        stop: threading.Event,
        told: Told = lambda _until: None,
        clock: Clock | None = None,
    ) -> None:
        self._hours, self._stop, self._told = hours, stop, told
        self._clock = (clock or Clock()).host

    def wait(self, close: Callable[[], object] = lambda: None) -> None:
        """Until the archive may be asked, or `stop`. `close`: called before a wait, so that nothing
        is left open with it."""
        waits = False
        while not self._stop.is_set():
            local = self._clock.now().astimezone()
            if self._hours.has(local):
                return
            begin = self._hours.begin_after(local)
            if not waits:
                waits = True
                close()
                self._told(begin)
            self._stop.wait(min((begin - local).total_seconds(), _LONGEST_SECONDS))
