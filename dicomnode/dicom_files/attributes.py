"""Reading single attributes of a data set without trusting any of them.

Ranges are those that a body scanner can produce: a value outside is a mistake, not a measurement.
"""

from __future__ import annotations

import math
import re
import struct
from functools import cache, cached_property
from typing import Any, TypeVar, cast

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.sequence import Sequence

T = TypeVar("T")
Interval = tuple[float, float]

PLAUSIBLE: dict[str, Interval] = {
    "AcquisitionNumber": (-(2**31), 2**31 - 1),  # IS, PS3.5 section 6.2
    "BitsAllocated": (1, 64),
    "BitsStored": (1, 64),
    "Columns": (1, 65535),
    "FailureReason": (0, 65535),  # US
    "FrameAcquisitionNumber": (0, 65535),
    "GantryDetectorTilt": (-90, 90),  # degrees
    "HighBit": (0, 63),
    "ImageOrientationPatient": (-1.01, 1.01),  # direction cosines, with room for rounding
    "ImagePositionPatient": (-10_000, 10_000),  # mm
    "ImagesInAcquisition": (1, 100_000),
    "InConcatenationTotalNumber": (1, 65535),
    "InstanceNumber": (-(2**31), 2**31 - 1),  # IS, PS3.5 section 6.2
    "KVP": (1, 1000),  # kV
    "MonoenergeticEnergyEquivalent": (1, 1000),  # keV
    "NumberOfFrames": (1, 65535),
    "NumberOfSeriesRelatedInstances": (1, 100_000),
    "PixelPaddingRangeLimit": (-(2**31), 2**32),
    "PixelPaddingValue": (-(2**31), 2**32),
    "PixelRepresentation": (0, 1),
    "PixelSpacing": (0.01, 20),  # mm
    "RescaleIntercept": (-100_000, 100_000),
    "RescaleSlope": (-10_000, 10_000),
    "Rows": (1, 65535),
    "SamplesPerPixel": (1, 4),
    "SliceThickness": (0.01, 100),  # mm
    "SpacingBetweenSlices": (-100, 100),  # mm; negative in some orders of the slices
}

_UNPARSABLE = (
    *(AttributeError, BytesLengthException, EOFError, IndexError, KeyError, NotImplementedError),
    *(OSError, OverflowError, RecursionError, TypeError, ValueError, struct.error),
)
"""What pydicom raises on the bytes of a broken sequence."""

_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "US or SS": "H"}
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")  # DS and IS, PS3.5 section 6.2
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_QUOTABLE = re.compile(r"([0-9e+\-.,\\ ]|nan|inf){1,40}", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONGEST_TEXT = 1024  # LT holds 10240, but no attribute that we read needs more than this


class AttributeReader:
    """Reads attributes by keyword (PS3.6) and collects a sentence in `problems` for each bad one.

    Absent and empty give None (or ""), without a problem: whether one is needed is a decision.
    A problem never quotes anything but numbers: a name may stand in any attribute.
    """

    def __init__(self, data_set: Dataset, around: AttributeReader | None = None) -> None:
        """`around`: the reader of the data set of which this is an item; it has the problems."""
        self._data_set = data_set
        self._around = around
        self.problems: list[str] = [] if around is None else around.problems

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values, trimmed, without control characters; () when absent or empty."""
        values = [_clean(value) for value in self._values(keyword)]
        return tuple(values) if any(values) else ()

    def text(self, keyword: str) -> str:
        """The value; several are joined by a backslash as they were sent."""
        return "\\".join(self.texts(keyword))

    def uid(self, keyword: str) -> str:
        """A UID (PS3.5 section 9), or "" with a problem."""
        text = self.text(keyword)
        if not text or (len(text) <= 64 and _UID.fullmatch(text)):
            return text
        return self._problem(keyword, "is not a UID", "")

    def number(self, keyword: str) -> float | None:
        values = self._numbers(keyword, 1)
        return values[0] if values else None

    def integer(self, keyword: str) -> int | None:
        value = self.number(keyword)
        if value is None or value == int(value):
            return None if value is None else int(value)
        return self._problem(keyword, "is not a whole number", None)

    def pair(self, keyword: str) -> tuple[float, float] | None:
        return cast(tuple[float, float] | None, self._numbers(keyword, 2))

    def vector(self, keyword: str) -> tuple[float, float, float] | None:
        return cast(tuple[float, float, float] | None, self._numbers(keyword, 3))

    def two_vectors(self, keyword: str) -> tuple[float, float, float, float, float, float] | None:
        found = self._numbers(keyword, 6)
        return cast(tuple[float, float, float, float, float, float] | None, found)

    def has_items(self, keyword: str) -> bool:
        """Whether a sequence has at least one item."""
        element = self._element(keyword)
        return element is not None and bool(element.value)

    def items(self, keyword: str) -> list[Dataset]:
        """The items of a sequence; [] when absent, and with a problem when it cannot be parsed."""
        element = self._element(keyword)
        if element is None:
            return []
        if element.VR not in {"SQ", "UN", None}:
            return self._problem(keyword, "is no sequence", [])
        try:
            value = self._data_set[_tag(keyword)].value
        except _UNPARSABLE:
            return self._problem(keyword, "cannot be read", [])
        if value is None or isinstance(value, Sequence):
            return list(value or [])
        return self._problem(keyword, "is no sequence", [])

    def within(self, keyword: str) -> list[AttributeReader]:
        """Readers of the items of a sequence; as `items` where there are none."""
        return [AttributeReader(item, self) for item in self.items(keyword)]

    @property
    def empty(self) -> bool:
        return len(self._data_set) == 0

    def signed_or_unsigned(self, keyword: str, *, signed: bool) -> int | None:
        """A value of VR "US or SS", whose sign Pixel Representation decides (PS3.3 C.7.6.3)."""
        value = self.integer(keyword)
        if value is None:
            return None
        value &= 0xFFFF
        return value - 0x10000 if signed and value >= 0x8000 else value

    def _numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        texts = self.texts(keyword)
        if not texts:
            return None
        quoted = _quote(texts)
        if len(texts) != count:
            return self._problem(keyword, f"{quoted} has {len(texts)} values, not {count}", None)
        numbers = tuple(_number(text) for text in texts)
        if None in numbers:
            return self._problem(keyword, f"{quoted} is not a finite decimal number", None)
        low, high = PLAUSIBLE[keyword]
        found = cast(tuple[float, ...], numbers)
        if all(low <= number <= high for number in found):
            return found
        return self._problem(keyword, f"{quoted} is outside {low:g} to {high:g}", None)

    def _problem(self, keyword: str, what: str, instead: T) -> T:
        self.problems.append(f"{keyword}: {what}")
        return instead

    def _element(self, keyword: str) -> Any:
        """The element as it was received: raw bytes, or a value when built in memory."""
        return self._elements.get(_tag(keyword))

    @cached_property
    def _elements(self) -> dict[int, Any]:
        """By plain numbers: the tags of pydicom compare in Python."""
        tags = map(int, self._data_set.keys())
        return dict(zip(tags, self._data_set.values(), strict=True))

    def _values(self, keyword: str) -> list[str]:
        element = self._element(keyword)
        if element is None or element.value is None:
            return []
        if not isinstance(element, RawDataElement):
            return self._converted(keyword, element)
        vr = element.VR if element.VR not in {None, "UN"} else dictionary_VR(element.tag)
        if vr in _BINARY:
            return self._unpacked(keyword, element, _BINARY[vr])
        if keyword == "SpecificCharacterSet":
            return str(element.value.decode("latin-1")).split("\\")
        return self._decoded(element.value).split("\\")

    def _converted(self, keyword: str, element: DataElement) -> list[str]:
        """Values of an element that pydicom has already converted, or that was built in memory."""
        if element.VR == "SQ":
            return self._problem(keyword, "is a sequence", [])
        return [str(value) for value in element.value] if element.VM > 1 else [str(element.value)]

    def _unpacked(self, keyword: str, element: RawDataElement, code: str) -> list[str]:
        packed = struct.Struct(("<" if element.is_little_endian else ">") + code)
        value = element.value or b""
        if len(value) % packed.size:
            return self._problem(keyword, f"{len(value)} bytes are no whole value", [])
        return [str(one) for (one,) in packed.iter_unpack(value)]

    def _decoded(self, value: bytes) -> str:
        """Text in the declared character set (PS3.3 C.12.1.1.2), else byte for byte."""
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii")
        # the first value is often empty or Latin, which any bytes would pass as
        for term in reversed(self._character_sets()):
            try:
                return value.decode(python_encoding.get(term, "ascii"))
            except (UnicodeDecodeError, LookupError):
                continue
        return value.decode("latin-1")

    def _character_sets(self) -> tuple[str, ...]:
        """An item without its own has that of the data set around it (PS3.5 section 7.5.3)."""
        own = self.texts("SpecificCharacterSet")
        return own if own or self._around is None else self._around._character_sets()


@cache
def _tag(keyword: str) -> int:
    return cast(int, tag_for_keyword(keyword))


def _clean(text: str) -> str:
    return _CONTROL.sub("", text).strip()[:_LONGEST_TEXT]


def _number(text: str) -> float | None:
    if not _DECIMAL.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def _quote(texts: tuple[str, ...]) -> str:
    joined = "\\".join(texts)
    return f'"{joined}"' if _QUOTABLE.fullmatch(joined) else f"a text of {len(joined)} characters"
