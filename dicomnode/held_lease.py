"""The lease of a job while its work goes on: a thread beside the work prolongs it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from dicomnode.clock import Clock
from dicomnode.lifecycle import ends_process_on_fault
from storage import jobs
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.records import Job

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1


class HeldLease:
    """Of one job, prolonged when a third of it has passed; times in the seconds of the clock."""

    def __init__(self, database: Database, job: Job, lease: timedelta, clock: Clock) -> None:
        self._database, self._job, self._lease, self._clock = database, job, lease, clock
        self._renewed = clock.seconds()
        self.lost_at: float | None = None
        """When it was seen to be another's. A job that has just ended is not held, either."""

    def look(self, now: float) -> None:
        """Prolong it if that is due at `now`; while the database is away, it goes on."""
        if self.lost_at is not None or now - self._renewed <= self._lease.total_seconds() / 3:
            return
        self._renewed = now
        try:
            with self._database.write() as session:
                held = jobs.renew(session, self._job, self._clock.now(), self._lease)
        except DatabaseUnavailableError as error:
            log.warning("the lease could not be renewed yet: %s", error)
            return
        self.lost_at = None if held else now


@contextmanager
def looking(look: Callable[[], object]) -> Iterator[None]:
    """Around work: looks again and again, in a thread beside it."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(LOOK_SECONDS):
            look()

    beside = threading.Thread(target=ends_process_on_fault(run), name="lease", daemon=True)
    beside.start()
    try:
        yield
    finally:
        ended.set()
        beside.join()


@contextmanager
def kept(
    database: Database, lease: timedelta, clock: Clock, most_seconds: float, job: Job
) -> Iterator[None]:
    """Around work on a job: its lease is kept, for so long and no longer, as the work may hang."""
    held, until = HeldLease(database, job, lease, clock), clock.seconds() + most_seconds

    def look() -> None:
        if (now := clock.seconds()) <= until:
            held.look(now)

    with looking(look):
        yield
