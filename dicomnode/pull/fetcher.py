"""FETCH jobs: what a lost node alone had is asked of the archive again.

What comes by C-MOVE comes to the port of whichever node answers to our AE title; what comes by
C-GET or WADO-RS is kept by this one. The index takes either over, and the work on the series goes
on. While the archive is away, or none is configured, the job waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

from dicomnode.clock import Clock, clock_of
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import settings_now
from dicomnode.decisions.wording import how_many
from dicomnode.errors import ConfigurationError, DataError, PeerError
from dicomnode.held_lease import HeldLease, looking
from dicomnode.lifecycle import Outage, ends_process_on_fault, keep_looking
from dicomnode.pull.run import fetch_series
from dicomnode.pull.steps import Known, SeriesPulled
from storage import jobs, queries
from storage.database import Database
from storage.errors import LeaseLostError
from storage.lost_nodes import lost_instances
from storage.records import Job, JobKind

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_AGAIN = timedelta(seconds=30)

Fetch = Callable[[Settings, Database, str, str, threading.Event, Known], SeriesPulled]


class Fetcher:
    """One after the other, in one thread of a node."""

    def __init__(
        self,
        database: Database,
        owner: str,
        settings: Callable[[], Settings],
        stop: threading.Event,
        *,
        clock: Clock | None = None,
        fetch: Fetch = fetch_series,
    ) -> None:
        """`settings`: as they are now."""
        self._database, self._owner, self._settings = database, owner, settings
        self._stop, self._clock, self._fetch = stop, clock or Clock(), fetch

    def fetch_one(self) -> bool:
        """Take one job that is due. False when there is none.

        Raises:
            DatabaseUnavailableError
        """
        lease = self._lease
        with self._database.write() as session:
            job = jobs.claim(session, (JobKind.FETCH,), self._owner, self._clock.now(), lease)
        if job is None:
            return False
        try:
            self._serve(job)
        except LeaseLostError:
            log.warning("series %s: its fetching is another's by now", job.series_key)
        return True

    @property
    def _lease(self) -> timedelta:
        return timedelta(seconds=self._settings().inference.lease_seconds)

    def _serve(self, job: Job) -> None:
        lost = self._lost(job)
        if not lost:
            self._end(job)
            return
        log.info("series %s: %s asked for again", job.series_key, how_many(len(lost), "instance"))
        try:
            with self._kept(job) as stop:
                problem = self._asked_for(job, stop)
        except (ConfigurationError, PeerError) as error:
            self._again(job, str(error), count_attempt=False)
            return
        except DataError as error:
            problem = str(error)
        if not self._lost(job):
            self._end(job)
        else:
            why = problem or "the archive has not all of them"
            self._again(job, why, count_attempt=not self._stop.is_set())

    def _asked_for(self, job: Job, stop: threading.Event) -> str:
        """Why not all came."""
        with self._database.read() as session:
            detail = queries.series_detail(session, job.series_key)
        if detail is None:
            return ""
        uids = detail.series.study_instance_uid, detail.series.series_instance_uid

        def known(named: Collection[str]) -> set[str]:
            return set(named).difference(self._lost(job))

        return self._fetch(self._settings(), self._database, *uids, stop, known).problem

    def _lost(self, job: Job) -> tuple[str, ...]:
        with self._database.read() as session:
            return lost_instances(session, job.series_key)

    def _end(self, job: Job) -> None:
        with self._database.write() as session:
            jobs.finish(session, job, self._clock.now())
        log.info("series %s: what was lost is here again", job.series_key)

    def _again(self, job: Job, why: str, *, count_attempt: bool) -> None:
        log.warning("series %s: not all came again: %s", job.series_key, why)
        with self._database.write() as session:
            later = self._clock.now() + _AGAIN
            jobs.put_back(session, job, later, count_attempt=count_attempt, error=why)

    @contextmanager
    def _kept(self, job: Job) -> Iterator[threading.Event]:
        """Around the fetching: keeps the lease. The event is set when it is to be broken off."""
        stop = threading.Event()
        lease = HeldLease(self._database, job, self._lease, self._clock)

        def look() -> None:
            lease.look(self._clock.seconds())
            if self._stop.is_set() or lease.lost_at is not None:
                stop.set()

        with looking(look):
            yield stop


@ends_process_on_fault
def run(settings: Settings, owner: str, stop: threading.Event) -> None:
    """In a thread of a node that shares its database, until `stop`."""
    database = Database.open_later(settings.database_url)
    folder = settings.node.data_directory
    fetcher = Fetcher(database, owner, lambda: settings_now(folder), stop, clock=clock_of(database))
    keep_looking(
        fetcher.fetch_one,
        stop,
        Outage("fetching"),
        "fetching goes on",
        _LOOK_SECONDS,
        _LOOK_SECONDS,
    )
