"""The few elements that name an instance, straight from the bytes of an encoded data set.

Little endian only, and strict: anything odd gives None, and the caller asks pydicom, which knows
every oddity and costs ten times as much. No I/O.
"""

from __future__ import annotations

import re
import struct
import threading
from dataclasses import dataclass
from struct import Struct

SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
ACCESSION_NUMBER = 0x00080050
MODALITY = 0x00080060
PATIENT_ID = 0x00100020
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E

_UIDS = {SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID}
_VR = dict.fromkeys(_UIDS, b"UI")
_VR |= {ACCESSION_NUMBER: b"SH", MODALITY: b"CS", PATIENT_ID: b"LO"}
_UID = re.compile(rb"[0-9]+(\.[0-9]+)*\0?")
_TEXT = re.compile(rb"[\x20-\x5b\x5d-\x7e]*")  # one value, of the default repertoire

_SHORT_VRS = frozenset(  # PS3.5 table 7.1-2: two bytes of length
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # PS3.5 table 7.1-1
_EXPLICIT = Struct("<HH2sH")
_IMPLICIT = Struct("<HHI")
_LENGTH = Struct("<I")

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST = 16  # levels of sequences


class _OddError(Exception):
    """Not in the usual form."""


def quick_identity(data_set: bytes | memoryview, implicit: bool) -> dict[int, str] | None:
    """Values by tag, of the seven above; those that are absent or empty are left out.

    None when the data set is in any way unusual up to Series Instance UID, or has no Patient ID,
    not even an empty one: it may stand further on.
    """
    layout: _Layout | None = getattr(_SEEN, "layout", None)
    try:
        if layout is None or not layout.is_of(data_set, implicit):
            layout = _SEEN.layout = _layout(data_set, implicit)
        return None if layout is None else _named(data_set, layout)
    except (_OddError, struct.error):
        return None


_SEEN = threading.local()
"""The layout that this thread met last: an association brings slice after slice of one."""

_MOST_HEADS = 1000
"""A header with more of them is read element by element each time."""


@dataclass(frozen=True)
class _Layout:
    """Where each element begins up to Series Instance UID, and what it begins with.

    Those beginnings alone decide where the next one is: who has the same, has the same places.
    """

    implicit: bool
    begins: Struct | None
    """None: they are too many to be compared."""
    heads: tuple[bytes, ...]
    places: tuple[tuple[int, bytes, int, int], ...]
    """Tag, VR, begin and end of the values that name the instance."""
    end: int

    def is_of(self, data_set: bytes | memoryview, implicit: bool) -> bool:
        if self.begins is None or self.implicit != implicit or self.end > len(data_set):
            return False
        return self.begins.unpack_from(data_set) == self.heads


def _layout(data_set: bytes | memoryview, implicit: bool) -> _Layout | None:
    reader, places = _Reader(data_set, implicit), []
    at, last = 0, 0
    while last < SERIES_INSTANCE_UID:
        tag, vr, length, at = reader.element(at)
        if not last < tag <= SERIES_INSTANCE_UID:
            return None
        if tag in _VR:
            places.append((tag, vr, at, at + length))
        at, last = reader.after(vr, length, at), tag
    begins = _struct_of(reader.begins) if len(reader.begins) <= _MOST_HEADS else None
    heads = begins.unpack_from(data_set) if begins is not None else ()
    return _Layout(implicit, begins, heads, tuple(places), at)


def _struct_of(spans: list[tuple[int, int]]) -> Struct:
    """Gives the bytes from and to each of these."""
    ends = [0, *(end for _, end in spans)]
    return Struct(
        "".join(
            f"{begin - at}x{end - begin}s" for at, (begin, end) in zip(ends, spans, strict=False)
        )
    )


def _named(data_set: bytes | memoryview, layout: _Layout) -> dict[int, str] | None:
    found = {
        tag: _value(tag, vr, bytes(data_set[begin:end])) for tag, vr, begin, end in layout.places
    }
    has_patient_id = PATIENT_ID in found
    found = {tag: value for tag, value in found.items() if value}
    return found if has_patient_id and found.keys() >= _UIDS else None


def _value(tag: int, vr: bytes, raw: bytes) -> str:
    if vr not in (_VR[tag], b""):
        raise _OddError
    form = _UID if tag in _UIDS else _TEXT
    if form.fullmatch(raw) is None or len(raw) > 64:
        raise _OddError
    return raw.decode("ascii").strip(" \0")


class _Reader:
    """Steps from element to element (PS3.5 section 7.1) in one encoding.

    `begins`: where that which stands before each value was read, from and to.
    """

    def __init__(self, data: bytes | memoryview, implicit: bool) -> None:
        self._data, self._size, self._implicit = data, len(data), implicit
        self.begins: list[tuple[int, int]] = []

    def element(self, at: int) -> tuple[int, bytes, int, int]:
        """Tag, VR (empty in Implicit VR and for items), length, and where the value begins."""
        tag, vr, length, behind = self._element(at)
        self.begins.append((at, behind))
        return tag, vr, length, behind

    def _element(self, at: int) -> tuple[int, bytes, int, int]:
        if self._implicit:
            group, number, length = _IMPLICIT.unpack_from(self._data, at)
            return group << 16 | number, b"", length, at + 8
        group, number, vr, length = _EXPLICIT.unpack_from(self._data, at)
        if vr in _SHORT_VRS:
            return group << 16 | number, vr, length, at + 8
        if vr in _LONG_VRS and length == 0:
            (length,) = _LENGTH.unpack_from(self._data, at + 8)
            return group << 16 | number, vr, length, at + 12
        if group == 0xFFFE:
            (length,) = _LENGTH.unpack_from(self._data, at + 4)
            return group << 16 | number, b"", length, at + 8
        raise _OddError

    def after(self, vr: bytes, length: int, at: int, depth: int = 0) -> int:
        """Where the element behind a value begins."""
        if length != _UNDEFINED:
            if at + length > self._size:
                raise _OddError
            return at + length
        if vr not in (b"SQ", b"") or depth >= _DEEPEST:
            raise _OddError
        while True:
            tag, _vr, length, at = self.element(at)
            if tag == _SEQUENCE_END and length == 0:
                return at
            if tag != _ITEM:
                raise _OddError
            at = self._after_item(length, at, depth)

    def _after_item(self, length: int, at: int, depth: int) -> int:
        if length != _UNDEFINED:
            return self.after(b"", length, at)
        while True:
            tag, vr, length, at = self.element(at)
            if tag == _ITEM_END and length == 0:
                return at
            if tag >> 16 == 0xFFFE:
                raise _OddError
            at = self.after(vr, length, at, depth + 1)
