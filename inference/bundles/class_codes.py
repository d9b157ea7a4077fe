"""Codes of classes for cards that name none: those of the classes known before cards had codes.

A card's `[[codes]]` come first. This table is all that is known without them, so that bundles
made earlier still work; a class of another name needs its code on the card.
"""

from __future__ import annotations

from collections.abc import Iterable

from inference.findings import PRIVATE_SCHEME, FindingClass

_KNOWN = (
    FindingClass("COVID-19", "840539006", "SCT", "COVID-19", "COVID19"),
    FindingClass(
        "community-acquired pneumonia", "385093006", "SCT", "Community acquired pneumonia", "CAP"
    ),
    FindingClass("non-pneumonia", "NON_PNEUMONIA", PRIVATE_SCHEME, "Non-pneumonia", "NON_PNEUM"),
    FindingClass(
        "influenza-A viral pneumonia",
        "FLU_A_PNEUMONIA",
        PRIVATE_SCHEME,
        "Influenza-A viral pneumonia",
        "FLU_A",
    ),
)
_BY_NAME = {each.name.casefold(): each for each in _KNOWN}
_SHORT_NAMES = {"covid19": "covid-19", "covid": "covid-19", "cap": "community-acquired pneumonia"}


def known_class(name: str) -> FindingClass | None:
    """The class of this name, in one of its spellings; None for any other."""
    key = name.casefold().replace("_", "-").strip()
    key = _SHORT_NAMES.get(key, key).replace("community acquired", "community-acquired")
    return _BY_NAME.get(key)


def known_classes(names: Iterable[str]) -> tuple[FindingClass, ...]:
    """Those of these classes that are known, under the names given."""
    known = {name: known_class(name) for name in names}
    return tuple(
        FindingClass(name, each.value, each.scheme, each.meaning, each.short)
        for name, each in known.items()
        if each is not None
    )
