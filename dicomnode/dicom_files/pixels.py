"""Pixel Data of one CT instance, decoded and rescaled to Hounsfield units."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

from dicomnode.dicom_files.attributes import AttributeReader
from dicomnode.dicom_files.headers import (
    NATIVE_SYNTAXES,
    PYDICOM_QUIET,
    transfer_syntax_of,
)
from dicomnode.dicom_files.pixel_element import SEQUENCE_DELIMITATION
from dicomnode.errors import DataError
from inference.volume import AIR_HU

LOWEST_PADDING_TISSUE_HU, HIGHEST_TISSUE_HU = AIR_HU, 3071
"""Pixel Padding Value is believed only outside this range, that of 12-bit CT: some consoles
declare 0 HU as padding, and water is no padding."""

_ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"  # PS3.5 A.4.11
_END_OF_IMAGE = b"\xff\xd9"  # EOI (ITU-T T.81 B.1.1.3, T.87 C.1.1), EOC (T.800 A.4.4)
_ITEM = 0xE000FFFE  # (FFFE,E000) read as one little-endian number

_UNDECODABLE = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    RuntimeError,  # all that a decoder's plug-in raises; NotImplementedError among them
    StopIteration,
    TypeError,
    ValueError,
    struct.error,
)


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
    stored = _stored_values(pixel_data, layout)
    hu = np.rint(stored * np.float32(layout.slope) + np.float32(layout.intercept))
    if layout.padding is not None and _is_believed(layout.padding, layout):
        low, high = layout.padding
        hu[(stored >= low) & (stored <= high)] = AIR_HU
    clipped: NDArray[np.int16] = np.clip(hu, AIR_HU, np.iinfo(np.int16).max).astype(np.int16)
    return clipped


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


def _stored_values(value: bytes | memoryview, layout: PixelLayout) -> NDArray[np.int32]:
    """Stored pixel values (rows, columns), the bits beside Bits Stored taken away."""
    if not value:
        raise DataError("pixel_data", "Pixel Data are absent or empty")
    syntax = UID(layout.transfer_syntax_uid)
    if syntax in NATIVE_SYNTAXES:
        pixels = _native(value, layout)
    elif syntax == _ENCAPSULATED_UNCOMPRESSED:
        check_fragments(value)
        pixels = _native(b"".join(generate_frames(bytes(value), number_of_frames=1)), layout)
    else:
        pixels = _decode(bytes(value), syntax, layout)
    if pixels.shape != (layout.rows, layout.columns):
        raise DataError("pixel_data", f"decoded to {pixels.shape} pixels, not as Rows and Columns")
    return _only_stored_bits(pixels, layout)


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
        pixels = np.frombuffer(pairs, "<u2").byteswap().view(_dtype(layout, "<"))
    else:
        pixels = np.frombuffer(value[:wanted], _dtype(layout, ">" if big_endian else "<"))
    return pixels[: layout.rows * layout.columns].reshape(layout.rows, layout.columns)


def _decode(value: bytes, syntax: UID, layout: PixelLayout) -> NDArray[Any]:
    """Compressed pixels (PS3.5 A.4), by pydicom's plug-ins."""
    check_fragments(value)
    _check_end_of_image(value, syntax)
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.signed),
        "pixel_keyword": "PixelData",
        "correct_unused_bits": False,
    }
    try:
        with PYDICOM_QUIET:
            return get_decoder(syntax).as_array(value, index=0, raw=True, **options)[0]
    except _UNDECODABLE as error:
        raise DataError("pixel_data", f"{syntax.name}: {_first_cause(error)}") from error


def check_fragments(value: bytes | memoryview) -> None:
    """Items up to the Sequence Delimitation Item must be whole: some decoders fill in the rest."""
    place = 0
    while place + 8 <= len(value):
        tag, length = struct.unpack_from("<II", value, place)
        if tag == SEQUENCE_DELIMITATION:
            return
        if tag != _ITEM:
            break
        place += 8 + length
    raise DataError("pixel_data", "the encapsulated fragments are cut short or broken")


def _check_end_of_image(value: bytes, syntax: UID) -> None:
    """JPEG, JPEG-LS and JPEG 2000 end with a marker that coded data cannot contain.

    No decoder reads an image without it, but that of JPEG-LS seeks for seconds and stops every
    other thread meanwhile: the lease of the job could not be renewed.
    """
    marked = JPEGTransferSyntaxes + JPEGLSTransferSyntaxes + JPEG2000TransferSyntaxes
    if syntax in marked and _END_OF_IMAGE not in value:
        raise DataError("pixel_data", f"{syntax.name}: the image is cut short, it has no end")


def _first_cause(error: BaseException) -> str:
    """The decoders' own words, in one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    # pydicom's heading, and what its gdcm plug-in says of every image that it cannot decode
    parts = [line for line in lines if line[-1:] not in {"", ":"} and "'NoneType'" not in line]
    return "; ".join(parts) or "no decoder could read it"


def _only_stored_bits(pixels: NDArray[Any], layout: PixelLayout) -> NDArray[np.int32]:
    """PS3.5 section 8.1.1: the other bits may hold anything, sign extension included."""
    width = 8 * pixels.dtype.itemsize
    left = width - 1 - layout.high_bit
    right = width - layout.bits_stored
    if left < 0 or right == 0:
        return pixels.astype(np.int32)
    kind = np.dtype(f"{'i' if layout.signed else 'u'}{pixels.dtype.itemsize}")
    shifted = np.left_shift(pixels.astype(kind), left)
    stored: NDArray[np.int32] = np.right_shift(shifted, right).astype(np.int32)
    return stored


def _dtype(layout: PixelLayout, order: str) -> np.dtype[Any]:
    return np.dtype(f"{order}{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}")
