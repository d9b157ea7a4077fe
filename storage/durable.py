"""Files that are whole and durable under their final name, or not there at all.

The order is: write under a temporary name, fdatasync, rename, fsync of the folder (POSIX makes
the rename atomic; only the folder's fsync makes the name outlive a power cut).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from storage.errors import UnsafePathError

Content = bytes | bytearray | memoryview

LEFTOVER_AGE = timedelta(hours=1)
"""A temporary file that was not written for so long has no writer any more."""

INCOMING = "incoming"
FOLDER_MODE = 0o750  # patient data: not for others
FILE_MODE = 0o640
KNOWN_FOLDERS_LIMIT = 4096


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and its missing parents, each durable in its own parent. Raises OSError."""
    missing = [level for level in (folder, *folder.parents) if not level.exists()]
    for level in reversed(missing):
        level.mkdir(mode=FOLDER_MODE, exist_ok=True)
        sync_folder(level.parent)


class DurableFiles:
    """A folder of files that are stored whole. Safe for threads and for several processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / INCOMING
        self._durable_folders: set[Path] = set()
        make_folder(self._incoming)

    def put(self, path: str, parts: Iterable[Content], durable: bool = True) -> None:
        """Write `parts` one after the other to `path`, replacing what is there in one step.

        Without `durable` the file is still whole for every reader, but a power cut may lose it.
        Raises OSError (ENOSPC, EFBIG, EDQUOT and others); no trace of the file is left then.
        """
        final = self.root / path
        with self._temporary() as temporary:
            self._write(temporary, parts, durable)
            self._make_folders(final.parent, durable)
            temporary.rename(final)
        if durable:
            sync_folder(final.parent)

    def confirm(self, path: str) -> None:
        """Make a file durable that is there already: its writer may have died before fsync."""
        final = self.root / path
        descriptor = os.open(final, os.O_RDONLY)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        self._make_folders(final.parent, durable=True)
        sync_folder(final.parent)

    def size_of(self, path: str) -> int:
        """Bytes of a stored file; 0 when there is none."""
        try:
            return (self.root / path).stat().st_size
        except FileNotFoundError:
            return 0

    def locate(self, path: str) -> Path:
        """The absolute path of a stored `path`. Raises UnsafePathError if a link leads outside."""
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
            try:
                if leftover.stat().st_mtime < older_than.timestamp():
                    leftover.unlink()
                    removed += 1
            except FileNotFoundError:
                continue  # its writer lives, and has just given it its final name
        return removed

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        path = self._incoming / f"{uuid.uuid4().hex}.part"
        try:
            yield path
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _write(self, path: Path, parts: Iterable[Content], durable: bool) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            if durable:
                os.fdatasync(descriptor)

    def _make_folders(self, folder: Path, durable: bool) -> None:
        """Make the levels between root and `folder`; each level's name is made durable once.

        A folder that is there may have been made a moment ago by a process that has not come to
        its fsync: only what this object has synced itself counts as durable.
        """
        levels = [*reversed(folder.relative_to(self.root).parents), folder.relative_to(self.root)]
        for level in (self.root / relative for relative in levels[1:]):
            made = self._make_level(level)
            if durable and (made or level not in self._durable_folders):
                sync_folder(level.parent)
                self._remember(level)

    def _make_level(self, level: Path) -> bool:
        try:
            level.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            return False
        return True

    def _remember(self, level: Path) -> None:
        if len(self._durable_folders) >= KNOWN_FOLDERS_LIMIT:
            self._durable_folders.clear()
        self._durable_folders.add(level)
