"""Instance files on disk, under names that tell nothing about the patient.

A name is made of digests alone, so no peer can choose it: a UID is at most 64 characters of
digits and dots (PS3.5 section 9), but what comes over the network may be anything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from storage.copies import Copies, Stored
from storage.durable import DurableFiles, GrowingFile
from storage.errors import UnsafePathError
from storage.folders import names_in
from storage.records import StoredInstance
from storage.sealed import is_intact, single

_FORM = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{30}/[0-9a-f]{32}-[0-9a-f]{16}\.dcm", re.ASCII)


@dataclass(frozen=True)
class StoredFile:
    """A file under its final name. `size_bytes` is of the whole file, `sha256` of the data set.

    `node_id`: on whose disk it lies; empty where nobody asks. `object_name`: of the object that it
    is by itself, where it is in the object store too.
    """

    path: str
    size_bytes: int
    sha256: str
    existed: bool
    node_id: str = ""
    object_name: str | None = None

    @property
    def object_offset(self) -> int | None:
        return None if self.object_name is None else 0


def series_folder(series_instance_uid: str) -> str:
    """Folder of a series, relative and in POSIX form: `<2 hex>/<32 hex>` of the UID's SHA-256."""
    digest = hashlib.sha256(series_instance_uid.encode()).hexdigest()
    return f"{digest[:2]}/{digest[:32]}"


def _sop_digest(sop_instance_uid: str) -> str:
    """What the name of an instance's file begins with."""
    return hashlib.sha256(sop_instance_uid.encode()).hexdigest()[:32]


def _measured(data_set: bytes | memoryview | GrowingFile) -> tuple[int, str]:
    """Length in bytes and SHA-256."""
    if isinstance(data_set, GrowingFile):
        return data_set.size_bytes, data_set.sha256
    return len(data_set), hashlib.sha256(data_set).hexdigest()


class InstanceFiles:
    """The folder of received instances, each a file in the format of PS3.10 section 7."""

    def __init__(
        self,
        root: Path,
        node_id: str = "",
        copies: Copies | None = None,
        *,
        in_store: bool = False,
    ) -> None:
        """Makes `root` where it is missing. `node_id`: whose disk it is on. `copies`: of what the
        object store has. `in_store`: what is stored is put there too, at once.

        Raises:
            OSError
        """
        self._files = DurableFiles(root)
        self.node_id = node_id
        self._copies, self._in_store = copies, in_store

    def grow(self, room: int, ask: Callable[[int], object] = lambda _size: None) -> GrowingFile:
        """A file for a data set too large for memory, to be given to `store` or discarded.

        `room`: length of the head that it will get. `ask` is called before each write with its
        length, and stops it by an OSError.

        Raises:
            OSError
        """
        return self._files.grow(room, ask)

    def store(
        self,
        series_instance_uid: str,
        sop_instance_uid: str,
        head: bytes,
        data_set: bytes | memoryview | GrowingFile,
        durable: bool = True,
    ) -> StoredFile:
        """Store one instance; when this returns, the bytes and their name are on the disk, and in
        the object store where that is asked for.

        `head` is the preamble, the prefix and the file meta information (PS3.10 section 7.1); it
        differs with each sender, so the digest is of `data_set` alone and a file with the same one
        is not written again.

        Raises:
            OSError: the disk is full, or the object store away; nothing is left then, but a growing
                file is its owner's to discard.
        """
        length, sha256 = _measured(data_set)
        name = f"{_sop_digest(sop_instance_uid)}-{sha256[:16]}.dcm"
        path = f"{series_folder(series_instance_uid)}/{name}"
        size = self._files.size_of(path)
        # a shorter one was damaged since; one that retention takes away just now is written anew
        if size > length and (not durable or self._files.confirm(path)):
            return self._kept(StoredFile(path, size, sha256, existed=True, node_id=self.node_id))
        if isinstance(data_set, GrowingFile):
            self._files.adopt(path, data_set, head, durable)
        else:
            self._files.put(path, (head, data_set), durable)
        size = len(head) + length
        return self._kept(StoredFile(path, size, sha256, existed=False, node_id=self.node_id))

    def _kept(self, stored: StoredFile) -> StoredFile:
        if not self._in_store or self._copies is None:
            return stored
        try:
            return replace(stored, object_name=self._copies.put(self.open_path(stored.path)))
        except OSError:
            if not stored.existed:
                self._files.remove(stored.path)
            raise

    def object_of(self, path: str) -> str | None:
        """The name of the object that a file is by itself, where each is one.

        Raises:
            OSError: it cannot be read.
        """
        return single(path, self.open_path(path)).name if self._in_store else None

    def bring(self, rows: Sequence[Stored]) -> list[Path]:
        """The files of these rows, in their order; what the object store alone has is brought to
        this machine. Of one that is nowhere the place where it should be.

        Raises:
            UnsafePathError: any other form of path.
            ObjectStoreError: it cannot be brought now.
            OSError: there is no room.
        """
        own = [self.open_path(each.path) for each in rows]
        return own if self._copies is None else self._copies.bring(self._files.root, rows)

    def keep(self, row: Stored) -> None:
        """Have the file of a row among the own ones again: it is to be in no object any more.

        Raises:
            as `bring`.
        """
        (file,) = self.bring([row])
        if file != self._files.root / row.path and file.exists():
            self._files.put(row.path, (file.read_bytes(),))

    def own_again(self, row: StoredInstance) -> int | None:
        """Bytes of the file of a row among the own ones, where this machine has a good copy; one
        among the copies is taken over. Nothing is brought.

        Raises:
            UnsafePathError: any other form of path.
            OSError: it cannot be read, or there is no room.
        """
        own = self.open_path(row.path)
        for root in (self._files.root, *([] if self._copies is None else [self._copies.root])):
            file = root / row.path
            if file.is_file() and is_intact(file, row.sha256, row.transfer_syntax_uid):
                if root != self._files.root:
                    self._files.put(row.path, (file.read_bytes(),))
                return own.stat().st_size
        return None

    def open_path(self, path: str) -> Path:
        """The file of a stored `path`.

        Raises:
            UnsafePathError: any other form of path.
        """
        if _FORM.fullmatch(path) is None:
            raise UnsafePathError(f"{path!r} is no path of an instance")
        return self._files.locate(path)

    def is_there(self, path: str) -> bool:
        """Whether there is a file of a stored `path`.

        Raises:
            UnsafePathError: any other form of path.
        """
        if _FORM.fullmatch(path) is None:
            raise UnsafePathError(f"{path!r} is no path of an instance")
        return self._files.size_of(path) > 0

    def iter_paths(self) -> Iterator[str]:
        """Every stored path, in order; temporary and foreign files are passed over.

        One folder of a series is listed at a time, however many there are.
        """
        root = self._files.root
        for level in names_in(root):
            for folder in names_in(root / level) if len(level) == 2 else ():
                for name in names_in(root / level / folder):
                    path = f"{level}/{folder}/{name}"
                    if _FORM.fullmatch(path) is not None:
                        yield path

    def find(self, sop_instance_uids: Collection[str]) -> dict[str, str]:
        """Stored paths of those that are there, by SOP Instance UID, wherever they lie.

        All names are looked through. Of one that has several contents any.

        Raises:
            OSError: a folder cannot be read.
        """
        wanted = {_sop_digest(uid): uid for uid in sop_instance_uids}
        found = {}
        for path in self.iter_paths():
            uid = wanted.get(path.rpartition("/")[2].partition("-")[0])
            if uid is not None:
                found[uid] = path
        return found

    def remove_leftovers(self, older_than: datetime) -> int:
        """Remove files that were begun before `older_than` and never ended. Returns how many."""
        return self._files.remove_leftovers(older_than)

    def remove(self, path: str) -> None:
        """Remove one instance file durably.

        Raises:
            UnsafePathError: any other form of path; gone already is no fault.
        """
        self.open_path(path)
        self._files.remove(path)
