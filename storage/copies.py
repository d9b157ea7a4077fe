"""The copies on this machine of what lies in the object store, brought when they are read.

A node's own files lie in its folder of instances, or of results; where they are sealed, and gone
there or another node's, their copies lie in a folder beside. What lies there can go at any time:
it is in the store. No file of the own folder is taken for a copy, nor the other way round: one
without a row is an arrival there, and rubbish here.

Whoever reads marks the folders of the series, with a lock shared; whoever clears looks at the
marks with the lock alone. So nothing goes between the look at a file and its use.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Protocol

from storage.direct_io import FILE_MODE
from storage.durable import INCOMING, DurableFiles, GrowingFile
from storage.errors import DamagedObjectError, ObjectMissingError
from storage.folders import names_in
from storage.object_store import FolderStore, ObjectStore
from storage.sealed import RESULTS, DataSetCheck, ObjectReader, single

_OPEN_SECONDS = 300.0
MARKED_SECONDS = 120.0
"""For so long a series that was marked stays, whoever reads it: one job, or a command."""


class Stored(Protocol):
    """What a row says of where a file's bytes are."""

    @property
    def path(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def object_name(self) -> str | None: ...
    @property
    def object_offset(self) -> int | None: ...


@dataclass(frozen=True)
class CopyFolder:
    """The copies of one series: its folder, when it was last read (POSIX time), and its bytes."""

    folder: str
    read_at: float
    size_bytes: int


DamageTold = Callable[[str, str, str], object]
"""Is told the name of an object that was read in vain, the key of its series, and why."""


class Copies:
    """The copies of one kind of file. `opened`: opens the object store."""

    def __init__(
        self,
        root: Path,
        opened: Callable[[], ObjectStore],
        on_damage: DamageTold = lambda _name, _series_key, _why: None,
    ) -> None:
        self.root = root
        self._opened, self._on_damage = opened, on_damage
        self._store: ObjectStore | None = None
        self._until = 0.0

    @property
    def store(self) -> ObjectStore:
        """The object store: opened anew now and then, as its credentials may be others.

        Raises:
            ObjectStoreError
        """
        if self._store is None or time.monotonic() > self._until:
            self._store, self._until = self._opened(), time.monotonic() + _OPEN_SECONDS
        return self._store

    def bring(self, own: Path, rows: Sequence[Stored]) -> list[Path]:
        """The files of these rows, below `own` or here; those that are sealed, and are in neither,
        are brought here first. Of one that is nowhere the place where it should be.

        Raises:
            ObjectStoreError
            OSError: there is no room.
        """
        with self._locked(fcntl.LOCK_SH):
            for folder in {each.path.rpartition("/")[0] for each in rows}:
                for root in (own, self.root):
                    with suppress(FileNotFoundError):
                        os.utime(root / folder)
            found = {each.path: self._found(own, each) for each in rows}
        missing = [each for each in rows if found[each.path] is None and each.object_name]
        missing.sort(key=lambda each: (each.object_name or "", each.object_offset or 0))
        for name, members in groupby(missing, lambda each: each.object_name or ""):
            self._take_or_tell(name, list(members))
        found |= {each.path: self.root / each.path for each in missing}
        return [found[each.path] or own / each.path for each in rows]

    def _found(self, own: Path, row: Stored) -> Path | None:
        for file in (own / row.path, self.root / row.path):
            with suppress(FileNotFoundError):
                if file.stat().st_size == row.size_bytes:
                    return file
        return None

    def _take_or_tell(self, name: str, rows: Sequence[Stored]) -> None:
        try:
            self._take(name, rows)
        except (DamagedObjectError, ObjectMissingError) as error:
            self._on_damage(name, getattr(rows[0], "series_key", ""), str(error))
            raise

    def _take(self, name: str, rows: Sequence[Stored]) -> None:
        store, files = self.store, DurableFiles(self.root)
        if not name.startswith(RESULTS):
            self._take_members(store, files, name, rows)
            return
        whole = files.grow(0)  # no row has the SHA-256 of a result: the object's name has
        try:
            size = store.size_of(name)
            if size is None:
                raise ObjectMissingError(f"{name} is not there")
            for piece in ObjectReader(store, name, size).pieces(0, size):
                whole.write(piece)
            if name.rpartition("/")[2] != whole.sha256:
                raise DamagedObjectError(f"{name}: its SHA-256 is another than its name says")
            self._take_members(FolderStore(whole.path.parent), files, whole.path.name, rows)
        finally:
            whole.discard()

    def _take_members(
        self, store: ObjectStore, files: DurableFiles, name: str, rows: Sequence[Stored]
    ) -> None:
        end = max((each.object_offset or 0) + each.size_bytes for each in rows)
        reader = ObjectReader(store, name, end)
        for each in rows:
            growing = files.grow(0)
            try:
                _copy(reader, each, growing)
                files.adopt(each.path, growing, b"", durable=False)
            finally:
                growing.discard()

    def put(self, file: Path) -> str:
        """Put one file into the store, as an object of its own; the object's name.

        Raises:
            ObjectStoreError
            OSError: it cannot be read.
        """
        sealed = single(file.name, file)
        self.store.put(sealed.name, file)
        return sealed.name

    def folders(self) -> Iterator[CopyFolder]:
        """All that is here, a series at a time."""
        for level in names_in(self.root):
            for name in names_in(self.root / level) if level != INCOMING else ():
                folder = self.root / level / name
                with suppress(FileNotFoundError):
                    sizes = [each.stat().st_size for each in folder.iterdir()]
                    yield CopyFolder(f"{level}/{name}", folder.stat().st_mtime, sum(sizes))

    @contextmanager
    def clearing(self) -> Iterator[None]:
        """Nobody begins to read meanwhile: to be held for moments."""
        with self._locked(fcntl.LOCK_EX):
            yield

    def remove(self, folder: str) -> None:
        """The copies of a series; within `clearing`."""
        shutil.rmtree(self.root / folder, ignore_errors=True)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        self.root.mkdir(mode=0o750, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        lock = os.open(self.root / "lock", flags, FILE_MODE)
        try:
            fcntl.flock(lock, how)
            yield
        finally:
            os.close(lock)


def is_marked(folder: Path) -> bool:
    """Whether somebody read in the folder of a series a moment ago."""
    try:
        return time.time() - folder.stat().st_mtime < MARKED_SECONDS
    except FileNotFoundError:
        return False


def _copy(reader: ObjectReader, row: Stored, to: GrowingFile) -> None:
    known = (getattr(row, each, "") for each in ("sha256", "transfer_syntax_uid"))
    check = DataSetCheck(row.path, *known)
    for piece in reader.member(row.path, row.object_offset or 0, row.size_bytes):
        check.update(piece)
        to.write(piece)
    check.end()
