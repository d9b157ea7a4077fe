"""The time, as an argument: what a look does at any moment is tested without waiting for it.

Nodes that share a database go by its clock in all that they write there: a lease that one took is
not over for another whose clock is ahead. What lies on a disk has the time of its machine.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from storage.errors import StorageError

if TYPE_CHECKING:  # it takes long to load, and most commands need none
    from storage.database import Database

_MEASURE_SECONDS = 10.0


class Clock:
    """That of this machine."""

    @property
    def host(self) -> Clock:
        """That of this machine, which somebody may set."""
        return self

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.now(UTC)

    def seconds(self) -> float:
        """Since some moment, whoever sets the clock meanwhile: only differences say anything."""
        return time.monotonic()

    def of_files(self, at: datetime) -> datetime:
        """What the clock of this machine, which times files, shows at a moment of this clock."""
        return at

    def from_files(self, at: datetime) -> datetime:
        """The moment of this clock at which a file has such a time."""
        return at


class SharedClock(Clock):
    """That of a database on a server, measured now and then; between, the time since the machine
    was started goes on, asleep or not. Before the first answer it is that of this machine."""

    def __init__(self, database: Database, waits: bool = True, host: Clock | None = None) -> None:
        """`waits`: the first look asks for the time; without, it never waits for the database."""
        self._database = database
        self._host = host or Clock()
        self._waits = waits
        self._measured: tuple[datetime, float] | None = None
        self._due_at = 0.0
        self._measuring = threading.Lock()

    @property
    def host(self) -> Clock:
        return self._host

    def now(self) -> datetime:
        if self._waits and self._measured is None:
            self._measure()
        elif time.monotonic() >= self._due_at and not self._measuring.locked():
            threading.Thread(target=self._measure, name="clock", daemon=True).start()
        if self._measured is None:
            return self._host.now()
        at, then = self._measured
        return at + timedelta(seconds=_since_start() - then)

    def seconds(self) -> float:
        return self._host.seconds()

    def of_files(self, at: datetime) -> datetime:
        return at + (self._host.now() - self.now())

    def from_files(self, at: datetime) -> datetime:
        return at + (self.now() - self._host.now())

    def _measure(self) -> None:
        from storage.statements import moment

        with self._measuring:
            if self._measured is not None and time.monotonic() < self._due_at:
                return
            self._due_at = time.monotonic() + _MEASURE_SECONDS
            try:
                with self._database.read() as session:
                    session.connection()  # may take long; the answer itself does not
                    before = _since_start()
                    told = moment(session)
                    self._measured = told, (before + _since_start()) / 2
            except (StorageError, OSError):  # whoever needs the database tells that it is away
                return


def _since_start() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def clock_of(database: Database, waits: bool = True) -> Clock:
    """What times in the rows of a database are told by. `waits`: as for `SharedClock`."""
    return SharedClock(database, waits) if database.serves else Clock()
