"""Writing past the page cache: half the processor time of a large file that must be durable.

A received slice is written once and read minutes later, by another process or not at all. Copied
into fresh pages of the cache it costs more than all the rest of receiving it.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

Content = bytes | bytearray | memoryview

BLOCK = 4096
"""Addresses, offsets and lengths of a direct write are multiples of it (open(2), O_DIRECT)."""

FILE_MODE = 0o640
_WORTH_IT_BYTES = 64 << 10
_PIECE_BYTES = 1 << 20  # a CT slice of 512 x 512 is one


def write_all(descriptor: int, parts: Sequence[Content], offset: int) -> None:
    """Write `parts` one after the other from `offset` on.

    Raises:
        OSError
    """
    left = [memoryview(part) for part in parts if len(part)]
    while left:
        written = os.pwritev(descriptor, left, offset)
        offset += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left:
            left[0] = left[0][written:]


def whole_blocks(room: int, size: int) -> int:
    """Length of a head of at least `room` bytes with which `size` more fill whole blocks.

    To cut a file within a block costs as much as the half of writing it: that block is read again.
    """
    return room + -(room + size) % BLOCK


class FileWriter:
    """Writes new files, directly where their length and the file system allow it."""

    def __init__(self) -> None:
        self._direct = True
        self._scratch = _Scratch()

    def write(self, path: str, parts: Sequence[Content], durable: bool) -> None:
        """Write `parts` one after the other to a file that is not there yet.

        Raises:
            OSError
        """
        size = sum(map(len, parts))
        if self._direct and size >= _WORTH_IT_BYTES and size % BLOCK == 0:
            try:
                _write(path, self._scratch.pieces(parts), os.O_DIRECT, durable)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._direct = False
                log.info("this file system takes no direct writes")
                Path(path).unlink(missing_ok=True)
            else:
                return
        _write(path, [parts], 0, durable)


def _write(path: str, pieces: Iterable[Sequence[Content]], flags: int, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags, FILE_MODE)
    try:
        offset = 0
        for parts in pieces:
            write_all(descriptor, parts, offset)
            offset += sum(map(len, parts))
        if durable:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


class _Scratch(threading.local):
    """Memory that begins a page: what is written directly is copied there, and only there."""

    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, _PIECE_BYTES))

    def pieces(self, parts: Sequence[Content]) -> Iterator[tuple[memoryview]]:
        """The same bytes, some at a time; each is good until the next."""
        filled = 0
        for part in parts:
            rest = memoryview(part)
            while rest:
                fits = min(len(rest), _PIECE_BYTES - filled)
                self._memory[filled : filled + fits] = rest[:fits]
                rest, filled = rest[fits:], filled + fits
                if filled == _PIECE_BYTES:
                    yield (self._memory,)
                    filled = 0
        if filled:
            yield (self._memory[:filled],)
