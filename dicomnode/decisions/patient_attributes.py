"""Whose instance is it? What a header says, and whether two of them can be of one patient.

One Patient ID with its issuer is one patient (PS3.3 C.7.1.1); a name that is spelt otherwise is no
other name. No value of these leaves this file: texts tell of attributes and numbers alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

KEYWORDS = {
    "patient_id": "Patient ID",
    "issuer_of_patient_id": "Issuer of Patient ID",
    "patient_name": "Patient's Name",
    "patient_birth_date": "Patient's Birth Date",
    "patient_sex": "Patient's Sex",
    "accession_number": "Accession Number",
}
"""What people call the attributes (PS3.6)."""

_MOST_SPELLINGS = 20
"""Of one name; more are more than one person's."""

_WORDS = re.compile(r"[^\W_]+")
_LOST = frozenset("?\ufffd")  # a letter that a program with another character set could not write
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae"})


@dataclass(frozen=True, repr=False)
class PatientAttributes:
    """Fields bear the keyword of their attribute (PS3.6) in snake_case; no repr tells them."""

    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_name: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    accession_number: str = ""

    def __repr__(self) -> str:
        """The same for all, and not an address: headers are put in order by all they say."""
        return "PatientAttributes(…)"


def contradictions(found: Collection[PatientAttributes]) -> tuple[str, ...]:
    """What these say that cannot be true of one patient, as "2 Patient's Names"; () for nothing.

    An attribute that is absent contradicts nothing, but an absent Patient ID is another one.
    """
    parts = (
        (len({each.patient_id for each in found}), "Patient IDs"),
        (_several(found, "issuer_of_patient_id", str.casefold), "Issuers of Patient ID"),
        (_names(each.patient_name for each in found), "Patient's Names"),
        (_several(found, "patient_birth_date", _digits), "Patient's Birth Dates"),
    )
    return tuple(f"{count} {what}" for count, what in parts if count > 1)


def differences(found: Collection[PatientAttributes]) -> tuple[str, ...]:
    """Which attributes do not have one value everywhere, in the words of PS3.6."""
    return tuple(
        called for name, called in KEYWORDS.items() if len({getattr(a, name) for a in found}) > 1
    )


def _several(found: Iterable[PatientAttributes], name: str, read: Callable[[str], str]) -> int:
    return len({read(getattr(each, name)) for each in found} - {""})


def _digits(date: str) -> str:
    return "".join(each for each in date if each.isdigit())


def _names(values: Iterable[str]) -> int:
    """How many persons' names these are: 1 when all agree."""
    spellings = sorted({value for value in values if value})
    if len(spellings) > _MOST_SPELLINGS:
        return len(spellings)
    agree = all(one_name(a, b) for a, b in combinations(spellings, 2))
    return 1 if agree else len(spellings)


def one_name(first: str, second: str) -> bool:
    """Whether two values of a Person Name (PS3.5 section 6.2.1) can be one person's.

    Only component groups that both have are compared: alphabetic, ideographic, phonetic. In a
    group one may lack components, cut a word short, or write case, accents and order otherwise.
    """
    return all(
        _one_group(a, b)
        for a, b in zip(first.split("="), second.split("="), strict=False)
        if a.strip(" ^") and b.strip(" ^")
    )


def _one_group(first: str, second: str) -> bool:
    if _LOST & {*first, *second}:
        return True
    return any(_within(a, b) for a in _ways(first) for b in _ways(second))


def _within(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether each word of the one that has fewer is, or begins, or is begun by, one there."""
    fewer, more = sorted((first, second), key=len)
    return all(
        any(word.startswith(other) or other.startswith(word) for other in more) for word in fewer
    )


def _ways(group: str) -> tuple[list[str], list[str]]:
    """The words in small letters without accents, and with umlauts written out."""
    small = group.casefold()
    written_out = unicodedata.normalize("NFC", small).translate(_UMLAUTS)
    return _plain(small), _plain(written_out)


def _plain(text: str) -> list[str]:
    apart = unicodedata.normalize("NFKD", text)
    return _WORDS.findall("".join(each for each in apart if not unicodedata.combining(each)))
