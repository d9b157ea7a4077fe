"""Compressed frames (PS3.5 A.4) decoded, each by the codec of its transfer syntax.

The size that a codestream tells is compared with that of the data set before anything is decoded:
a few bytes of it may ask for gigabytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID

from dicomnode.dicom_files.codestreams import (
    CodedImage,
    jpeg_2000_codestream,
    jpeg_2000_image,
    jpeg_image,
)
from dicomnode.errors import DataError

Pixels: TypeAlias = NDArray[Any]

JPEG_XL = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
"""Names of transfer syntaxes (PS3.6 table A-1) that pydicom's dictionary does not have yet."""

MOST_SCANS = 1000
"""Of a JPEG: a progressive one of 12 bits has at most 64 coefficients of 14 passes, and each scan
goes over the whole image again."""

_END_OF_IMAGE = b"\xff\xd9"  # EOI (ITU-T T.81 B.1.1.3, T.87 C.1.1), EOC (T.800 A.4.4)
_PROGRESSIVE = {0xC2, 0xCA}  # SOF2, and SOF10 with arithmetic coding (T.81 table B.1)
_START_OF_SCAN = b"\xff\xda"  # SOS (T.81 B.1.1.3)
_UNDECODABLE = (ArithmeticError, IndexError, OSError, RuntimeError, TypeError, ValueError)
"""What the codecs raise; their own errors are RuntimeErrors, others come from C++."""


def decode_frame(coded: bytes, syntax: str, wanted: CodedImage) -> Pixels:
    """The pixels of a frame, (rows, columns) of 8 or 16 bits in this machine's order.

    `coded`: the fragments of the frame, joined. `wanted`: as the data set says, its bits are those
    allocated. Signed pixels come in two's complement where the codestream does not say their sign.

    Raises:
        DataError: `pixel_data`: there is no decoder for `syntax`, or what the decoder says.
    """
    name = JPEG_XL.get(syntax) or UID(syntax).name
    decode = _DECODERS.get(syntax)
    if decode is None:
        raise DataError("pixel_data", f"{name}: no decoder could read it")
    try:
        return decode(coded, wanted)
    except struct.error as error:
        raise DataError("pixel_data", f"{name}: its header is cut short or broken") from error
    except _UNDECODABLE as error:
        raise DataError("pixel_data", f"{name}: {error}") from error


def _jpeg(function: str, coded: bytes, wanted: CodedImage) -> Pixels:
    """JPEG of any process that a library of today knows, and JPEG-LS."""
    _check_end(coded)
    process, told = jpeg_image(coded)
    _check(told, wanted)
    if process in _PROGRESSIVE and (scans := coded.count(_START_OF_SCAN)) > MOST_SCANS:
        raise ValueError(f"{scans} scans, at most {MOST_SCANS} are read")
    return _image(function, coded)


def _jpeg_2000(coded: bytes, wanted: CodedImage) -> Pixels:
    """JPEG 2000, High-Throughput too, by OpenJPEG.

    OpenJPH, which the package has for the latter, is twice as quick; but of what is damaged it
    returns an image without a word, or ends the process.
    """
    codestream = jpeg_2000_codestream(coded)
    _check_end(codestream)
    _check(jpeg_2000_image(codestream), wanted)
    return _image("jpeg2k_decode", codestream)


def _jpeg_xl(coded: bytes, wanted: CodedImage) -> Pixels:
    """The library looks whether the array fits before it decodes; it may have either depth."""
    for bits in range(wanted.bits, 0, -8):
        array = np.empty((wanted.rows, wanted.columns), f"u{bits // 8}")
        with suppress(ValueError):
            return _image("jpegxl_decode", coded, keeporientation=True, numthreads=1, out=array)
    raise ValueError(f"not {wanted}")


def _rle(coded: bytes, wanted: CodedImage) -> Pixels:
    """Segments of bytes, the highest ones of all pixels first (PS3.5 G.2, G.5).

    The library's own reading of the header trusts its offsets and may end the process.
    """
    count, *offsets = struct.unpack_from("<16I", coded)
    if 8 * count != wanted.bits:
        raise ValueError(f"{count} segments, not {wanted.bits // 8}")
    starts = offsets[:count]
    ends = [*starts[1:], len(coded)]
    segments = [_segment(coded[a:b], wanted) for a, b in zip(starts, ends, strict=True)]
    joined = np.stack(segments, axis=-1).view(f">u{count}")
    return joined.reshape(wanted.rows, wanted.columns).astype(f"u{count}", copy=False)


def _segment(coded: bytes, wanted: CodedImage) -> Pixels:
    """A byte of each pixel; what is more pads it."""
    try:
        found = np.frombuffer(_call("packbits_decode", coded), np.uint8)
    except RuntimeError as error:
        raise ValueError("a segment ends within a run") from error
    if len(found) < wanted.pixels:
        raise ValueError(f"a segment of {len(found)} bytes for {wanted.pixels} pixels")
    return found[: wanted.pixels]


def _image(function: str, coded: bytes, **options: Any) -> Pixels:
    pixels: Pixels = _call(function, coded, **options)
    return pixels


def _call(function: str, coded: bytes, **options: Any) -> Any:
    """A function of imagecodecs, which is loaded where something is decoded, and only then."""
    import imagecodecs

    return getattr(imagecodecs, function)(coded, **options)


def _check(told: CodedImage, wanted: CodedImage) -> None:
    if replace(told, bits=wanted.bits) != wanted or told.bits > wanted.bits:
        raise ValueError(f"{told}, not {wanted}")


def _check_end(coded: bytes) -> None:
    """What is cut short ends without the marker that coded data cannot contain.

    No decoder should read on: that of JPEG fills up what is missing, and says nothing.
    """
    if coded.rfind(_END_OF_IMAGE) < 0:
        raise ValueError("the image is cut short, it has no end")


_DECODERS: dict[str, Callable[[bytes, CodedImage], Pixels]] = {
    "1.2.840.10008.1.2.5": _rle,
    **{
        f"1.2.840.10008.1.2.4.{number}": decode
        for numbers, decode in (
            ((50, 51, 53, 55, 57, 70), partial(_jpeg, "jpeg8_decode")),
            ((80, 81), partial(_jpeg, "jpegls_decode")),
            ((90, 91, 201, 202, 203), _jpeg_2000),
            ((110, 111, 112), _jpeg_xl),
        )
        for number in numbers
    },
}
"""By the UIDs of PS3.6 table A-1; `DECODABLE` of the decisions names them too."""
