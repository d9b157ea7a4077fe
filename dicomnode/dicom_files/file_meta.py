"""The head of a DICOM file: file meta information, and where the data set begins.

PS3.10 section 7.1 wants a preamble, a prefix and a group 0002 that tells its own length. Files
without preamble, without that length or with a wrong one are met in the field; as pydicom, DCMTK
and GDCM have it, the group ends where the last of its elements ends.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from io import BytesIO
from typing import BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicomnode.dicom_files.attributes import AttributeReader

_PREAMBLE, _PREFIX = 128, b"DICM"
_META_GROUP = 0x0002
_SHORTEST = 132  # bytes; an instance without preamble is longer
StopWhen = Callable[[BaseTag, str | None, int], bool]
_FIRST_BIG_ENDIAN_GROUP = 0x0400  # group 0004 or 0008 with its bytes the other way round


def read_file_meta(file: BinaryIO) -> tuple[FileMetaDataset, int]:
    """File meta information, and where the data set begins; the file then stands there.

    It always names a Transfer Syntax UID: where the file does not, that which the first element of
    its data set looks like.

    Raises:
        any of `headers.UNREADABLE`.
    """
    head = file.read(_PREAMBLE + len(_PREFIX))
    if not begins_like_dicom(head):
        raise InvalidDicomError("neither a prefix nor a first element")
    file.seek(len(head) if head.endswith(_PREFIX) else 0)
    elements = read_dataset(file, False, True, stop_when=_Beyond())
    start = file.tell()
    meta = FileMetaDataset(elements)
    if not AttributeReader(meta).uid("TransferSyntaxUID"):
        first = file.read(6)
        if not first:
            raise EOFError("no data set")
        meta.TransferSyntaxUID = _look_of(first)
        file.seek(start)
    return meta, start


def read_data_set(file: BinaryIO, stop_when: StopWhen) -> Dataset:
    """The data set of a file up to an element, with its file meta; the file stands there.

    A group 0002 of its own, as some senders leave one in it, says nothing of how it is encoded
    (`pydicom.filereader.read_partial` believes it).

    Raises:
        as `read_file_meta`.
    """
    meta, _ = read_file_meta(file)
    syntax = AttributeReader(meta).uid("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        file = BytesIO(zlib.decompress(file.read(), -zlib.MAX_WBITS))  # PS3.5 A.5
    implicit, big_endian = syntax == ImplicitVRLittleEndian, syntax == ExplicitVRBigEndian
    data_set = read_dataset(file, implicit, not big_endian, stop_when=stop_when)
    for tag in [tag for tag in data_set.keys() if tag >> 16 == _META_GROUP]:  # noqa: SIM118
        del data_set[tag]
    data_set.file_meta = meta
    return data_set


def begins_like_dicom(head: bytes) -> bool:
    """Whether a file of these first bytes may be DICOM: 132 of them tell.

    By its prefix, or by a first element of group 0002 or 0008, where a file has no preamble.
    """
    if head.endswith(_PREFIX):
        return True
    first = head[:2] in (b"\2\0", b"\x08\0") or (head[:2] == b"\0\x08" and head[4:6].isupper())
    return first and len(head) >= _SHORTEST


class _Beyond:
    """Stops the reading where the data set begins: with another group, or with an element that was
    there before, where a data set brings a group 0002 of its own."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def __call__(self, tag: BaseTag, _vr: str | None, _length: int) -> bool:
        beyond = tag.group != _META_GROUP or tag in self._seen
        self._seen.add(tag)
        return beyond


def _look_of(first: bytes) -> UID:
    """The transfer syntax of a data set that begins with these bytes: tag and, perhaps, VR."""
    if not (first[4:6].isalpha() and first[4:6].isupper()):
        return ImplicitVRLittleEndian
    big_endian = int.from_bytes(first[:2], "little") >= _FIRST_BIG_ENDIAN_GROUP
    return ExplicitVRBigEndian if big_endian else ExplicitVRLittleEndian
