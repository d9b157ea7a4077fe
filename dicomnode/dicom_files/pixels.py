"""Pixel Data of one CT instance, decoded and rescaled to Hounsfield units."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.dicom_files.codecs import decode_frame
from dicomnode.dicom_files.codestreams import CodedImage
from dicomnode.dicom_files.headers import NATIVE_SYNTAXES, transfer_syntax_of
from dicomnode.dicom_files.pixel_element import SEQUENCE_DELIMITATION
from dicomnode.errors import DataError
from inference.volume import AIR_HU

LOWEST_PADDING_TISSUE_HU, HIGHEST_TISSUE_HU = AIR_HU, 3071
"""Pixel Padding Value is believed only outside this range, that of 12-bit CT: some consoles
declare 0 HU as padding, and water is no padding."""

_ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"  # PS3.5 A.4.11
_ROWS_AT_ONCE = 64  # of which numpy makes indices of 8 bytes: a whole slice costs page faults
_ITEM = 0xE000FFFE  # (FFFE,E000) read as one little-endian number


@dataclass(frozen=True)
class PixelLayout:
    """The attributes of the Image Pixel Module (PS3.3 C.7.6.3) that say how to read Pixel Data."""

    transfer_syntax_uid: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    slope: float
    intercept: float
    padding: tuple[int, int] | None  # stored values, both ends included

    @property
    def native_bytes(self) -> int:
        """Length of one uncompressed frame, before padding to an even length."""
        return self.rows * self.columns * self.bits_allocated // 8


def read_layout(data_set: Dataset) -> PixelLayout:
    """Layout of the pixels.

    Raises:
        DataError: `pixel_data`: it is no grayscale CT.
    """
    read = AttributeReader(data_set)
    rows, columns = read.integer("Rows"), read.integer("Columns")
    allocated = read.integer("BitsAllocated")
    stored = read.integer("BitsStored") or allocated
    slope, intercept = read.number("RescaleSlope"), read.number("RescaleIntercept")
    if rows is None or columns is None or allocated is None or stored is None:
        raise DataError("pixel_data", "Rows, Columns or Bits Allocated are missing")
    if not slope or intercept is None:
        raise DataError("rescale", "Rescale Slope or Intercept are missing")
    if (read.integer("SamplesPerPixel") or 1) != 1 or (read.integer("NumberOfFrames") or 1) != 1:
        raise DataError("pixel_data", "several samples per pixel, or several frames")
    high_bit = read.integer("HighBit")
    high_bit = stored - 1 if high_bit is None else high_bit
    # PS3.5 section 8.1.1: Bits Stored end at High Bit, within Bits Allocated
    if allocated not in {8, 16} or not stored <= high_bit + 1 <= allocated:
        found = f"{stored} bits stored, high bit {high_bit}, {allocated} allocated"
        raise DataError("pixel_data", found, "8 or 16 bits allocated")
    signed = read.integer("PixelRepresentation") == 1
    return PixelLayout(
        transfer_syntax_uid=transfer_syntax_of(data_set),
        rows=rows,
        columns=columns,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit,
        signed=signed,
        slope=slope,
        intercept=intercept,
        padding=_padding(read, signed=signed),
    )


def decode_hu(data_set: Dataset, pixel_data: bytes | memoryview) -> NDArray[np.int16]:
    """Hounsfield units, int16 (rows, columns); padding and all below air is AIR_HU.

    `pixel_data` is the value of Pixel Data (7FE0,0010) as encoded in the file of `data_set`.
    HU = stored value * Rescale Slope + Rescale Intercept (PS3.3 C.11.1.1.2), of this instance,
    rounded to the nearest.

    Raises:
        DataError: `pixel_data` or `rescale`; says what is wrong.
    """
    layout = read_layout(data_set)
    hu_of, stored = _hu_of(layout), _stored(pixel_data, layout)
    hu = np.empty(stored.shape, np.int16)
    for start in range(0, len(stored), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        hu_of.take(stored[rows], out=hu[rows], mode="clip")  # nothing is: all values are in it
    return hu


@lru_cache(maxsize=8)
def _hu_of(layout: PixelLayout) -> NDArray[np.int16]:
    """HU of each value that the bits allocated can hold; a series has few layouts."""
    held = np.arange(1 << layout.bits_allocated, dtype=f"u{layout.bits_allocated // 8}")
    stored = _only_stored_bits(held, layout)
    hu = np.rint(stored * np.float32(layout.slope) + np.float32(layout.intercept))
    if layout.padding is not None and _is_believed(layout.padding, layout):
        low, high = layout.padding
        hu[(stored >= low) & (stored <= high)] = AIR_HU
    table: NDArray[np.int16] = np.clip(hu, AIR_HU, np.iinfo(np.int16).max).astype(np.int16)
    return table


def _padding(read: AttributeReader, *, signed: bool) -> tuple[int, int] | None:
    """Pixel Padding Value to Pixel Padding Range Limit (PS3.3 C.7.5.1.1.2), ordered."""
    value = read.signed_or_unsigned("PixelPaddingValue", signed=signed)
    if value is None:
        return None
    limit = read.signed_or_unsigned("PixelPaddingRangeLimit", signed=signed)
    return (value, value) if limit is None else (min(value, limit), max(value, limit))


def _is_believed(padding: tuple[int, int], layout: PixelLayout) -> bool:
    ends = [value * layout.slope + layout.intercept for value in padding]
    return max(ends) < LOWEST_PADDING_TISSUE_HU or min(ends) > HIGHEST_TISSUE_HU


def _stored(value: bytes | memoryview, layout: PixelLayout) -> NDArray[Any]:
    """Pixels (rows, columns) as all bits allocated hold them, unsigned."""
    if not value:
        raise DataError("pixel_data", "Pixel Data are absent or empty")
    if layout.transfer_syntax_uid in NATIVE_SYNTAXES:
        pixels = _native(value, layout)
    else:
        pixels = _encapsulated(b"".join(fragments(value)), layout)
    if pixels.shape != (layout.rows, layout.columns):
        raise DataError("pixel_data", f"decoded to {pixels.shape} pixels, not as Rows and Columns")
    allocated = layout.bits_allocated // 8
    # fewer bits are made more here, with their sign where they have one
    return pixels.astype(f"{pixels.dtype.kind}{allocated}", copy=False).view(f"u{allocated}")


def _encapsulated(frame: bytes, layout: PixelLayout) -> NDArray[Any]:
    if layout.transfer_syntax_uid == _ENCAPSULATED_UNCOMPRESSED:
        return _native(frame, layout)
    wanted = CodedImage(layout.rows, layout.columns, layout.bits_allocated)
    return decode_frame(frame, layout.transfer_syntax_uid, wanted)


def _native(value: bytes | memoryview, layout: PixelLayout) -> NDArray[Any]:
    """Uncompressed pixels (PS3.5 section 8.1 and A.1 to A.3, A.5), what pads them left out.

    "Older applications may send excess padding … applications should be prepared to accept" it
    (PS3.5 section 8.1.1, note).
    """
    wanted = layout.native_bytes
    if len(value) < wanted:
        found = f"{len(value)} bytes for {layout.rows} x {layout.columns} pixels"
        raise DataError("pixel_data", found, f"{wanted} bytes")
    big_endian = layout.transfer_syntax_uid == str(ExplicitVRBigEndian)
    if big_endian and layout.bits_allocated == 8:
        # OW: bytes are swapped in pairs (PS3.5 section 7.3)
        pairs = bytes(value[: wanted + wanted % 2]).ljust(wanted + wanted % 2, b"\0")
        pixels = np.frombuffer(pairs, "<u2").byteswap().view(np.uint8)
    else:
        order, count = ">" if big_endian else "<", layout.rows * layout.columns
        pixels = np.frombuffer(value, f"{order}u{layout.bits_allocated // 8}", count)
    return pixels[: layout.rows * layout.columns].reshape(layout.rows, layout.columns)


def fragments(value: bytes | memoryview) -> list[memoryview]:
    """Those of encapsulated Pixel Data (PS3.5 A.4), without the Basic Offset Table.

    Items up to the Sequence Delimitation Item must be whole: some decoders fill in the rest.

    Raises:
        DataError: `pixel_data`.
    """
    place, items, view = 0, list[memoryview](), memoryview(value)
    while place + 8 <= len(value):
        tag, length = struct.unpack_from("<II", value, place)
        if tag == SEQUENCE_DELIMITATION:
            return items[1:]
        if tag != _ITEM:
            break
        items.append(view[place + 8 : place + 8 + length])
        place += 8 + length
    raise DataError("pixel_data", "the encapsulated fragments are cut short or broken")


def _only_stored_bits(held: NDArray[Any], layout: PixelLayout) -> NDArray[np.int32]:
    """PS3.5 section 8.1.1: the other bits may hold anything, sign extension included."""
    left = layout.bits_allocated - 1 - layout.high_bit
    right = layout.bits_allocated - layout.bits_stored
    kind = f"{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}"
    shifted = np.left_shift(held, left).view(kind)
    stored: NDArray[np.int32] = np.right_shift(shifted, right).astype(np.int32)
    return stored
