"""The sealer: puts what lies on this machine's disk alone into the object store, and clears copies.

A series of which nothing came for a while becomes one object (`storage.sealed`); from then on any
node can read it, and what is here is a copy that may go when there are more bytes of such copies
than `[object_store] cache_gib`. What is in no object never goes. In whatever order a sealer is
killed, nothing is lost: what `storage.sealing` says of rows and notes holds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from dicomnode.clock import clock_of
from dicomnode.config.settings import Settings
from dicomnode.data_directory.backlog import Backlog
from dicomnode.data_directory.mender import Mender
from dicomnode.lifecycle import Outage, ends_process_on_fault
from storage import sealing
from storage.copies import Copies, CopyFolder, is_marked
from storage.database import Database
from storage.durable import INCOMING
from storage.errors import DamagedObjectError, WrongStoreError
from storage.folders import names_in, sync_folder
from storage.known_store import KnownStore
from storage.object_store import ObjectStore
from storage.overview_records import Unsealed
from storage.records import ResultRecord, StoredInstance
from storage.sealed import INSTANCES, RESULTS, Member, Sealed
from storage.statements import Place

log = logging.getLogger(__name__)

PASS_SECONDS = 5.0
_CLEAR_SECONDS = 60.0
_LOOK_ALL = timedelta(hours=1)
"""So often all series are looked through: of a note, or of a person's choice between copies,
nothing tells by the time of the last arrival."""

_OVERLAP = timedelta(minutes=10)
"""Looked at again in each pass: what came is in the index some time after it came."""

_PURGE = timedelta(hours=1)
_LOOK_AT = 100
_COUNTED = 1000
_OBJECTS_A_PASS = 100
_FREED_SHARE = 0.9
"""Copies go until so much of the limit is left, so that there is something to do only now and
then."""

_GIB = 1 << 30
_BEGINNING: Place = (datetime.min.replace(tzinfo=UTC), "")


class Sealer:
    """Of one node; at most one at a time."""

    def __init__(self, settings: Settings, database: Database, node_id: str) -> None:
        self._settings, self._database, self._node_id = settings, database, node_id
        self._instances, self._results = settings.instances, settings.result_files
        self._work = settings.instances / INCOMING
        kinds = (settings.copies_of("instances"), settings.copies_of("results"))
        self._copies = [each for each in kinds if each is not None]
        self._limit = int(settings.object_store.cache_gib * _GIB)
        self._from, self._looked_all = _BEGINNING, datetime.min.replace(tzinfo=UTC)
        self._purged = self._looked_all
        self._failed: dict[str, datetime] = {}  # when each could be sealed
        self._mender = Mender(settings, database, node_id, self._store, self._seal)
        self._rest = timedelta(seconds=settings.object_store.seal_after_seconds)

    def seal_due(self, now: datetime) -> int:
        """Seal what has come to rest; how many series. One that is at fault holds up no other.

        Raises:
            DatabaseUnavailableError
            ObjectStoreError: the store is away: the same series come again.
            OSError: there is no room for an object.
        """
        if now - self._looked_all >= _LOOK_ALL:
            self._from, self._looked_all = _BEGINNING, now
            self._failed.clear()
        before = now - self._rest
        sealed = 0
        while True:
            with self._database.read() as session:
                found = sealing.unsealed_series(
                    session, self._node_id, self._from, before, _LOOK_AT
                )
            for place in found:
                if place[1] not in self._failed:
                    sealed += self._seal_or_pass_over(place, now)
                self._from = place
            if len(found) < _LOOK_AT:
                self._from = min(self._from, (now - _OVERLAP, ""))
                return sealed

    def mend_due(self, now: datetime) -> int:
        """As `Mender.mend_due`.

        Raises:
            as there.
        """
        return self._mender.mend_due(now)

    def confirm_store(self) -> None:
        """Nothing goes from here either while the store is another, or away.

        Raises:
            ObjectStoreError
        """
        store = self._store()
        if isinstance(store, KnownStore):
            store.confirm()

    def _store(self) -> ObjectStore:
        return self._copies[0].store

    def unsealed(self, now: datetime, fault: str = "", *, wrong: bool = False) -> Unsealed:
        """What `seal_due` has left; `fault`: what it ended by, `wrong`: at another store. All
        before where it has come to is sealed, but for what is damaged.

        Raises:
            DatabaseUnavailableError
        """
        with self._database.read() as session:
            found = sealing.unsealed_series(
                session, self._node_id, self._from, now - self._rest, _COUNTED
            )
        due = {key: at + self._rest for at, key in found} | self._failed
        return Unsealed(
            at=now,
            series=len(due),
            at_least=len(found) == _COUNTED,
            damaged=len(self._failed),
            oldest_due_at=min(due.values(), default=None),
            fault=fault,
            wrong=wrong,
        )

    def _seal_or_pass_over(self, place: Place, now: datetime) -> bool:
        last_came, series_key = place
        try:
            return self._seal(series_key, now)
        except (DamagedObjectError, FileNotFoundError) as error:
            log.error("series %s stays on this disk alone: %s", series_key, error)
            self._failed[series_key] = last_came + self._rest
            return False

    def _seal(self, series_key: str, now: datetime) -> bool:
        with self._database.read() as session:
            instances = sealing.unsealed_instances(session, series_key, self._node_id)
            results = sealing.unsealed_results(session, series_key, self._node_id)
        done = self._seal_instances(series_key, instances, now)
        return self._seal_results(results, now) or done

    def _seal_instances(
        self, series_key: str, rows: Sequence[StoredInstance], now: datetime
    ) -> bool:
        members = [
            Member(each.path, self._instances / each.path, each.sha256, each.transfer_syntax_uid)
            for each in rows
        ]

        def record(sealed: Sealed) -> int:
            with self._database.write() as session:
                return sealing.record_sealed(session, series_key, sealed, rows)

        return self._put(INSTANCES, members, now, record)

    def _seal_results(self, rows: Sequence[ResultRecord], now: datetime) -> bool:
        members = [Member(each.path, self._results / each.path) for each in rows]

        def record(sealed: Sealed) -> int:
            with self._database.write() as session:
                return sealing.record_sealed_results(session, sealed, rows)

        return self._put(RESULTS, members, now, record)

    def _put(
        self, kind: str, members: Sequence[Member], now: datetime, record: Callable[[Sealed], int]
    ) -> bool:
        if not members:
            return False
        store, work = self._store(), self._work
        sealed = sealing.put_sealed(self._database, store, kind, members, work, now)
        return sealed is not None and record(sealed) > 0

    def remove_objects(self, now: datetime) -> int:
        """What no row names any more goes from the store; how many objects.

        Raises:
            DatabaseUnavailableError
            ObjectStoreError
        """
        with self._database.write() as session:
            names = sealing.claim_objects(session, now, _OBJECTS_A_PASS)
        for name in names:
            self._store().delete(name)
        if names:
            with self._database.write() as session:
                sealing.strike_objects(session, names)
        return len(names)

    def clear(self, now: datetime) -> int:
        """Bring the copies here below their limit, what was read longest ago first; how many bytes
        went. Copies of series that no row knows any more go whatever room there is.

        Raises:
            DatabaseUnavailableError
            OSError
        """
        with self._database.read() as session:
            own = sealing.evictable(session, self._node_id)
        held = [(each, copies) for copies in self._copies for each in copies.folders()]
        held = self._purge(held, now)
        bytes_held = sum(e.size_bytes for e in own) + sum(each.size_bytes for each, _ in held)
        if bytes_held <= self._limit:
            return 0
        ways: list[tuple[float, Callable[[], int]]] = [
            (each.since.timestamp(), partial(self._evict, each.series_key)) for each in own
        ]
        ways += [(each.read_at, partial(self._drop, copies, each)) for each, copies in held]
        gone, wanted = 0, bytes_held - self._limit * _FREED_SHARE
        for _, free in sorted(ways, key=lambda each: each[0]):
            if gone >= wanted:
                break
            gone += free()
        return gone

    def _purge(
        self, held: list[tuple[CopyFolder, Copies]], now: datetime
    ) -> list[tuple[CopyFolder, Copies]]:
        """Those that stay."""
        if now - self._purged < _PURGE:
            return held
        self._purged = now
        staying = []
        for each, copies in held:
            paths = [f"{each.folder}/{name}" for name in names_in(copies.root / each.folder)]
            with self._database.read() as session:
                known = sealing.is_known(session, paths)
            if known or not self._drop(copies, each):
                staying.append((each, copies))
        return staying

    def _drop(self, copies: Copies, held: CopyFolder) -> int:
        with copies.clearing():
            if is_marked(copies.root / held.folder) or self._is_used(held.folder):
                return 0
            copies.remove(held.folder)
        return held.size_bytes

    def _evict(self, series_key: str) -> int:
        """The series' own files that are sealed; first the files, then the rows that say so."""
        with self._copies[0].clearing():
            with self._database.read() as session:
                paths = sealing.sealed_here(session, series_key, self._node_id)
            folders = {path.rpartition("/")[0] for path in paths}
            used = (is_marked(self._instances / each) or self._is_used(each) for each in folders)
            if any(used):
                return 0
            gone = sum(self._unlink(path) for path in paths)
        for folder in folders:
            with suppress(OSError):  # what is in no object is still there
                sync_folder(self._instances / folder)
                (self._instances / folder).rmdir()
        with self._database.write() as session:
            sealing.forget_evicted(session, paths, self._node_id)
        return gone

    def _unlink(self, path: str) -> int:
        file = self._instances / path
        with suppress(FileNotFoundError):
            size = file.stat().st_size
            file.unlink()
            return size
        return 0

    def _is_used(self, folder: str) -> bool:
        with self._database.read() as session:
            return folder in sealing.folders_in_use(session, self._node_id)


def start(settings: Settings, node_id: str, stop: threading.Event) -> None:
    """Seal in a thread until `stop`, where there is an object store."""
    if settings.object_store.url:
        target = ends_process_on_fault(run)
        threading.Thread(target=target, args=(settings, node_id, stop), name="sealer").start()


@contextmanager
def _told(backlog: Backlog, sealer: Sealer, now: datetime) -> Iterator[None]:
    """Around a pass: what is left, and why."""
    try:
        yield
    except OSError as error:
        wrong = isinstance(error, WrongStoreError)
        backlog.tell(sealer.unsealed(now, str(error), wrong=wrong))
        raise
    backlog.tell(sealer.unsealed(now))


def run(settings: Settings, node_id: str, stop: threading.Event) -> None:
    """Seal every few seconds until `stop`; what fails is tried again."""
    database = Database.open_later(settings.database_url)
    outage, clock = Outage("sealing", OSError), clock_of(database)
    backlog = Backlog(settings.node.data_directory)
    sealer: Sealer | None = None
    clear_at = 0.0
    while not stop.is_set():
        with outage.reported():
            sealer = sealer or Sealer(settings, database, node_id)
            now = clock.now()
            with _told(backlog, sealer, now):
                sealer.confirm_store()
                if done := sealer.seal_due(now):
                    log.info("sealed %d series", done)
                sealer.mend_due(now)
            if clock.seconds() >= clear_at:
                sealer.remove_objects(now)
                if gone := sealer.clear(now):
                    log.info("%d MiB of copies removed", gone >> 20)
                clear_at = clock.seconds() + _CLEAR_SECONDS
        stop.wait(PASS_SECONDS)
