"""The bytes of a result object, and of what it is made of."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import cache
from io import BytesIO

import pydicom
from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_dataset
from pydicom.tag import BaseTag, Tag

from dicomnode.results.common.context import ResultObject

_ITEM = struct.Struct("<HHL")  # PS3.5 table 7.5-1
_ELEMENT = struct.Struct("<HH2sH")  # PS3.5 table 7.1-2
_SEQUENCE = struct.Struct("<HH2sHL")  # PS3.5 table 7.1-1
_IMPLICIT, _LITTLE_ENDIAN = False, True
"""All result objects are in a transfer syntax of explicit VRs (PS3.5 section A.2, A.4)."""


def encode(result: ResultObject) -> bytes:
    """The whole Part 10 file (PS3.10 section 7) in the transfer syntax that its kind has.

    The same object gives the same bytes in every process.
    """
    buffer = BytesIO()
    _keep_encoded(result.data_set)
    pydicom.dcmwrite(buffer, result.data_set, enforce_file_format=True)
    return buffer.getvalue()


def encoded(data_set: Dataset) -> bytes:
    """Its elements, with explicit VRs in little endian."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = _LITTLE_ENDIAN, _IMPLICIT
    _keep_encoded(data_set)
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def element(keyword: str, value: str) -> bytes:
    """One element of a VR of text in ASCII, encoded: what stands hundreds of times in an object
    takes pydicom most of the time of all."""
    tag, vr = _tag_and_vr(keyword)
    text = value.encode("ascii")
    text += (b"\0" if vr == b"UI" else b" ") * (len(text) % 2)  # PS3.5 section 6.2
    return _ELEMENT.pack(tag >> 16, tag & 0xFFFF, vr, len(text)) + text


def sequence(keyword: str, items: Iterable[bytes]) -> bytes:
    """One sequence, encoded, of which each item is."""
    value = b"".join(_ITEM.pack(0xFFFE, 0xE000, len(item)) + item for item in items)
    tag, vr = _tag_and_vr(keyword)
    return _SEQUENCE.pack(tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value


def references(classes: Mapping[str, str]) -> list[bytes]:
    """Items that refer to instances, encoded: SOP Instance UID to SOP Class UID."""
    return [
        element("ReferencedSOPClassUID", sop_class) + element("ReferencedSOPInstanceUID", uid)
        for uid, sop_class in classes.items()
    ]


@cache
def _tag_and_vr(keyword: str) -> tuple[int, bytes]:
    """Of an attribute (PS3.6)."""
    tag = Tag(keyword)
    return int(tag), dictionary_VR(tag).encode("ascii")


def set_sequence(data_set: Dataset, keyword: str, items: Iterable[bytes]) -> None:
    """Set a sequence of which each item is `encoded`: pydicom writes it as it is.

    Whoever reads it from the data set sees its items.
    """
    _set_raw(data_set, Tag(keyword), sequence(keyword, items)[_SEQUENCE.size :])


def _set_raw(data_set: Dataset, tag: BaseTag, value: bytes) -> None:
    data_set[tag] = RawDataElement(tag, "SQ", len(value), value, 0, _IMPLICIT, _LITTLE_ENDIAN)


def encode_sequences(data_set: Dataset) -> None:
    """Have its sequences encoded now: an object is written twice, for its name and for its file."""
    character_set = convert_encodings(data_set.get("SpecificCharacterSet", "ISO_IR 6"))
    for each in list(data_set.elements()):
        if each.VR == "SQ" and not each.is_raw and each.value:
            buffer = DicomBytesIO()
            buffer.is_little_endian, buffer.is_implicit_VR = _LITTLE_ENDIAN, _IMPLICIT
            write_data_element(buffer, each, character_set)
            _set_raw(data_set, each.tag, buffer.getvalue()[_SEQUENCE.size :])
    _keep_encoded(data_set)


def _keep_encoded(data_set: Dataset) -> None:
    """Have a sequence that is encoded written as it is: else pydicom takes it apart again."""
    found = [element for element in data_set.elements() if element.is_raw]
    if any(element.VR == "SQ" for element in found):
        for element in found:
            if element.VR != "SQ":
                data_set[element.tag]  # of a source, maybe in another syntax: parsed by this
        character_set = convert_encodings(data_set.get("SpecificCharacterSet", "ISO_IR 6"))
        data_set.set_original_encoding(_IMPLICIT, _LITTLE_ENDIAN, character_set)
