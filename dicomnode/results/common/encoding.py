"""The bytes of a result object, and of what it is made of."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from io import BytesIO

import pydicom
from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

from dicomnode.results.common.context import ResultObject

_ITEM = struct.Struct("<HHL")  # PS3.5 table 7.5-1
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


def encoded_sequence(keyword: str, items: Iterable[bytes]) -> RawDataElement:
    """A sequence of which each item is `encoded`: pydicom writes it as it is.

    Whoever reads it from the data set sees its items.
    """
    value = b"".join(_ITEM.pack(0xFFFE, 0xE000, len(item)) + item for item in items)
    tag = Tag(keyword)
    return RawDataElement(tag, "SQ", len(value), value, 0, _IMPLICIT, _LITTLE_ENDIAN)


def _keep_encoded(data_set: Dataset) -> None:
    """Have a sequence that is encoded written as it is: else pydicom takes it apart again."""
    found = [element for element in data_set.elements() if element.is_raw]
    if any(element.VR == "SQ" for element in found):
        for element in found:
            if element.VR != "SQ":
                data_set[element.tag]  # of a source, maybe in another syntax: parsed by this
        character_set = convert_encodings(data_set.get("SpecificCharacterSet", "ISO_IR 6"))
        data_set.set_original_encoding(_IMPLICIT, _LITTLE_ENDIAN, character_set)
