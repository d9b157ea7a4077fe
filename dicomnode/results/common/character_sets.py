"""Text of a source data set, decoded with its Specific Character Set (0008,0005), also a bad one.

PS3.3 section C.12.1.1.2 has the defined terms, PS3.5 section 6.1.2 the code extensions. Nothing
here raises on bad bytes: what does not fit is decoded as well as it can be, and said so.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.charset import ESC, decode_bytes, default_encoding, python_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

_SPECIFIC_CHARACTER_SET = 0x00080005
_PN_DELIMITERS = {ord("^")}
_TEXT_DELIMITERS = {0x0D, 0x0A, 0x09, 0x0C}
_ISO_TERM = re.compile(r"ISO[ _-]*(2022)?[ _-]*(?:IR)?[ _-]*(\d{1,3})$")


@dataclass(frozen=True)
class CharacterSet:
    """Python encodings in the order of the attribute's values; the first one is never empty."""

    encodings: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def is_default(self) -> bool:
        """The default repertoire, ISO IR 6: no byte above 0x7F may come outside an escape."""
        return self.encodings[0] == default_encoding

    def decode(self, value: bytes, vr: str) -> tuple[str, bool]:
        """Text of an encoded value, and whether every byte fitted the character set."""
        groups = value.split(b"=") if vr == "PN" else [value]
        parts = [self._decode_group(group, vr) for group in groups]
        return "=".join(text for text, _ in parts), all(fits for _, fits in parts)

    def _decode_group(self, value: bytes, vr: str) -> tuple[str, bool]:
        try:
            if ESC not in value:
                return value.decode("ascii" if self.is_default else self.encodings[0]), True
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                delimiters = _PN_DELIMITERS if vr == "PN" else _TEXT_DELIMITERS
                return decode_bytes(value, self.encodings, delimiters), True
        except (UnicodeError, LookupError, UserWarning):
            return self._guess(value), False

    def _guess(self, value: bytes) -> str:
        """UTF-8 is seldom met by chance, so it goes first; Latin-1 takes every byte."""
        for encoding in ("utf-8", *self.encodings[1:]):
            try:
                return value.decode(encoding)
            except (UnicodeError, LookupError):
                continue
        return value.decode("latin_1")


def character_set_of(data_set: Dataset, inherited: CharacterSet | None = None) -> CharacterSet:
    """The character set of a data set; of a sequence item without one, `inherited`."""
    terms = [term.strip(" \0") for term in raw_text(data_set, _SPECIFIC_CHARACTER_SET).split("\\")]
    if not any(terms):
        return inherited or CharacterSet((default_encoding,))
    found = [_encoding(term) for term in terms]
    problems = tuple(
        f"Specific Character Set: {_shown(term)} is no defined term"
        for term, (_, known) in zip(terms, found, strict=True)
        if not known
    )
    encodings = tuple(encoding for encoding, _ in found if encoding)
    return CharacterSet(encodings or (default_encoding,), problems)


def _encoding(term: str) -> tuple[str, bool]:
    if term in python_encoding:
        return python_encoding[term], True
    if term.upper().replace("-", "").replace("_", "") in ("UTF8", "ISO 10646", "ISOIR192"):
        return python_encoding["ISO_IR 192"], False
    match = _ISO_TERM.match(term.upper())
    if match is None:
        return "", False
    repaired = f"{'ISO 2022 IR' if match[1] else 'ISO_IR'} {int(match[2])}"
    return python_encoding.get(repaired, ""), False


def _shown(term: str) -> str:
    """A term for a log line: what is no code string may be anything, even a name."""
    return f"“{term}”" if re.fullmatch(r"[A-Za-z0-9_ -]{1,16}", term) else "one value"


def raw_value(data_set: Dataset, tag: int) -> bytes | str | None:
    """Value of an element as it lies in the data set: bytes where nothing has decoded it yet."""
    if tag not in data_set:
        return None
    element: Any = data_set.get_item(tag)
    if isinstance(element, RawDataElement):
        return element.value
    value = element.value
    if value is None or isinstance(value, bytes):
        return value
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return "\\".join(str(v) for v in value) if several else str(value)


def raw_text(data_set: Dataset, tag: int) -> str:
    """Value of an element that has only ASCII characters by its VR (UI, CS, DA, IS …)."""
    value = raw_value(data_set, tag)
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value or ""
    return text.strip(" \0")


def raw_keyword(data_set: Dataset, keyword: str) -> str:
    """`raw_text` by keyword (PS3.6)."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return raw_text(data_set, tag)
