"""The mender: what an object of the store has lost, or never kept right, is put there anew.

Whoever reads an object in vain enters it (`storage.damage`). Each node that has good copies of what
was in it, by the SHA-256 of their rows, seals them again. Where none has, and nodes share the
database, it is as what a lost node alone had: asked of the archive, if there is one, as far as a
series waits for it; results that are not sent yet are made anew.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from dicomnode.config.settings import Settings
from storage import damage, sealing
from storage.damage import DamagedObject
from storage.database import Database
from storage.durable import INCOMING
from storage.instances import InstanceFiles
from storage.object_store import ObjectStore
from storage.records import StoredInstance
from storage.sealed import RESULTS, Member, is_whole, seal

log = logging.getLogger(__name__)

_LOOK_AT = 1000
_AGAIN = timedelta(minutes=1)
"""So long a node does not look again at an object of which it has nothing."""

_OTHERS = timedelta(minutes=2)
"""So long the other nodes have to look for good copies."""

Seal = Callable[[str, datetime], bool]


class Mender:
    """Of one node. `seal`: what of a series lies on its disk alone, at a moment; whether any."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        node_id: str,
        store: Callable[[], ObjectStore],
        seal: Seal,
    ) -> None:
        self._settings, self._database, self._node_id = settings, database, node_id
        self._store, self._seal = store, seal
        copies = settings.copies_of("instances")
        self._instances = InstanceFiles(settings.instances, node_id, copies)
        self._next: dict[str, datetime] = {}

    def mend_due(self, now: datetime) -> int:
        """Look at what was found damaged; how many objects are right again.

        Raises:
            DatabaseUnavailableError
            ObjectStoreError: the store is away, or not the one that the database knows.
            OSError: there is no room for an object.
        """
        with self._database.read() as session:
            found = damage.damaged_objects(session, _LOOK_AT)
        due = [each for each in found if self._next.get(each.object_name, now) <= now]
        self._next = {each.object_name: self._next.get(each.object_name, now) for each in found} | {
            each.object_name: now + _AGAIN for each in due
        }
        return sum(self._mend(each, now) for each in due)

    def _mend(self, damaged: DamagedObject, now: datetime) -> bool:
        if self._put_again(damaged, now):
            log.warning("%s is put into the object store again", damaged.object_name)
            return True
        with self._database.read() as session:
            wanted = damage.instances_in(session, damaged), damage.results_in(session, damaged)
        if not any(wanted) or self._is_right(damaged):
            with self._database.write() as session:
                damage.strike_damaged(session, damaged)
            log.info("%s is right again, or wanted no more", damaged.object_name)
            return any(wanted)
        if self._may_lose(damaged) and now - damaged.found_at >= _OTHERS:
            self._lose(damaged, now)
        return False

    def _is_right(self, damaged: DamagedObject) -> bool:
        """By now: somebody has put it back, or it was the way to it."""
        return damaged.lost_at is None and is_whole(self._store(), damaged.object_name)

    def _put_again(self, damaged: DamagedObject, now: datetime) -> bool:
        if damaged.object_name.startswith(f"{RESULTS}/"):
            return self._results_again(damaged, now)
        with self._database.read() as session:
            rows = damage.instances_in(session, damaged)
        sizes = {each.path: size for each in rows if (size := self._good_copy(each)) is not None}
        if not sizes:
            return False
        with self._database.write() as session:
            is_there = self._instances.is_there
            owned = damage.make_own(session, damaged, sizes, self._node_id, is_there, now)
            if owned == len(rows):
                damage.strike_damaged(session, damaged)
        return owned > 0 and self._seal(damaged.series_key, now) and owned == len(rows)

    def _good_copy(self, row: StoredInstance) -> int | None:
        try:
            size = self._instances.own_again(row)
        except OSError as error:
            why = error.strerror or type(error).__name__
            log.error("series %s: the copy here cannot be read: %s", row.series_key, why)
            return None
        if size is None and self._instances.is_there(row.path):
            log.error("series %s: the copy here is damaged too: %s", row.series_key, row.path)
        return size

    def _results_again(self, damaged: DamagedObject, now: datetime) -> bool:
        """Of results no row has a digest: they are good if they make the same object."""
        with self._database.read() as session:
            rows = damage.results_in(session, damaged)
        members = [Member(each.path, self._settings.result_files / each.path) for each in rows]
        if not members or not all(each.file.is_file() for each in members):
            return False
        work = self._settings.result_files / INCOMING
        work.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=work, suffix=".part") as file:
            sealed = seal(RESULTS, members, Path(file.name))
            if sealed.name != damaged.object_name:
                return False
            with self._database.write() as session:
                if not sealing.intend(session, sealed.name, now):
                    return False
            self._store().put(sealed.name, Path(file.name))
        with self._database.write() as session:
            if not sealing.strike(session, sealed.name):
                return False
            damage.strike_damaged(session, damaged)
        return True

    def _may_lose(self, damaged: DamagedObject) -> bool:
        """There is another way to what was in it: the archive, or for results another analysis."""
        query = self._settings.query
        way = damaged.object_name.startswith(f"{RESULTS}/") or query.peer or query.web
        return damaged.lost_at is None and self._settings.node.shares_database and bool(way)

    def _lose(self, damaged: DamagedObject, now: datetime) -> None:
        with self._database.write() as session:
            waits = damage.lose_damaged(session, damaged, now)
        if waits:
            name, key = damaged.object_name, damaged.series_key
            log.error("series %s: nobody has a good copy of what was in %s", key, name)
