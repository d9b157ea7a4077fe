"""Computes a series that seems whole before it is decided upon, while nothing else waits.

Most of the time from the last slice to the report is silence that is waited for, and computing:
here both run at the same time. What was computed is kept in memory until the decision, and used
only for exactly the instances that were decided upon. Whatever comes late throws it away.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from datetime import timedelta

from dicomnode.analyse.analysis import Computed, Refusal, compute
from dicomnode.analyse.held_job import EXIT_DEADLINE
from dicomnode.assess.assessment import Assessment, assess_files, input_digest
from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.errors import DataError
from dicomnode.methods.bundles import Engines
from storage import early, index
from storage.database import Database
from storage.early import OpenSeries
from storage.errors import DatabaseUnavailableError
from storage.instances import InstanceFiles

log = logging.getLogger(__name__)

_QUIET = timedelta(seconds=0.5)
"""Silence after which a series may be whole."""

_FORGOTTEN = timedelta(seconds=10)
"""After so long a silence a series is not begun: a worker that it has ended takes it no more."""

_CHECK_SECONDS = 0.5
_KEPT_SECONDS = 120.0


@dataclass(frozen=True, eq=False)
class Early:
    """What was computed of the instances of `input_digest`, and what was seen of their headers."""

    series_key: str
    input_digest: str
    assessment: Assessment
    computed: Computed | Refusal
    made_at: float


class _NotOfUseError(Exception):
    """Ends a computation from within."""


class Ahead:
    """For a worker that is the only one: no other takes the series that it has begun."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        engines: Engines,
        stop: threading.Event,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._instances = InstanceFiles(settings.instances)
        self._engines = engines
        self._stop = stop
        self._clock = clock
        self._tried: OpenSeries | None = None
        self._kept: Early | None = None
        self._checked = 0.0
        self._wanted = settings.inference.begin_early and settings.inference.workers == 1

    def take(self, series_key: str, digest: str) -> Early | None:
        """What was computed for exactly these instances; it is not kept any longer."""
        kept, self._kept = self._kept, None
        same = kept is not None and (kept.series_key, kept.input_digest) == (series_key, digest)
        return kept if same else None

    def look(self) -> bool:
        """Compute a series that seems whole, if there is one; whether there was.

        Raises:
            DatabaseUnavailableError
        """
        if not self._wanted:
            return False
        now, least = self._clock.now(), self._settings.eligibility.min_slices
        with self._database.read() as session:
            found = early.newest_quiet(session, now - _FORGOTTEN, now - _QUIET, least)
        self._forget_old()
        if found is None or found == self._tried:
            return False
        self._tried, self._kept = found, None
        return self._begin(found)

    def _forget_old(self) -> None:
        """A series may come to no analysis: another of its study is chosen."""
        if self._kept and self._clock.seconds() - self._kept.made_at > _KEPT_SECONDS:
            self._kept = None

    def _begin(self, series: OpenSeries) -> bool:
        with self._database.read() as session:
            instances = index.instances_of_series(session, series.series_key)
        paths = [self._instances.open_path(each.path) for each in instances]
        limit = self._settings.inference.deadline_seconds
        watch = threading.Timer(limit, os._exit, (EXIT_DEADLINE,))
        watch.daemon = True
        watch.start()
        try:
            assessment = assess_files(paths, self._settings.eligibility)
            if not assessment.eligible:
                return False
            log.info("series %s: computed while it is waited for", series.series_key)
            self._check(series)
            computed = compute(
                self._engines,
                assessment,
                self._settings,
                lambda _stage, _done, _total: self._check_at_times(series),
            )
            digest, made_at = input_digest(instances), self._clock.seconds()
            self._kept = Early(series.series_key, digest, assessment, computed, made_at)
        except _NotOfUseError:
            log.info("series %s: what was begun is of no use any more", series.series_key)
        except (DataError, OSError) as error:  # told of when its analysis is due
            log.debug("series %s: %s", series.series_key, error)
        except Exception:  # a fault of ours costs the series what it costs in its turn, no more
            log.exception("series %s", series.series_key)
        finally:
            watch.cancel()
        return True

    def _check_at_times(self, series: OpenSeries) -> None:
        if self._clock.seconds() - self._checked > _CHECK_SECONDS:
            self._check(series)

    def _check(self, series: OpenSeries) -> None:
        """
        Raises:
            _NotOfUseError
        """
        self._checked = self._clock.seconds()
        try:
            with self._database.read() as session:
                of_use = early.still_of_use(session, series, self._clock.now())
        except DatabaseUnavailableError:
            return  # looked at again soon; to go on is never wrong
        if self._stop.is_set() or not of_use:
            raise _NotOfUseError
