"""What belongs together as one object of an object store: the instances of a series, or results.

It is a ZIP whose members are stored as they are, so that each can be read by a range and any tool
unpacks it in need. The same files give the same bytes, and the object's name is their SHA-256.
Files are read and written piece by piece.

What is read is checked. Of an instance: its data set (what follows the file meta information,
PS3.10 section 7.1) against the SHA-256 that its row has, the transfer syntax of the file meta
information against that of its row, and each byte of the file against the CRC-32 that stands before
it in the ZIP. An object that is read whole, as one of results is, or of one file: against its name.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
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
_MOST_META = 1 << 20
_TRANSFER_SYNTAX = b"\x02\x00\x10\x00UI"  # (0002,0010), always in Explicit VR Little Endian
_LOCAL_HEADER, _ZIP64_EXTRA = 30, 20  # bytes before a member, beside its name: APPNOTE 4.3.7, 4.5.3
_LOCAL_BEGINS = b"PK\x03\x04"
_CRC_AT = 14


@dataclass(frozen=True)
class Member:
    """A file under its stored path. `sha256`: of its data set; empty where nobody keeps it, as with
    its transfer syntax."""

    path: str
    file: Path
    sha256: str = ""
    transfer_syntax_uid: str = ""


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
        at = raw.tell()
        checked = DataSetCheck(member.path, member.sha256, member.transfer_syntax_uid)
        while piece := source.read(PIECE):
            checked.update(piece)
            target.write(piece)
        checked.end()
        return at


class DataSetCheck:
    """Is fed with a file from its beginning, and tells at the end whether its data set is right,
    and bears the transfer syntax that it came with, where that is given."""

    def __init__(self, path: str, sha256: str, transfer_syntax_uid: str = "") -> None:
        self._path, self._sha256, self._syntax = path, sha256, transfer_syntax_uid
        self._digest = hashlib.sha256()
        self._head: bytes | None = b""  # None: behind it
        self._is_dicom, self._found = False, ""

    def update(self, piece: bytes) -> None:
        if not self._sha256:
            return
        if self._head is not None:
            self._head += piece
            end = _META_END + int.from_bytes(self._head[_META_END - 4 : _META_END], "little")
            if len(self._head) < _META_END or (len(self._head) < end <= _MOST_META):
                return
            head, piece, self._head = self._head[:end], self._head[end:], None
            self._is_dicom = head[_META_AT : _META_AT + len(_META)] == _META and len(head) == end
            self._found = _transfer_syntax(head)
        self._digest.update(piece)

    def end(self) -> None:
        """
        Raises:
            DamagedObjectError
        """
        if not self._sha256:
            return
        if not self._is_dicom or self._digest.hexdigest() != self._sha256:
            raise DamagedObjectError(f"{self._path}: its SHA-256 is another than when it came")
        if self._syntax and self._found != self._syntax:
            raise DamagedObjectError(f"{self._path}: it came in another transfer syntax")


def _transfer_syntax(head: bytes) -> str:
    """Of the file meta information that a file begins with; empty where it names none."""
    at = head.find(_TRANSFER_SYNTAX, _META_END)
    if at < 0:
        return ""
    begin = at + len(_TRANSFER_SYNTAX) + 2
    size = int.from_bytes(head[begin - 2 : begin], "little")
    return head[begin : begin + size].rstrip(b"\0 ").decode("ascii", "replace")


def is_intact(file: Path, sha256: str, transfer_syntax_uid: str = "") -> bool:
    """Whether a file holds the data set of a row.

    Raises:
        OSError: it cannot be read.
    """
    check = DataSetCheck(file.name, sha256, transfer_syntax_uid)
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            check.update(piece)
    try:
        check.end()
    except DamagedObjectError:
        return False
    return True


def is_whole(store: ObjectStore, name: str) -> bool:
    """Whether an object is there, and what its name says: all of it is read.

    Raises:
        ObjectStoreError
    """
    size, digest = store.size_of(name), hashlib.sha256()
    if size is None:
        return False
    for piece in ObjectReader(store, name, size).pieces(0, size):
        digest.update(piece)
    return name.rpartition("/")[2] == digest.hexdigest()


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

    def member(self, path: str, offset: int, size: int) -> Iterator[bytes]:
        """The file at `offset` of an object of several; or all of that of a single one. Every byte
        is checked when the last was taken.

        Raises:
            ObjectStoreError
            DamagedObjectError
        """
        if self._name.startswith(f"{SINGLE}/"):
            yield from self._single(size)
            return
        zip64 = size * 1.05 > zipfile.ZIP64_LIMIT  # as `zipfile` decides it
        begin = offset - _LOCAL_HEADER - len(path) - (_ZIP64_EXTRA if zip64 else 0)
        header = b"".join(self.pieces(max(begin, 0), _LOCAL_HEADER))
        crc = 0
        for piece in self.pieces(offset, size):
            crc = zlib.crc32(piece, crc)
            yield piece
        written = int.from_bytes(header[_CRC_AT : _CRC_AT + 4], "little")
        if not header.startswith(_LOCAL_BEGINS) or crc != written:
            raise DamagedObjectError(f"{path}: its CRC-32 is another than when it was sealed")

    def _single(self, size: int) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for piece in self.pieces(0, size):
            digest.update(piece)
            yield piece
        if self._name.rpartition("/")[2] != digest.hexdigest():
            raise DamagedObjectError(f"{self._name}: its SHA-256 is another than its name says")
