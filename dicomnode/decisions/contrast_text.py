"""Was contrast given? What the descriptions of series, protocol, procedure and study say.

Evidence quotes the term of our table and the attribute's name, never the text: people write names
into descriptions.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from dicomnode.decisions.contrast import Contrast, ContrastWitness
from dicomnode.decisions.contrast_terms import LANGUAGES, Meaning
from dicomnode.decisions.instance_header import InstanceHeader

LEVELS: tuple[dict[str, str], ...] = (
    {"series_description": "Series Description", "image_comments": "Image Comments"},
    {
        "protocol_name": "Protocol Name",
        "performed_procedure_step_description": "Performed Procedure Step Description",
    },
    {
        "requested_procedure_description": "Requested Procedure Description",
        "study_description": "Study Description",
    },
)
"""From the series itself to what was ordered. The first level that says anything decides: the plain
series of a study with contrast is plain."""

Term = tuple[str, Meaning]

_GAPS = frozenset(" \t\r\n\u3000-_.:\\^")
_ALPHABETS = ("a", "z"), ("ß", "\u04ff")  # Latin; its extensions, accents, Greek, Cyrillic


@dataclass(frozen=True)
class Found:
    """A term of the table, the attribute in which it was found, and what it means."""

    attribute: str
    term: str
    meaning: Meaning


def read_terms(text: str) -> tuple[Term, ...]:
    """The terms in a text, each once, in their order; at each place the longest one."""
    normal, position = _normal(text), 0
    found: dict[Term, None] = {}
    while position < len(normal):
        pair, position = _longest_at(normal, position)
        if pair is not None and pair[1] is not Meaning.NOTHING:
            found[pair] = None
    return tuple(found)


def _longest_at(normal: str, position: int) -> tuple[Term | None, int]:
    """The longest term that begins at a position, and where to go on."""
    for parts, term in _by_first_character().get(normal[position], ()):
        end = _end(normal, position, parts)
        if end is not None and _begins(parts, normal[:position]) and _ends(parts, normal[end:]):
            return term, end
    return None, position + 1


def text_witness(headers: Sequence[InstanceHeader]) -> ContrastWitness:
    """The most specific level that says anything; `unknown` where it says both.

    Levels that are less specific and say something else are told as well.
    """
    levels = [list(_found(headers, level)) for level in LEVELS]
    telling = [level for level in levels if level]
    if not telling:
        return ContrastWitness(Contrast.UNKNOWN, "no description tells")
    verdicts = [_verdict(level) for level in telling]
    evidence = _told(telling[0])
    if verdicts[0] is Contrast.UNKNOWN:
        return ContrastWitness(Contrast.UNKNOWN, f"{evidence}: series of either kind")
    against = [
        found
        for level, verdict in zip(telling[1:], verdicts[1:], strict=True)
        if verdict not in {verdicts[0], Contrast.UNKNOWN}
        for found in level
    ]
    return ContrastWitness(verdicts[0], evidence + (f", against {_told(against)}" * bool(against)))


def _found(headers: Sequence[InstanceHeader], level: dict[str, str]) -> Iterator[Found]:
    for field, attribute in level.items():
        texts = sorted({getattr(header, field) for header in headers})
        pairs = dict.fromkeys(pair for text in texts for pair in read_terms(text))
        yield from (Found(attribute, term, meaning) for term, meaning in pairs)


def _verdict(level: Sequence[Found]) -> Contrast:
    meanings = {found.meaning for found in level}
    if meanings == {Meaning.GIVEN}:
        return Contrast.YES
    return Contrast.NO if meanings == {Meaning.NOT_GIVEN} else Contrast.UNKNOWN


def _told(found: Sequence[Found]) -> str:
    """`Protocol Name says 'pe', 'injection'`: of each attribute at most three terms."""
    by_attribute: dict[str, list[str]] = {}
    for each in found:
        by_attribute.setdefault(each.attribute, []).append(repr(each.term))
    return "; ".join(f"{name} says {', '.join(terms[:3])}" for name, terms in by_attribute.items())


def _normal(text: str) -> str:
    """Full width made ASCII, small letters, accents parted from them, two abbreviations."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return folded.replace("i.v.", "iv").replace("m.d.c.", "mdc")


def _end(normal: str, position: int, parts: tuple[str, ...]) -> int | None:
    """Where a term ends that begins at `position`, whatever gaps are between its parts."""
    for index, part in enumerate(parts):
        while index and position < len(normal) and normal[position] in _GAPS:
            position += 1
        if not normal.startswith(part, position):
            return None
        position += len(part)
    return position


def _begins(parts: tuple[str, ...], before: str) -> bool:
    """A word begins here; "+c" may also end one (thorax+c, not a+c)."""
    first = parts[0][0]
    if first == "+":
        return not (before[-1:] and _is_letter(before[-1]) and not _is_word(before[-2:-1], parts))
    return not (_is_letter(first) or first in "-0123456789") or not _is_word(before[-1:], parts)


def _ends(parts: tuple[str, ...], after: str) -> bool:
    """A word ends here; terms of scripts without blanks may stand anywhere."""
    last = parts[-1][-1]
    return not (_is_letter(last) or last in "/+-0123456789") or not _is_word(after[:1], parts)


def _is_word(neighbour: str, parts: tuple[str, ...]) -> bool:
    """Whether a neighbour belongs to the same word; "" is none.

    A number may touch a long term (cta1.25), but short ones also occur within codes.
    """
    long = sum(map(len, parts)) >= 3 and "".join(parts).isalpha()
    return bool(neighbour) and (_is_letter(neighbour) or (neighbour.isdecimal() and not long))


def _is_letter(character: str) -> bool:
    return any(low <= character <= high for low, high in _ALPHABETS)


@cache
def _by_first_character() -> dict[str, list[tuple[tuple[str, ...], Term]]]:
    """The terms with the parts between their gaps, the longest first."""
    pairs = {
        term: meaning
        for terms in LANGUAGES.values()
        for meaning, words in terms.items()
        for term in words
    }
    table: dict[str, list[tuple[tuple[str, ...], Term]]] = {}
    for term, meaning in sorted(pairs.items(), key=lambda item: (-_length(item[0]), item[0])):
        parts = tuple(_normal(term).split())
        table.setdefault(parts[0][0], []).append((parts, (" ".join(term.split()), meaning)))
    return table


def _length(term: str) -> int:
    """Characters that must be there; blanks need not."""
    return len("".join(_normal(term).split()))
