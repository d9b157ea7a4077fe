"""A job while its work goes on: a thread beside it keeps its lease, and ends what must not go on.

The process ends when a job outlives its deadline, when its lease is another's, or when the node
stops and the job cannot end in time: nothing else stops a thread that computes.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from dicomnode.clock import Clock
from dicomnode.config.sections import InferenceSettings
from dicomnode.held_lease import HeldLease, looking
from storage import jobs
from storage.database import Database
from storage.errors import DatabaseUnavailableError, StorageError
from storage.records import Job

log = logging.getLogger(__name__)

_AWAITED_SECONDS = 1.0
"""How often a running analysis looks whether its results are still awaited."""

_STOP_GRACE_SECONDS = 4.0
"""How long a job may go on after the wish to stop before it is handed back, in seconds."""

_LOST_SECONDS = 1.0
"""How long work may go on whose lease is another's, in seconds: it can write nothing any more."""

_DEADLINE_KEY = "inference.deadline_seconds"

EXIT_DEADLINE = 70
EXIT_LEASE_LOST = 75

_HELD: list[HeldJob] = []
"""Those of this process: a worker may analyse several series at the same time."""


@dataclass
class HeldJob:
    """`unawaited` is set when nobody waits for its results: instances came after the decision, or a
    person holds or cancels the series."""

    database: Database
    job: Job
    settings: InferenceSettings
    stop: threading.Event
    unawaited: threading.Event
    clock: Clock
    _begun: float = field(init=False)
    _looked: float = field(init=False)
    _lease: HeldLease = field(init=False)
    _stopping: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._begun = self._looked = self.clock.seconds()
        lease = timedelta(seconds=self.settings.lease_seconds)
        self._lease = HeldLease(self.database, self.job, lease, self.clock)

    @contextmanager
    def looked_after(self) -> Iterator[None]:
        """Around its work."""
        _HELD.append(self)
        try:
            with looking(lambda: self.look(self.clock.seconds())):
                yield
        finally:
            _HELD.remove(self)

    def look(self, now: float) -> None:
        """What is due at `now`, in the seconds of the clock."""
        if self.stop.is_set():
            self._hand_back_in_time(now)
            return
        if now - self._begun > self.settings.deadline_seconds:
            self._give_up()
        lost_at = self._lease.lost_at
        if lost_at is not None and now - lost_at > _LOST_SECONDS:
            log.error("series %s: the lease is another's", self.job.series_key)
            self._end_process(EXIT_LEASE_LOST)
        self._lease.look(now)
        if now - self._looked > _AWAITED_SECONDS:
            self._notice_if_unawaited()
            self._looked = now

    def _give_up(self) -> None:
        """Why this attempt came to nothing stands with the job; the next may be quicker."""
        seconds = self.settings.deadline_seconds
        log.error("series %s: longer than %s = %g", self.job.series_key, _DEADLINE_KEY, seconds)
        late = jobs.over_deadline(_DEADLINE_KEY, seconds)
        try:
            with self.database.write() as session:
                now = self.clock.now()
                jobs.put_back(session, self.job, now, count_attempt=True, error=late)
        except (StorageError, SQLAlchemyError) as error:
            log.warning("not told in the queue: %s", type(error).__name__)
        self._end_process(EXIT_DEADLINE)

    def _notice_if_unawaited(self) -> None:
        try:
            with self.database.read() as session:
                awaited = jobs.still_awaited(session, self.job)
        except DatabaseUnavailableError:
            return  # looked at again soon; to go on is never wrong
        if not awaited:
            self.unawaited.set()

    def _hand_back_in_time(self, now: float) -> None:
        if self._stopping is None:
            self._stopping = now
        if now - self._stopping < _STOP_GRACE_SECONDS:
            return
        self._hand_back()
        self._end_process(0)

    def _hand_back(self) -> None:
        """It is no attempt."""
        try:
            with self.database.write() as session:
                jobs.put_back(session, self.job, self.clock.now(), count_attempt=False)
            log.info("series %s: handed back", self.job.series_key)
        except StorageError as error:
            log.warning("not handed back, the lease runs out by itself: %s", error)

    def _end_process(self, status: int) -> None:
        """What is analysed beside it goes back."""
        for each in _HELD:
            if each is not self:
                each._hand_back()
        os._exit(status)
