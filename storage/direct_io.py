"""Writing past the page cache: half the processor time of a large file that must be durable.

A received slice is written once and read minutes later, by another process or not at all. Copied
into fresh pages of the cache it costs more than all the rest of receiving it.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

Content = bytes | bytearray | memoryview

BLOCK = 4096
"""Addresses, offsets and lengths of a direct write are multiples of it (open(2), O_DIRECT)."""

FILE_MODE = 0o640
_WORTH_IT_BYTES = 64 << 10


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


class FileWriter:
    """Writes new files, directly where the parts and the file system allow it."""

    def __init__(self) -> None:
        self._direct = True

    def write(self, path: Path, parts: Sequence[Content], durable: bool) -> None:
        """Write `parts` one after the other to a file that is not there yet.

        Raises:
            OSError
        """
        if self._direct and _can_be_direct(parts):
            try:
                _write(path, _in_blocks(*parts), sum(map(len, parts)), os.O_DIRECT, durable)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._direct = False
                log.info("this file system takes no direct writes")
                path.unlink(missing_ok=True)
            else:
                return
        _write(path, parts, None, 0, durable)


def _write(
    path: Path, parts: Sequence[Content], cut_at: int | None, flags: int, durable: bool
) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags, FILE_MODE)
    try:
        write_all(descriptor, parts, 0)
        if cut_at is not None:
            os.ftruncate(descriptor, cut_at)
        if durable:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _can_be_direct(parts: Sequence[Content]) -> bool:
    """A head of whole blocks, and a large body that begins at the beginning of one."""
    if len(parts) != 2 or len(parts[0]) % BLOCK:
        return False
    body = parts[1]
    if not isinstance(body, memoryview) or body.readonly or len(body) < _WORTH_IT_BYTES:
        return False
    return ctypes.addressof(ctypes.c_char.from_buffer(body)) % BLOCK == 0


def _in_blocks(head: Content, body: Content) -> list[memoryview]:
    """The same bytes, and as many zeros as fill the last block, each part where it may be."""
    whole = len(body) // BLOCK * BLOCK
    scratch = memoryview(mmap.mmap(-1, len(head) + BLOCK))  # begins a page, and is all zeros
    scratch[: len(head)] = head
    rest = memoryview(body)[whole:]
    scratch[len(head) : len(head) + len(rest)] = rest
    blocks = [scratch[: len(head)], memoryview(body)[:whole]]
    return [*blocks, scratch[len(head) :]] if rest else blocks
