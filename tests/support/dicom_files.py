"""DICOM files written byte by byte, so that anything can stand in them (PS3.5 7.1.2, PS3.10 7)."""

from __future__ import annotations

import struct
from pathlib import Path

from pydicom.datadict import dictionary_VR, tag_for_keyword

EXPLICIT_LITTLE = b"1.2.840.10008.1.2.1"
_LONG_FORM = {"OB", "OF", "OV", "OW", "SQ", "UN", "UT"}

CT_ELEMENTS: dict[str, bytes] = {
    "SOPClassUID": b"1.2.840.10008.5.1.4.1.1.2",
    "SOPInstanceUID": b"1.2.3.4",
    "Modality": b"CT",
    "SliceThickness": b"2.5 ",
    "SamplesPerPixel": b"\x01\x00",
    "PhotometricInterpretation": b"MONOCHROME2",
    "Rows": b"\x02\x00",
    "Columns": b"\x03\x00",
    "BitsAllocated": b"\x10\x00",
    "BitsStored": b"\x0c\x00",
    "HighBit": b"\x0b\x00",
    "PixelRepresentation": b"\x00\x00",
    "RescaleIntercept": b"-1024",
    "RescaleSlope": b"1 ",
    "PixelData": struct.pack("<6H", 0, 24, 1024, 1064, 2024, 4095),
}
"""One 2 x 3 slice, 12 bits unsigned: HU -1024, -1000, 0, 40, 1000, 3071."""


def element(keyword: str, value: bytes, vr: str | None = None) -> bytes:
    """One element in Explicit VR Little Endian."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    vr = vr or dictionary_VR(tag).split(" or ")[0]
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in _LONG_FORM:
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def data_set(changes: dict[str, bytes | None] | None = None) -> bytes:
    """CT_ELEMENTS with `changes`, in tag order; None leaves an element out."""
    elements = {k: v for k, v in (CT_ELEMENTS | (changes or {})).items() if v is not None}
    ordered = sorted(elements, key=lambda keyword: tag_for_keyword(keyword) or 0)
    vrs = {"PixelData": "OW", "PixelPaddingValue": "SS", "PixelPaddingRangeLimit": "SS"}
    return b"".join(element(k, elements[k], vrs.get(k)) for k in ordered)


def dicom_file(
    folder: Path,
    changes: dict[str, bytes | None] | None = None,
    *,
    name: str = "1.dcm",
    transfer_syntax: bytes = EXPLICIT_LITTLE,
) -> Path:
    """Writes a file with preamble and file meta."""
    syntax = element("TransferSyntaxUID", transfer_syntax + b"\x00" * (len(transfer_syntax) % 2))
    meta = element("FileMetaInformationGroupLength", struct.pack("<I", len(syntax))) + syntax
    path = folder / name
    path.write_bytes(b"\x00" * 128 + b"DICM" + meta + data_set(changes))
    return path
