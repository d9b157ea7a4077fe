"""Where Pixel Data stand in a file: the reading stops before them, and goes on behind them."""

from __future__ import annotations

import struct
from os import fstat
from typing import BinaryIO

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

PIXEL_DATA = 0x7FE00010
SEQUENCE_DELIMITATION = 0xE0DDFFFE  # (FFFE,E0DD) read as one little-endian number
UNDEFINED_LENGTH = 0xFFFFFFFF

_FLOAT_PIXEL_DATA = 0x7FE00008  # the first that is large; offset tables may come before it
_FIRST_OF_DATA_SET = 0x00080000
_LONGEST_VALUE_BYTES = 1 << 20
"""Of what follows the pixels: what is longer pads the file (PS3.10 section 7.2)."""


class PixelElement:
    """Stops the reading at the first pixels (7FE0,0008 to 7FE0,0010, PS3.6).

    Remembers how Pixel Data is announced there.
    """

    def __init__(self) -> None:
        self.vr: str | None = None
        self.claimed_length = 0
        self.met = False

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        number = int(tag)  # a tag of pydicom compares in Python, once for each element
        if number == PIXEL_DATA:
            self.vr, self.claimed_length, self.met = vr, length, True
        return _FLOAT_PIXEL_DATA <= number <= PIXEL_DATA

    @property
    def header_length(self) -> int:
        """Bytes of tag, VR and length before the value (PS3.5 section 7.1.2 and 7.1.3)."""
        return 12 if self.vr in {"OB", "OW", "UN"} else 8

    @property
    def encapsulated(self) -> bool:
        return self.claimed_length == UNDEFINED_LENGTH

    def end(self, file: BinaryIO) -> int | str:
        """Where the element ends, of a file that stands before it; or in words what is missing.

        Only lengths are read.
        """
        size = fstat(file.fileno()).st_size
        end = file.tell() + self.header_length
        if not self.encapsulated:
            end += self.claimed_length
            return f"the file ends {end - size} bytes before its end" if end > size else end
        while end + 8 <= size:
            file.seek(end)
            tag, length = struct.unpack("<II", file.read(8))
            end += 8 + int(length)
            if tag == SEQUENCE_DELIMITATION:
                return end
        return "the file ends before its last fragment"


def add_what_follows(file: BinaryIO, data_set: Dataset, pixels: PixelElement) -> None:
    """Add the elements that stand behind Pixel Data, out of order, where `data_set` has none.

    The file stands before Pixel Data, also afterwards.

    Raises:
        any of `headers.UNREADABLE`: what follows is no data set; a file may be padded with
            anything.
    """
    place = file.tell()
    end = pixels.end(file)
    try:
        if isinstance(end, str) or end == fstat(file.fileno()).st_size:
            return
        file.seek(end)
        implicit, little_endian = data_set.original_encoding
        rest = read_dataset(
            file, bool(implicit), bool(little_endian), defer_size=_LONGEST_VALUE_BYTES
        )
        for tag in rest.keys():  # noqa: SIM118 - iterating a Dataset converts its elements
            element = rest.get_item(tag, keep_deferred=True)
            if (
                _FIRST_OF_DATA_SET <= tag < PIXEL_DATA
                and tag not in data_set
                and _is_whole(element)
            ):
                data_set[tag] = element
    finally:
        file.seek(place)


def _is_whole(element: object) -> bool:
    if not isinstance(element, RawDataElement):
        return True  # a sequence: it was parsed to its end
    return element.length == UNDEFINED_LENGTH or len(element.value or b"") == element.length
