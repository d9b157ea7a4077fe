"""Finding the terms of a table in a text, however they are spelt there: no terms, no rules.

A term is written in small letters; a blank in it stands for any number of blanks, hyphens, dots,
underscores, colons, backslashes and carets, also none. The longest term at a place counts, and a
term of letters stands alone: "art" is not in "partial".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

M = TypeVar("M")

_GAPS = frozenset(" \t\r\n\u3000-_.:\\^")
_ALPHABETS = ("a", "z"), ("ß", "\u04ff")  # Latin; its extensions, Greek, Cyrillic
_ACCENTS = dict.fromkeys(range(0x0300, 0x0370))
_Parts = tuple[str, ...]


class TermTable(Generic[M]):
    """Terms, each with what it means."""

    def __init__(self, terms: Mapping[str, M]) -> None:
        self._by_first: dict[str, list[tuple[_Parts, tuple[str, M]]]] = {}
        for term, meaning in sorted(terms.items(), key=lambda item: (-_length(item[0]), item[0])):
            parts = tuple(normal(term).split())
            found = (parts, (" ".join(term.split()), meaning))
            self._by_first.setdefault(parts[0][0], []).append(found)

    def read(self, text: str) -> Iterator[tuple[str, M]]:
        """The terms in a text, in their order; at each place the longest one."""
        written, position = normal(text), 0
        while position < len(written):
            found, position = self._longest_at(written, position)
            if found is not None:
                yield found

    def spell(self, text: str, *, numbers: bool = False) -> tuple[tuple[str, M], ...]:
        """The terms that a text consists of; () where anything else stands in it.

        `numbers`: digits may stand between them.
        """
        written, position, found = normal(text), 0, []
        while position < len(written):
            start = position
            term, position = self._longest_at(written, start)
            if term is not None:
                found.append(term)
            elif written[start].isalpha() or (written[start].isdecimal() and not numbers):
                return ()
        return tuple(found)

    def _longest_at(self, written: str, position: int) -> tuple[tuple[str, M] | None, int]:
        """The longest term that begins at a position, and where to go on."""
        for parts, term in self._by_first.get(written[position], ()):
            end = _end(written, position, parts)
            if (
                end is not None
                and _begins(parts, written[:position])
                and _ends(parts, written[end:])
            ):
                return term, end
        return None, position + 1


def normal(text: str) -> str:
    """Full width made ASCII, small letters without accents, one apostrophe, two abbreviations.

    Where no character set is declared there are no accents: INJECTE, ARTERIEL (PS3.5 6.1.2.2).
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    folded = folded.translate(_ACCENTS)
    return folded.replace("i.v.", "iv").replace("m.d.c.", "mdc").replace("’", "'")


def _end(written: str, position: int, parts: _Parts) -> int | None:
    """Where a term ends that begins at `position`, whatever gaps are between its parts."""
    for index, part in enumerate(parts):
        while index and position < len(written) and written[position] in _GAPS:
            position += 1
        if not written.startswith(part, position):
            return None
        position += len(part)
    return position


def _begins(parts: _Parts, before: str) -> bool:
    """A word begins here; "+c" may also end one (thorax+c, not a+c)."""
    first = parts[0][0]
    if first == "+":
        return not (before[-1:] and _is_letter(before[-1]) and not _is_word(before[-2:-1], parts))
    return not (_is_letter(first) or first in "-0123456789") or not _is_word(before[-1:], parts)


def _ends(parts: _Parts, after: str) -> bool:
    """A word ends here; terms of scripts without blanks may stand anywhere."""
    last = parts[-1][-1]
    return not (_is_letter(last) or last in "/+-0123456789") or not _is_word(after[:1], parts)


def _is_word(neighbour: str, parts: _Parts) -> bool:
    """Whether a neighbour belongs to the same word; "" is none.

    A number may touch a long term (cta1.25), but short ones also occur within codes.
    """
    long = sum(map(len, parts)) >= 3 and "".join(parts).isalpha()
    return bool(neighbour) and (_is_letter(neighbour) or (neighbour.isdecimal() and not long))


def _is_letter(character: str) -> bool:
    return any(low <= character <= high for low, high in _ALPHABETS)


def _length(term: str) -> int:
    """Characters that must be there; blanks need not."""
    return len("".join(normal(term).split()))
