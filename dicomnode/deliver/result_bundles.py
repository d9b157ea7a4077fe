"""Results in the object store before rows speak of them, so that any node can send them.

A store that is away, or slow, makes no report later: the results then lie on this node's disk
alone, which sends them, until the sealer puts them there. Only a host of workers alone, which sends
nothing, waits for the store: its results are nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy.orm import Session

from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.data_directory.worker_host import is_worker_host
from storage import sealing
from storage.database import Database
from storage.durable import INCOMING
from storage.errors import LeaseLostError, ObjectStoreError
from storage.records import ResultRecord
from storage.sealed import RESULTS, Member, Sealed

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 3.0
_AWAY_SECONDS = 60.0
"""So long it is not tried again."""


class ResultBundles:
    """Of one process; nothing where there is no object store."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._copies = settings.copies_of("results")
        self._folder, self._database, self._clock = settings.result_files, database, clock
        self._pool = ThreadPoolExecutor(1, "result-bundles")
        self._away_until = 0.0
        self._nowhere_else = is_worker_host(settings)

    def put(self, records: Sequence[ResultRecord]) -> Sequence[ResultRecord]:
        """The records, with where they are in the store: to be entered, then `named`.

        Raises:
            DatabaseUnavailableError
            ObjectStoreError: they are not there, and must be.
        """
        if self._nowhere_else:
            return self._put_or_fail(records)
        if self._copies is None or not records or self._clock.seconds() < self._away_until:
            return records
        try:
            sealed = self._pool.submit(self._put, records).result(_PATIENCE_SECONDS)
        except OSError as error:  # of time, too
            why = error.strerror or f"longer than {_PATIENCE_SECONDS:g} s"
            log.warning("results are not in the object store yet: %s", why)
            self._away_until = self._clock.seconds() + _AWAY_SECONDS
            return records
        return records if sealed is None else list(_within(sealed, records))

    def _put_or_fail(self, records: Sequence[ResultRecord]) -> Sequence[ResultRecord]:
        """On no disk, as far as their rows say."""
        sealed = self._put(records) if records else None
        if records and sealed is None:
            raise ObjectStoreError("the same results are just being removed")
        return [replace(each, node_id="") for each in _within(sealed, records)] if sealed else []

    def forget(self, records: Sequence[ResultRecord]) -> None:
        """On a host of workers alone, once they are in the store and in rows, or in none."""
        for each in records if self._nowhere_else else ():
            (self._folder / each.path).unlink(missing_ok=True)

    def _put(self, records: Sequence[ResultRecord]) -> Sealed | None:
        assert self._copies is not None  # noqa: S101 - asked by `put`
        members = [Member(each.path, self._folder / each.path) for each in records]
        work, now = self._folder / INCOMING, self._clock.now()
        return sealing.put_sealed(self._database, self._copies.store, RESULTS, members, work, now)


def _within(sealed: Sealed, records: Sequence[ResultRecord]) -> Iterator[ResultRecord]:
    for each in records:
        offset = sealed.offsets[each.path]
        yield replace(each, object_name=sealed.name, object_offset=offset)


def named(session: Session, records: Sequence[ResultRecord]) -> None:
    """Rows of this transaction name what `ResultBundles.put` told.

    Raises:
        LeaseLostError: that is so long ago that it is being removed.
    """
    for name in {each.object_name for each in records if each.object_name}:
        if not sealing.strike(session, name):
            raise LeaseLostError(f"{name} is not there any more")
