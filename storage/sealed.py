"""What belongs together as one object of an object store: the instances of a series, or results.

It is a ZIP whose members are stored as they are, so that each can be read by a range and any tool
unpacks it in need. The same files give the same bytes, and the object's name is their SHA-256.
Files are read and written piece by piece.

What is read is checked: a data set (what follows the file meta information, PS3.10 section 7.1)
against the SHA-256 that its row has, or the whole object against its name.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from storage.errors import DamagedObjectError
from storage.object_store import ObjectStore

INSTANCES, RESULTS, SINGLE = "series", "results", "instances"
"""What names begin with: sealed instances, sealed results, one instance as a file."""

PIECE = 8 << 20
_TIME = (1980, 1, 1, 0, 0, 0)
_META = b"DICM\x02\x00\x00\x00UL\x04\x00"
_META_AT, _META_END = 128, 144


@dataclass(frozen=True)
class Member:
    """A file under its stored path. `sha256`: of its data set; empty where nobody keeps it."""

    path: str
    file: Path
    sha256: str = ""


@dataclass(frozen=True)
class Sealed:
    """An object. `offsets`: where in it the bytes of each stored path begin."""

    name: str
    size_bytes: int
    offsets: dict[str, int]


def seal(kind: str, members: Sequence[Member], to: Path) -> Sealed:
    """Write the object of these files to `to`; nothing is kept of their order.

    Raises:
        OSError: a file cannot be read, or the object not be written.
        DamagedObjectError: a data set is not the one that was received.
    """
    with to.open("w+b") as raw:
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as packed:
            ordered = sorted(members, key=lambda each: each.path)
            offsets = {each.path: _add(packed, raw, each) for each in ordered}
        raw.seek(0)
        digest = hashlib.file_digest(raw, "sha256").hexdigest()
        return Sealed(f"{kind}/{digest}", raw.seek(0, 2), offsets)


def single(path: str, file: Path) -> Sealed:
    """One file as an object of its own.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        return Sealed(f"{SINGLE}/{digest}", opened.tell(), {path: 0})


def _add(packed: zipfile.ZipFile, raw: BinaryIO, member: Member) -> int:
    info = zipfile.ZipInfo(member.path, _TIME)
    info.create_system, info.external_attr = 3, 0o600 << 16
    info.file_size = member.file.stat().st_size
    with member.file.open("rb") as source, packed.open(info, "w") as target:
        at, checked = raw.tell(), DataSetCheck(member.path, member.sha256)
        while piece := source.read(PIECE):
            checked.update(piece)
            target.write(piece)
        checked.end()
        return at


class DataSetCheck:
    """Is fed with a file from its beginning, and tells at the end whether its data set is right."""

    def __init__(self, path: str, sha256: str) -> None:
        self._path, self._sha256 = path, sha256
        self._digest = hashlib.sha256()
        self._begun, self._skip = b"", -1

    def update(self, piece: bytes) -> None:
        if not self._sha256:
            return
        if self._skip < 0:
            piece = self._begun + piece
            self._begun = piece[:_META_END]
            if len(piece) < _META_END:
                return
            self._skip = _META_END + int.from_bytes(piece[_META_END - 4 : _META_END], "little")
        self._digest.update(memoryview(piece)[self._skip :])
        self._skip = max(self._skip - len(piece), 0)

    def end(self) -> None:
        """
        Raises:
            DamagedObjectError
        """
        if self._sha256 and not self._is_right():
            raise DamagedObjectError(f"{self._path}: its SHA-256 is another than when it came")

    def _is_right(self) -> bool:
        head = self._begun[_META_AT : _META_AT + len(_META)] == _META
        return head and self._skip == 0 and self._digest.hexdigest() == self._sha256


class ObjectReader:
    """Reads an object from front to back, some MiB at a time, up to `end`."""

    def __init__(self, store: ObjectStore, name: str, end: int) -> None:
        self._store, self._name, self._end = store, name, end
        self._at, self._held = 0, b""

    def pieces(self, offset: int, size: int) -> Iterator[bytes]:
        """`size` bytes from `offset` on, in pieces.

        Raises:
            ObjectStoreError
        """
        while size:
            if not self._at <= offset < self._at + len(self._held):
                ahead = min(PIECE, self._end - offset)
                self._held = self._store.get_range(self._name, offset, ahead)
                self._at = offset
            piece = self._held[offset - self._at :][:size]
            yield piece
            offset, size = offset + len(piece), size - len(piece)
