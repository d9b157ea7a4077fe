"""Files that are whole and durable under their final name, or not there at all.

The order is: write under a temporary name, fdatasync, rename, fsync of the folder (POSIX makes
the rename atomic; only the folder's fsync makes the name outlive a power cut).
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import mmap
import os
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from storage.direct_io import FILE_MODE, Content, FileWriter, write_all
from storage.errors import UnsafePathError
from storage.folders import Folder, Folders, make_folder, sync_folder

log = logging.getLogger(__name__)

LEFTOVER_AGE = timedelta(hours=1)
"""A temporary file that was not written for so long has no writer any more."""

INCOMING = "incoming"
LEAVING = ".leaving"
"""Ending of a file in `incoming` that retention is about to unlink; no leftover of a writer."""


class GrowingFile:
    """A file under a temporary name that grows while its bytes come, behind room for a head.

    It becomes a stored file by `DurableFiles.adopt`, or goes by `discard`.
    """

    def __init__(self, path: Path, room: int, ask: Callable[[int], object]) -> None:
        """`room`: bytes kept free at the beginning.

        `ask` is called with the length of what is about to be written, and stops it by an OSError.

        Raises:
            OSError
        """
        self.path, self.room, self._ask = path, room, ask
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE)

    def write(self, data: Content) -> None:
        """Add to the end.

        Raises:
            OSError: the disk is full, for example.
        """
        self._ask(len(data))
        write_all(self._descriptor, (data,), self.room + self.size_bytes)
        self._digest.update(data)
        self.size_bytes += len(data)

    def view(self) -> memoryview:
        """What was written, without the head; read from the page cache, not held in memory."""
        if self.size_bytes == 0:
            return memoryview(b"")
        mapped = mmap.mmap(self._descriptor, 0, prot=mmap.PROT_READ)
        return memoryview(mapped)[self.room :]

    @property
    def sha256(self) -> str:
        """Of what was written, without the head; in hexadecimal."""
        return self._digest.hexdigest()

    def finish(self, head: bytes, durable: bool) -> None:
        """Write the head, exactly as long as the room for it.

        Raises:
            OSError
        """
        if len(head) != self.room:
            raise ValueError(f"the head has {len(head)} bytes, the room {self.room}")
        write_all(self._descriptor, (head,), 0)
        if durable:
            os.fdatasync(self._descriptor)

    def discard(self) -> None:
        """Close it and remove what is left under the temporary name; may be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self.path.unlink(missing_ok=True)


class DurableFiles:
    """A folder of files that are stored whole. Safe for threads and for several processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / INCOMING
        self._name = f"{self._incoming}/{uuid.uuid4().hex}"
        self._numbers = itertools.count()
        self._folders = Folders(root)
        self._writer = FileWriter()
        make_folder(self._incoming)

    def grow(self, room: int, ask: Callable[[int], object] = lambda _size: None) -> GrowingFile:
        """A new file to be written bit by bit, `ask` before each bit.

        Raises:
            OSError
        """
        return GrowingFile(Path(self._temporary()), room, ask)

    def adopt(self, path: str, growing: GrowingFile, head: bytes, durable: bool = True) -> None:
        """Give a grown file its head and its final name, as `put` does with parts.

        Raises:
            OSError: the file stays under its temporary name then, to be discarded.
        """
        growing.finish(head, durable)
        folder = self._give_name(str(growing.path), path)
        if durable:
            folder.sync()

    def put(self, path: str, parts: Sequence[Content], durable: bool = True) -> None:
        """Write `parts` one after the other to `path`, replacing what is there in one step.

        Without `durable` the file is still whole for every reader, but a power cut may lose it.

        Raises:
            OSError: ENOSPC, EFBIG, EDQUOT and others; no trace of the file is left then.
        """
        temporary = self._temporary()
        try:
            self._writer.write(temporary, parts, durable)
            folder = self._give_name(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        if durable:
            folder.sync()

    def _temporary(self) -> str:
        """A name that nobody else has: a forked process has another number."""
        return f"{self._name}-{os.getpid()}-{next(self._numbers)}.part"

    def confirm(self, path: str) -> bool:
        """Make a file durable that is there already: its writer may have died before fsync.

        It counts as written now, so that retention keeps it. False when its name was taken away
        meanwhile: it has to be written anew (see `storage.removable_files`).
        """
        final = self.root / path
        try:
            descriptor = os.open(final, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            os.utime(descriptor)
            os.fdatasync(descriptor)
            touched = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        return self._confirm_name(path, touched)

    def size_of(self, path: str) -> int:
        """Bytes of a stored file; 0 when there is none."""
        try:
            return os.stat(f"{self.root}/{path}").st_size  # noqa: PTH116 - hot path
        except FileNotFoundError:
            return 0

    def locate(self, path: str) -> Path:
        """The absolute path of a stored `path`.

        Raises:
            UnsafePathError: a link leads outside.
        """
        located = self.root / path
        if not located.resolve().is_relative_to(self.root.resolve()):
            raise UnsafePathError(f"{path!r} leads out of {self.root}")
        return located

    def remove(self, path: str) -> None:
        """Remove a file durably; one that is gone already is no fault. Folders stay."""
        located = self.locate(path)
        located.unlink(missing_ok=True)
        if located.parent.exists():
            sync_folder(located.parent)

    def remove_leftovers(self, older_than: datetime) -> int:
        """Remove temporary files whose writer died, last written before `older_than`."""
        removed = 0
        for leftover in self._incoming.iterdir():
            if leftover.suffix == LEAVING:
                continue
            try:
                if leftover.stat().st_mtime < older_than.timestamp():
                    leftover.unlink()
                    removed += 1
            except FileNotFoundError:
                continue  # its writer lives, and has just given it its final name
        return removed

    def _give_name(self, temporary: str, path: str) -> Folder:
        """The folder it was moved to, whose own name is durable."""
        above, _, name = path.rpartition("/")
        folder = self._folders.opened(above)
        try:
            folder.take(temporary, name)
        except FileNotFoundError:  # retention removed the folder, as it was empty, just then
            self._folders.forget(above, folder)
            folder = self._folders.opened(above)
            folder.take(temporary, name)
        return folder

    def _confirm_name(self, path: str, touched: os.stat_result) -> bool:
        """Only after the file was touched, its name is looked at."""
        above, _, name = path.rpartition("/")
        folder = self._folders.opened(above)
        try:
            folder.sync()
            found = os.stat(name, dir_fd=folder.descriptor)
        except FileNotFoundError:
            self._folders.forget(above, folder)
            return False
        return os.path.samestat(found, touched)
