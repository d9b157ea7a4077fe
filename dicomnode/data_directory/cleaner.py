"""The cleaner: removes what is finished after its time, and what dead writers left.

Nothing that waits is touched. The order of each removal is that of `storage.retention`; a cleaner
that is killed goes on where it was.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from dicomnode.audit import trail
from dicomnode.audit.events import Changed
from dicomnode.clock import Clock, clock_of
from dicomnode.config.settings import Settings
from dicomnode.data_directory import sealer
from dicomnode.data_directory.backup import may_remove
from dicomnode.data_directory.holding import id_of_node
from dicomnode.decisions.retention import RetentionPolicy, judge_retention
from dicomnode.decisions.wording import how_many
from dicomnode.disk_gate import disk_space
from dicomnode.lifecycle import Outage
from storage import (
    commitment_answers,
    commitment_requests,
    queries,
    refusals,
    result_sets,
    retention,
)
from storage.database import Database
from storage.durable import LEFTOVER_AGE
from storage.errors import DatabaseUnavailableError
from storage.instances import InstanceFiles
from storage.overview_records import node_of
from storage.records import EndedSeries, FileKind
from storage.removable_files import RemovableFiles
from storage.result_history import SentFiles, Withdrawals
from storage.results import ResultFiles
from storage.statements import Place

log = logging.getLogger(__name__)

PASS_SECONDS = 60.0
_COMMITMENT_AGE = timedelta(days=90)
"""Older requests for storage commitment are forgotten; no report on them comes any more."""

_REFUSAL_AGE = timedelta(days=90)
_MOST_REFUSALS = 10_000
"""Older ones, and more of them, are forgotten."""

_TELL_SPACE = timedelta(hours=1)

_SERIES_A_PASS = 500
_SERIES_A_LOOK = 50
_FILES_A_STEP = 500
"""Unlinked in one transaction, which keeps other writers of SQLite waiting (about 20 ms)."""


_COMPILED_FOLDER = "compiled-models"
_COMPILED = re.compile(r"[0-9]+\.blob")
"""As OpenVINO names them; what else lies there is not ours and stays."""


@dataclass(frozen=True)
class Cleaned:
    """What one pass did."""

    series: int = 0  # whose rows were removed
    files: int = 0  # unlinked
    leftovers: int = 0  # of writers that died


class Cleaner:
    """Removes what one node no longer needs; at most one at a time is of use."""

    def __init__(
        self,
        settings: Settings,
        policy: RetentionPolicy,
        database: Database,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or clock_of(database)
        self._policy = policy
        self._database = database
        self._node_id = node_id = id_of_node(settings.node.data_directory)
        self._instances = InstanceFiles(settings.instances)
        self._results = ResultFiles(settings.result_files)
        self._folders = {
            FileKind.INSTANCE: RemovableFiles(settings.instances, node_id, self._clock.of_files),
            FileKind.RESULT: RemovableFiles(settings.result_files, node_id, self._clock.of_files),
        }
        self._withdrawals = Withdrawals(settings.result_files, node_id)
        self._sent = SentFiles(settings.result_files)
        self._entered_until = 0.0
        self._place: Place | None = None

    def clean(self, now: datetime) -> Cleaned:
        """One pass.

        Raises:
            DatabaseUnavailableError
            OSError: a folder cannot be read.
        """
        self._enter_withdrawals(now)
        begun = self._clock.of_files(now - LEFTOVER_AGE)
        leftovers = self._instances.remove_leftovers(begun)
        leftovers += self._results.remove_leftovers(begun)
        files = self._remove_files()  # what an earlier cleaner did not come to
        removed = [series for series in self._due(now) if self._remove_or_pass_over(series, now)]
        if removed:
            files += self._remove_files()
        self._remove_associations(now)
        self._forget_old(now)
        return Cleaned(len(removed), files, leftovers)

    def _enter_withdrawals(self, now: datetime) -> None:
        """Those whose command was killed before the database had them, or was away then; and, once,
        beside the results those that a former release entered in the database alone."""
        if not self._entered_until:
            with self._database.read() as session:
                known = result_sets.entered_withdrawals(session)
            for each in known:
                self._withdrawals.put_missing(each)
        kept = self._withdrawals.every(self._entered_until)
        if entered := result_sets.enter_withdrawals(self._database, kept):
            log.warning("entered %d withdrawals that the database did not know", entered)
        self._entered_until = (now - LEFTOVER_AGE).timestamp()

    def _due(self, now: datetime) -> Iterator[EndedSeries]:
        """The next so many series of those that may be due; from the first one on after the last.

        A series that waits for its deliveries, or was sent again, holds up none behind it.
        """
        shortest = self._policy.shortest
        if shortest is None:
            return
        for _ in range(_SERIES_A_PASS // _SERIES_A_LOOK):
            with self._database.read() as session:
                found = retention.ended_series(session, now - shortest, self._place, _SERIES_A_LOOK)
            yield from found
            last = found[-1] if len(found) == _SERIES_A_LOOK else None
            self._place = None if last is None else (last.ended_at, last.series_key)
            if last is None:
                return

    def _remove_or_pass_over(self, series: EndedSeries, now: datetime) -> bool:
        """One series at fault is told and stays; it does not keep the disk from being freed."""
        try:
            return self._remove(series, now)
        except (DatabaseUnavailableError, OSError):
            raise
        except Exception:
            log.exception("series %s: cannot be removed, and stays", series.series_key)
            return False

    def _remove(self, series: EndedSeries, now: datetime) -> bool:
        """Take the rows away, if the files were not touched for as long as they are kept."""
        if not judge_retention(series, self._policy, now).removable:
            return False
        touched_at = self._touched_at(series)
        may_go = partial(self._may_go, now=now, touched_at=touched_at)
        if not may_go(series):
            return False
        uid = series.series_key
        with self._database.write() as session:
            study = queries.study_of(session, uid)
            files = retention.remove_series(session, uid, may_go, now)
        if files is None:
            return False
        self._sent.forget(uid)
        log.info("series %s: %s, its %d files are removed", uid, series.state.value, files)
        trail.record(
            Changed("retention", f"{how_many(files, 'file')} removed", (study,), removed=True)
        )
        return True

    def _may_go(self, series: EndedSeries, now: datetime, touched_at: datetime) -> bool:
        return judge_retention(series, self._policy, now, touched_at).removable

    def _touched_at(self, series: EndedSeries) -> datetime:
        with self._database.read() as session:
            paths = retention.stored_paths(session, series.series_key, self._node_id)
        times = [self._folders[kind].last_touched(path) for kind, path in paths]
        return self._clock.from_files(datetime.fromtimestamp(max(times, default=0.0), UTC))

    def _remove_files(self) -> int:
        return sum(self._remove_files_of(kind, files) for kind, files in self._folders.items())

    def _remove_files_of(self, kind: FileKind, files: RemovableFiles) -> int:
        removed, place, more = 0, None, True
        while more:
            with self._database.write() as session:
                place, unlinked = retention.remove_files(session, kind, files, place, _FILES_A_STEP)
            removed, more = removed + unlinked, place is not None
        return removed

    def _remove_associations(self, now: datetime) -> None:
        shortest = self._policy.shortest
        if shortest is not None:
            with self._database.write() as session:
                retention.remove_associations(session, now - shortest, _FILES_A_STEP)

    def _forget_old(self, now: datetime) -> None:
        with self._database.write() as session:
            commitment_requests.remove_requests(session, now - _COMMITMENT_AGE)
            commitment_answers.remove_answers(session, now - _COMMITMENT_AGE)
            refusals.forget(session, now - _REFUSAL_AGE, _MOST_REFUSALS)


def run(settings: Settings, owner: str, stop: threading.Event) -> None:
    """Clean once a minute until `stop`; what fails is tried again with the next pass."""
    database = Database.open_later(settings.database_url)
    clock = clock_of(database)
    cleaner = Cleaner(settings, settings.retention, database, clock)
    outage = Outage("cleaning", OSError)
    remove_compiled_once(settings.node.data_directory)
    sealer.start(settings, node_of(owner), stop)
    told_at = datetime.min.replace(tzinfo=UTC)
    while not stop.is_set():
        now = clock.now()
        if now - told_at >= _TELL_SPACE:
            told_at = now
            log.info("disk of the instances: %s", disk_space(settings.instances))
        with outage.reported(), may_remove(settings.node.data_directory) as free:
            if free:
                clean_once(cleaner, now)
        stop.wait(PASS_SECONDS)


def remove_compiled(data_directory: Path) -> int:
    """What earlier versions kept of OpenVINO, a file of 94 MB for each bundle and version.

    How many files were removed, and the folder when it is empty then; a link is not followed.

    Raises:
        OSError: the folder cannot be read, or a file not removed.
    """
    folder = data_directory / _COMPILED_FOLDER
    if folder.is_symlink() or not folder.is_dir():
        return 0
    compiled = [each for each in folder.iterdir() if _COMPILED.fullmatch(each.name)]
    ours = [each for each in compiled if each.is_file() and not each.is_symlink()]
    for each in ours:
        each.unlink(missing_ok=True)
    with suppress(OSError):  # something else lies there
        folder.rmdir()
    return len(ours)


def remove_compiled_once(data_directory: Path) -> None:
    """What an earlier version left; told in the log, as is what hinders it."""
    try:
        removed = remove_compiled(data_directory)
    except OSError as error:
        log.warning("what an earlier version compiled stays: %s", error)
        return
    if removed:
        log.info("removed %d compiled networks of an earlier version", removed)


def clean_once(cleaner: Cleaner, now: datetime) -> None:
    """One pass, told in the log.

    Raises:
        as `Cleaner.clean`.
    """
    done = cleaner.clean(now)
    if done != Cleaned():
        log.info(
            "removed %d series, %d files, %d leftovers", done.series, done.files, done.leftovers
        )
