"""What a codestream says of the image that it holds: read from its header, before it is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_SOC_SIZ = (
    b"\xff\x4f\xff\x51"  # start of codestream, image and tile sizes (ITU-T T.800 A.4.1, A.5.1)
)
_NO_FRAME_HEADERS = {0xC4, 0xC8, 0xCC}  # DHT, JPG, DAC: among the codes of SOF (T.81 table B.1)
_SOF_JPEG_LS = 0xF7  # T.87 C.1.1
_NO_LENGTH = {0x00, 0xFF, 0x01, *range(0xD0, 0xDA)}
"""No marker, a fill byte (T.81 B.1.1.2), and TEM, RST, SOI, EOI, which stand alone (B.1.1.3)."""


@dataclass(frozen=True)
class CodedImage:
    """Size of the image, and what a pixel of it has."""

    rows: int
    columns: int
    bits: int
    components: int = 1

    @property
    def pixels(self) -> int:
        return self.rows * self.columns

    def __str__(self) -> str:
        of = "" if self.components == 1 else f" of {self.components} components"
        return f"{self.rows} x {self.columns} pixels{of} in {self.bits} bits"


def jpeg_image(coded: bytes) -> tuple[int, CodedImage]:
    """Of the frame header of JPEG (ITU-T T.81 B.2.2) or JPEG-LS (T.87 C.2.2): its code (T.81
    table B.1), which tells the process, and what it says.

    Raises:
        ValueError: there is none.
        struct.error: the codestream ends within it.
    """
    place = 2
    while (place := coded.find(b"\xff", place)) >= 0:
        code, length = struct.unpack_from(">BH", coded, place + 1)
        if code in _NO_LENGTH:
            place += 1
            continue
        if code == _SOF_JPEG_LS or (0xC0 <= code <= 0xCF and code not in _NO_FRAME_HEADERS):
            bits, rows, columns, components = struct.unpack_from(">BHHB", coded, place + 4)
            return int(code), CodedImage(rows, columns, bits, components)
        place += 2 + int(length)
    raise ValueError("no frame header")


def jpeg_2000_codestream(coded: bytes) -> bytes:
    """The codestream alone, where a file of JPEG 2000 stands around it (T.800 annex I).

    Raises:
        ValueError: there is none.
    """
    start = coded.find(_SOC_SIZ)
    if start < 0:
        raise ValueError("no codestream")
    return coded[start:]


def jpeg_2000_image(codestream: bytes) -> CodedImage:
    """Of the marker segment SIZ (ITU-T T.800 A.5.1), which High-Throughput JPEG 2000 has too.

    Raises:
        struct.error: the codestream ends within it.
    """
    right, bottom, left, top = struct.unpack_from(">4I", codestream, 8)
    components, depth = struct.unpack_from(">HB", codestream, 40)
    return CodedImage(bottom - top, right - left, (depth & 0x7F) + 1, components)
