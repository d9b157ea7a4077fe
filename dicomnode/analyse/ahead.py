"""Computes a series before it is decided upon, while nothing else waits for the worker.

While it comes, of each slice what its networks make of it: that is kept by the digest of what it
was made from, so a late slice costs no more than itself. When it seems whole, all of it: that is
used only for exactly the instances that were decided upon, and whatever comes late throws it away.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dicomnode.analyse.analysis import Computed, Refusal, compute, foresee
from dicomnode.analyse.held_job import EXIT_DEADLINE
from dicomnode.assess.assessment import (
    Assessment,
    Slices,
    assess_files,
    input_digest,
    read_slices_of,
)
from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.data_directory.files import instance_files
from dicomnode.decisions.reasons import failed_rules
from dicomnode.errors import DataError
from dicomnode.methods.bundles import Engines
from inference.errors import InferenceError
from inference.memory import LIMIT_BYTES
from storage import early, index
from storage.database import Database
from storage.early import OpenSeries
from storage.errors import DatabaseUnavailableError
from storage.records import StoredInstance

log = logging.getLogger(__name__)

_FORGOTTEN = timedelta(seconds=10)
"""After so long a silence a series is not begun: a worker that it has ended takes it no more."""

_OF_GAPS = frozenset({"evenly_spaced", "coverage", "one_pass"})
"""Rules that a series fails whose slices come in another order than they lie in."""

_HURRY = timedelta(seconds=0.02)
"""From one instance to the next: no scanner, but a sender that wants a receiver's whole attention,
and is done before much could be computed."""

_MOST_BYTES = LIMIT_BYTES // 2
"""Of pixels of a series of which anything is kept: a longer one takes a worker's memory alone."""

_CHECK_SECONDS = 0.5
_KEPT_SECONDS = 120.0
_LEAST_MORE, _MORE = 16, 8
"""A series is looked at again when so many slices have come, and an eighth of what was there."""


@dataclass(frozen=True, eq=False)
class Early:
    """What was computed of the instances of `input_digest`, and what was seen of their headers."""

    series_key: str
    input_digest: str
    assessment: Assessment
    computed: Computed | Refusal

    @property
    def size(self) -> int:
        """Bytes, about: of the volume and the lungs."""
        found = self.computed
        return found.volume.hu.nbytes * 3 // 2 if isinstance(found, Computed) else 0


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
        self._instances = instance_files(settings)
        self._engines, self._memory = engines, engines.memory
        self._stop = stop
        self._clock = clock
        self._started_at = clock.now()
        self._tried: tuple[str, int] | None = None
        self._kept: Early | None = None
        self._enough: dict[str, float] = {}  # instances of a series, for looking at it again
        self._headers: dict[tuple[Path, str], Slices] = {}
        self._checked = self._begun = 0.0
        alone = settings.inference.workers == settings.inference.at_once == 1
        self._wanted = settings.inference.begin_early and alone

    def take(self, series_key: str, digest: str) -> Early | None:
        """What was computed for exactly these instances; it is not kept any longer.

        What was computed of their slices serves the analysis that begins; nothing is added to it.
        """
        kept, self._kept = self._kept, None
        same = kept is not None and (kept.series_key, kept.input_digest) == (series_key, digest)
        if same or self._memory.series != series_key:
            self.forget()
        else:
            self._memory.begin(series_key, limit_bytes=0)
        return kept if same else None

    def forget(self) -> None:
        """Whatever was computed of slices."""
        self._memory.forget()
        self._headers.clear()

    @property
    def waits(self) -> bool:
        """Whether more of a series is to come, of which there is something in memory."""
        return bool(self._memory.series)

    def look(self) -> bool:
        """Compute a series that seems whole, or what has come of one that does not; whether there
        was one.

        Raises:
            DatabaseUnavailableError
        """
        if not self._wanted:
            return False
        self._forget_old()
        now, least = self._clock.now(), self._settings.eligibility.min_slices
        with self._database.read() as session:
            found = early.open_series(session, now - _FORGOTTEN, least, self._instances.node_id)
        whole = next((each for each in found if each.seems_whole(now)), None)
        if whole is not None and (whole.series_key, whole.revision) != self._tried:
            self._tried, self._kept = (whole.series_key, whole.revision), None
            return self._begin(whole, self._compute)
        coming = [each for each in found if not each.seems_whole(now)]
        if any(each.interval < _HURRY for each in coming):
            return False
        come = [each for each in coming if each.first_received_at >= self._started_at]
        own = [each for each in come if each.series_key == self._memory.series]
        self._enough = {each.series_key: self._enough.get(each.series_key, 0) for each in found}
        due = [each for each in own or come if each.instances >= self._enough[each.series_key]]
        return bool(due) and self._begin(due[0], self._foresee)

    def _forget_old(self) -> None:
        """A series may come to no analysis: another of its study is chosen."""
        if self._clock.seconds() - self._begun > _KEPT_SECONDS:
            self._kept = None
            self.forget()

    def _begin(
        self, series: OpenSeries, work: Callable[[OpenSeries, Sequence[StoredInstance]], bool]
    ) -> bool:
        with self._database.read() as session:
            instances = index.instances_of_series(session, series.series_key)
        if series.series_key != self._memory.series:
            self.forget()
        taken = 0 if self._kept is None else self._kept.size
        self._memory.begin(series.series_key, max(0, LIMIT_BYTES - taken))
        self._begun, self._checked = self._clock.seconds(), float("-inf")
        more = max(_LEAST_MORE, series.instances // _MORE)
        self._enough[series.series_key] = series.instances + more
        limit = self._settings.inference.deadline_seconds
        watch = threading.Timer(limit, os._exit, (EXIT_DEADLINE,))
        watch.daemon = True
        watch.start()
        try:
            return work(series, instances)
        except _NotOfUseError:
            log.debug("series %s: what was begun is of no use any more", series.series_key)
        except (DataError, InferenceError, OSError) as error:  # told when its analysis is due
            log.debug("series %s: %s", series.series_key, error)
        except Exception:  # a fault of ours costs the series what it costs in its turn, no more
            log.exception("series %s", series.series_key)
            self._enough[series.series_key] = float("inf")
        finally:
            watch.cancel()
        return True

    def _compute(self, series: OpenSeries, instances: Sequence[StoredInstance]) -> bool:
        assessment = self._assess(instances)
        if not assessment.eligible:
            return False
        if _is_long(assessment):
            self.forget()
        log.info("series %s: computed while it is waited for", series.series_key)

        def check(_stage: str, _done: int, _total: int) -> None:
            found = self._as_it_is(series)
            if found and found.revision != series.revision:
                raise _NotOfUseError

        check("", 0, 0)
        computed = compute(self._engines, assessment, self._settings, check)
        if isinstance(computed, Computed) and computed.lacks_memory:
            return True  # what is kept beside it took some: in its turn there may be enough
        digest = input_digest(instances)
        self._kept = Early(series.series_key, digest, assessment, computed)
        return True

    def _foresee(self, series: OpenSeries, instances: Sequence[StoredInstance]) -> bool:
        assessment = self._assess(instances)
        if _is_long(assessment) or not set(failed_rules(assessment.reasons)) <= _OF_GAPS:
            self.forget()  # another series may be begun meanwhile
            return False
        enough = self._enough[series.series_key]

        def check(stage: str, _done: int, _total: int) -> None:
            """Slices that were not seen are seen first: they tell which images stay as they are."""
            found = self._as_it_is(series)
            more = found and (found.instances >= enough or found.seems_whole(self._clock.now()))
            if (found and not found.receiving) or (stage == "network" and more):
                raise _NotOfUseError

        foresee(self._engines, assessment, check)
        return True

    def _assess(self, instances: Sequence[StoredInstance]) -> Assessment:
        """Headers are read once, however often a series is looked at."""
        files = self._instances.bring(instances)
        content = {file: each.sha256 for file, each in zip(files, instances, strict=True)}

        def read(path: Path) -> Slices:
            of = path, content[path]
            if of not in self._headers:
                self._headers[of] = read_slices_of(path)
            return self._headers[of]

        return assess_files(content, self._settings.eligibility, read)

    def _as_it_is(self, series: OpenSeries) -> OpenSeries | None:
        """The series now; None where it was asked for a moment ago.

        Raises:
            _NotOfUseError
        """
        if self._clock.seconds() - self._checked < _CHECK_SECONDS:
            return None
        self._checked = self._clock.seconds()
        try:
            with self._database.read() as session:
                found = early.while_of_use(session, series.series_key, self._clock.now())
        except DatabaseUnavailableError:
            return None  # looked at again soon; to go on is never wrong
        if self._stop.is_set() or found is None:
            raise _NotOfUseError
        return found


def _is_long(assessment: Assessment) -> bool:
    headers = assessment.eligibility.stack.headers
    return sum(2 * (each.rows or 0) * (each.columns or 0) for each in headers) > _MOST_BYTES
