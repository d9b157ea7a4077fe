"""A file that several processes append lines to, kept within bounds: a log, or the audit trail.

A line is one write at the end of the file (O_APPEND), under a shared lock (flock of FILE.lock).
Before it the name is looked at: where another process has rotated, or logrotate, the new file is
opened. Who finds the file full renames it under the lock alone, to FILE.1, and the next time to
FILE.2: a number is given once, so that a reader knows where it was. No line is lost or torn.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.folders import give_to_owner_of_folder, make_folder


class SharedFile:
    """Safe for threads too. The file is opened by the first line."""

    def __init__(self, path: Path, most_bytes: int, kept: int) -> None:
        """Rotated at `most_bytes` (0: never); `kept`: how many full files stay, at least one."""
        self.path = path
        self._most_bytes, self._kept = most_bytes, kept
        self._descriptor: int | None = None
        self._lock_descriptor: int | None = None
        self._one_thread = threading.Lock()

    def append(self, line: bytes) -> None:
        """
        Raises:
            OSError: it is not, or not wholly, written.
        """
        with self._one_thread:
            with self._locked(fcntl.LOCK_SH):
                full = self._write(line)
            if full:
                with suppress(BlockingIOError), self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
                    self._rotate()

    def close(self) -> None:
        with self._one_thread:
            for descriptor in (self._descriptor, self._lock_descriptor):
                if descriptor is not None:
                    os.close(descriptor)
            self._descriptor = self._lock_descriptor = None

    def numbered(self) -> list[tuple[int, Path]]:
        """All files from the oldest to that which is written, each with its number for ever."""
        with self._one_thread, self._locked(fcntl.LOCK_SH):
            full = full_files(self.path)
            return [*full, *([(_next_number(full), self.path)] if self.path.exists() else [])]

    def _write(self, line: bytes) -> bool:
        """Whether the file is full now."""
        descriptor = self._current()
        while line:
            line = line[os.write(descriptor, line) :]
        return 0 < self._most_bytes <= os.fstat(descriptor).st_size

    def _current(self) -> int:
        """The descriptor of the file that bears the name now."""
        if self._descriptor is not None and not _is_at(self._descriptor, self.path):
            os.close(self._descriptor)
            self._descriptor = None
        if self._descriptor is None:
            self._descriptor = _opened(self.path)
        return self._descriptor

    def _rotate(self) -> None:
        """Unless another process has done it meanwhile."""
        if os.fstat(self._current()).st_size < self._most_bytes:
            return
        full = full_files(self.path)
        number = _next_number(full)
        self.path.rename(self.path.with_name(f"{self.path.name}.{number}"))
        for old, path in full:
            if old <= number - self._kept:
                path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        if self._lock_descriptor is None:
            make_folder(self.path.parent)
            self._lock_descriptor = _opened(self.path.with_name(f"{self.path.name}.lock"))
        fcntl.flock(self._lock_descriptor, how)
        try:
            yield
        finally:
            fcntl.flock(self._lock_descriptor, fcntl.LOCK_UN)


def _next_number(full: list[tuple[int, Path]]) -> int:
    return full[-1][0] + 1 if full else 1


def full_files(path: Path) -> list[tuple[int, Path]]:
    """The files that were rotated away, by number."""
    ends = ((each.name.removeprefix(f"{path.name}."), each) for each in _siblings(path))
    return sorted((int(end), each) for end, each in ends if end.isascii() and end.isdigit())


def _siblings(path: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for each in path.parent.iterdir():
            if each.name.startswith(f"{path.name}."):
                yield each


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _opened(path: Path) -> int:
    """No link is followed: who may write in the folder must not choose what root writes to.

    Raises:
        OSError
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o640)
    except FileExistsError:
        return os.open(path, flags)
    give_to_owner_of_folder(descriptor, path.parent)
    return descriptor
