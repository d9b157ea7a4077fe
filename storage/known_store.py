"""The object store that the database knows, and no other that answers in its place.

A folder that nothing is mounted on, or a bucket of another name, takes whatever is put there, and
nobody else ever finds it. So the first who puts anything into a new store enters an id in the
database, and writes it into the store: its mark. From then on the mark is looked for before
anything is written or removed, and whenever something is missing. A store that was moved bears its
mark with all else; another one is taken by a person alone (`accept`).
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.database import Database, is_missing, shown_url
from storage.errors import (
    DatabaseUnavailableError,
    ObjectMissingError,
    ObjectStoreError,
    StorageError,
    WrongStoreError,
)
from storage.models import InstanceRow, ResultRow
from storage.object_store import FolderStore, ObjectStore
from storage.statements import insert_into, moment
from storage.store_tables import ObjectStoreRow

MARK = "mark/dicomnode-store"
"""Name of the object that holds the id of a store."""

_ID_BYTES = 16
_SEEN_SECONDS = 60.0
"""For so long a bucket that bore its mark does; a folder may lose its file system at any moment."""

_NAMED = 20
_HINT = "mount it or mend object_store.url; on purpose: dicomnode database store --accept"


def read_mark(store: ObjectStore) -> str | None:
    """The id that a store bears; None where it bears none.

    Raises:
        ObjectStoreError
    """
    try:
        return store.get_range(MARK, 0, 2 * _ID_BYTES).decode("ascii", "replace")
    except ObjectMissingError:
        return None


def prove(database: Database, store: ObjectStore) -> str:
    """See that a store is the one of the database; a new one is marked. Its id.

    Raises:
        DatabaseUnavailableError
        WrongStoreError: it is not.
        ObjectStoreError: it does not answer.
    """
    mark = read_mark(store)
    with database.read() as session:
        known = _known(session)
        named = () if known and known[1] else _named_objects(session)
    if known is None and mark is not None:
        raise WrongStoreError(f"it bears the mark of another database: {_HINT}")
    if known is not None and known[1]:
        if mark != known[0] and read_mark(store) != known[0]:  # it may just have been marked
            what = "does not bear its mark" if mark is None else "bears the mark of another"
            raise WrongStoreError(f"it is not the one that the database knows, it {what}: {_HINT}")
        return known[0]
    if mark is None and named and not any(store.size_of(each) is not None for each in named):
        raise WrongStoreError(f"it has none of the objects that the database names: {_HINT}")
    with database.write() as session:
        store_id = _enter(session)
    if mark is None:
        _put_mark(store, store_id)
    if read_mark(store) != store_id:
        raise WrongStoreError(f"it bears the mark of another database: {_HINT}")
    with database.write() as session:
        session.get_one(ObjectStoreRow, 1).marked_at = moment(session)
    return store_id


def accept(database: Database, store: ObjectStore) -> str:
    """A store is the one of the database from now on, whatever it bears. Its id.

    Raises:
        DatabaseUnavailableError, ObjectStoreError
    """
    store_id = read_mark(store)
    if store_id is None:
        store_id = secrets.token_hex(_ID_BYTES)
        _put_mark(store, store_id)
    with database.write() as session:
        here = {"store_id": store_id, "marked_at": moment(session)}
        entered = insert_into(session, ObjectStoreRow).values(number=1, **here)
        session.execute(entered.on_conflict_do_update(index_elements=["number"], set_=here))
    return store_id


def known_id(session: Session) -> str | None:
    """Of the store that a database knows; None where it has used none yet."""
    known = _known(session)
    return None if known is None else known[0]


def lacks(database: Database, store: ObjectStore) -> tuple[int, int]:
    """Of some objects that the database names, how many a store lacks, and how many they are.

    Raises:
        DatabaseUnavailableError, ObjectStoreError
    """
    with database.read() as session:
        named = _named_objects(session)
    return sum(store.size_of(each) is None for each in named), len(named)


def _known(session: Session) -> tuple[str, bool] | None:
    """The id, and whether it was seen in the store."""
    row = session.get(ObjectStoreRow, 1, populate_existing=True)
    return None if row is None else (row.store_id, row.marked_at is not None)


def _named_objects(session: Session) -> tuple[str, ...]:
    """Some that rows name, in no order: by one, a long table is not read to its end."""
    found: set[str] = set()
    for table in (InstanceRow, ResultRow):
        some = select(table.object_name).where(table.object_name.is_not(None)).limit(_NAMED)
        found |= {each for each in session.scalars(some) if each}
    return tuple(sorted(found))


def _enter(session: Session) -> str:
    """One id, whoever comes first."""
    new = {"number": 1, "store_id": secrets.token_hex(_ID_BYTES)}
    entered = insert_into(session, ObjectStoreRow).values(new)
    session.execute(entered.on_conflict_do_nothing(index_elements=["number"]))
    return session.get_one(ObjectStoreRow, 1, populate_existing=True).store_id


def _put_mark(store: ObjectStore, store_id: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mark")
        file.write_text(f"{store_id}\n")
        store.put(MARK, file)


class KnownStore:
    """A store that is written to, and believed where it has nothing, as long as it is known."""

    def __init__(self, store: ObjectStore, place: str, database_url: str, kept: Path) -> None:
        """`place`: its address. `kept`: the file in which this machine keeps the id of the store of
        that address, for when the database is away."""
        self._store, self._place = store, place
        self._database_url, self._kept = database_url, kept
        self._id = ""
        self._until = float("-inf")
        self._may_vanish = isinstance(store, FolderStore)

    def put(self, name: str, file: Path) -> None:
        self.confirm()
        self._store.put(name, file)
        if self._may_vanish:
            self.confirm()  # it may have meanwhile

    def get_range(self, name: str, offset: int, size: int) -> bytes:
        try:
            return self._store.get_range(name, offset, size)
        except ObjectMissingError:
            self.confirm(anew=True)
            raise

    def size_of(self, name: str) -> int | None:
        size = self._store.size_of(name)
        if size is None:
            self.confirm(anew=True)
        return size

    def delete(self, name: str) -> None:
        self.confirm()
        self._store.delete(name)

    def confirm(self, *, anew: bool = False) -> None:
        """See that it is; `anew`: by its mark, however lately that was looked at.

        Raises:
            WrongStoreError
            ObjectStoreError: it does not answer, or was never seen, and the database is away.
        """
        if not self._id:
            self._id = self._asked()
        elif (anew or self._is_due()) and read_mark(self._store) != self._id:
            self._id = ""
            self._id = self._asked()  # another one may have been accepted
        else:
            return
        self._until = time.monotonic() + _SEEN_SECONDS

    def _is_due(self) -> bool:
        return self._may_vanish or time.monotonic() > self._until

    def _asked(self) -> str:
        try:
            if is_missing(self._database_url):  # taken away while the node runs: none is made anew
                raise DatabaseUnavailableError(shown_url(self._database_url), "it is gone")
            with closing(Database.open_later(self._database_url)) as database:
                store_id = prove(database, self._store)
        except ObjectStoreError:
            raise
        except StorageError as error:
            return self._as_kept(error)
        self._keep(store_id)
        return store_id

    def _keep(self, store_id: str) -> None:
        part = self._kept.with_name(f"{self._kept.name}.{os.getpid()}.part")
        with suppress(OSError):
            part.write_text(f"{store_id} {self._place}\n")
            part.replace(self._kept)

    def _as_kept(self, error: StorageError) -> str:
        """While the database is away, what it said last of this address."""
        store_id = ""
        with suppress(OSError):
            store_id, _, place = self._kept.read_text(errors="replace").strip().partition(" ")
            store_id = store_id if place == self._place else ""
        if not store_id:
            raise ObjectStoreError(f"whether it is the right one is not known: {error}") from None
        if read_mark(self._store) != store_id:
            raise WrongStoreError(f"it does not bear the mark of the one that was used: {_HINT}")
        return store_id
