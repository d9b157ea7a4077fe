"""The few elements that name an instance, straight from the bytes of an encoded data set.

Little endian only, and strict: anything odd gives None, and the caller asks pydicom, which knows
every oddity and costs ten times as much. No I/O.
"""

from __future__ import annotations

import re
import struct
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
    reader = _Reader(data_set, implicit)
    found: dict[int, str] = {}
    at, last, has_patient_id = 0, 0, False
    try:
        while last < SERIES_INSTANCE_UID:
            tag, vr, length, at = reader.element(at)
            if not last < tag <= SERIES_INSTANCE_UID:
                return None
            has_patient_id |= tag == PATIENT_ID
            if tag in _VR:
                value = _value(tag, vr, bytes(data_set[at : at + length]))
                found |= {tag: value} if value else {}
            at, last = reader.after(vr, length, at), tag
    except (_OddError, struct.error):
        return None
    return found if has_patient_id and found.keys() >= _UIDS else None


def _value(tag: int, vr: bytes, raw: bytes) -> str:
    if vr not in (_VR[tag], b""):
        raise _OddError
    form = _UID if tag in _UIDS else _TEXT
    if form.fullmatch(raw) is None or len(raw) > 64:
        raise _OddError
    return raw.decode("ascii").strip(" \0")


class _Reader:
    """Steps from element to element (PS3.5 section 7.1) in one encoding."""

    def __init__(self, data: bytes | memoryview, implicit: bool) -> None:
        self._data, self._size, self._implicit = data, len(data), implicit

    def element(self, at: int) -> tuple[int, bytes, int, int]:
        """Tag, VR (empty in Implicit VR and for items), length, and where the value begins."""
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
