"""Is it a phantom? Quality control, calibration and acceptance are no patients.

A false alarm costs a patient: what is free text must consist of the table's words alone. Only the
names of attributes are told, for the patient's name may stand in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

from dicomnode.decisions.image_kind.phantom_terms import PHANTOM_TERMS, PhantomWord
from dicomnode.decisions.term_table import TermTable


def phantom_signs(
    *, name: str, patient_id: str, body_part: str, flags: Mapping[str, str]
) -> tuple[str, ...]:
    """The attributes that tell a phantom; `flags` do by YES (PS3.3 C.7.1.1 and C.7.6.1)."""
    by_attribute = {
        "Patient's Name": is_phantom(name),
        "Patient ID": is_phantom(patient_id),
        "Body Part Examined": body_part.upper() == "PHANTOM",
        **{attribute: value.upper() == "YES" for attribute, value in flags.items()},
    }
    return tuple(attribute for attribute, tells in by_attribute.items() if tells)


@lru_cache(maxsize=64)
def is_phantom(text: str) -> bool:
    """Whether a name, an ID, or what a study or protocol is called, tells a phantom."""
    words = _words(text)
    return _certain(words) or (words == (PhantomWord.CHECK,) and not _digits(text))


@lru_cache(maxsize=256)
def is_phantom_series(text: str) -> bool:
    """As `is_phantom`, for a series: "QC" alone is what some scanners call a patient's images."""
    return _certain(_words(text))


def _certain(words: tuple[PhantomWord, ...]) -> bool:
    """A phantom, or a check of which is told how often, what for or on what."""
    checked = {PhantomWord.CHECK, PhantomWord.WHEN, PhantomWord.MAYBE} & set(words)
    return PhantomWord.PHANTOM in words or len(checked) > 1


def _words(text: str) -> tuple[PhantomWord, ...]:
    return tuple(word for _, word in _terms().spell(text, numbers=True))


def _digits(text: str) -> bool:
    return any(map(str.isdecimal, text))


@cache
def _terms() -> TermTable[PhantomWord]:
    return TermTable(
        {
            term: word
            for table in PHANTOM_TERMS.values()
            for word, terms in table.items()
            for term in terms
        }
    )
