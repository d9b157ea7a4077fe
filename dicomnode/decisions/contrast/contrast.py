"""Was contrast given? What the attributes of the Contrast/Bolus Module say (PS3.3 C.7.6.4).

They are one witness only, and often a bad one: empty proves nothing, nor does an amount of zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any

from dicomnode.decisions.contrast.meaning import Meaning
from dicomnode.decisions.contrast.refusals import NOT_TOLD, REFUSALS
from dicomnode.decisions.contrast.terms import LANGUAGES
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.term_table import TermTable

_AMOUNT = re.compile(r"([-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:E[-+]?\d+)?) ?[A-Zµ³/%.]*")
"""A decimal number as consoles write it (DS, PS3.5 section 6.2), perhaps with a comma or a unit."""

_NO_TIME = re.compile(r"[0:.]+")

_NAMES = {
    "contrast_bolus_agent": "Contrast/Bolus Agent",
    "contrast_bolus_route": "Contrast/Bolus Route",
    "contrast_bolus_ingredient": "Contrast/Bolus Ingredient",
    "contrast_bolus_ingredient_code_sequence": "Contrast/Bolus Ingredient Code",
    "contrast_bolus_agent_sequence": "Contrast/Bolus Agent Sequence",
    "contrast_bolus_administration_route_sequence": "Contrast/Bolus Administration Route",
}
"""Attributes that name an agent or its way into the body."""

_AMOUNTS = {
    "contrast_bolus_volume": "Contrast/Bolus Volume",
    "contrast_bolus_total_dose": "Contrast/Bolus Total Dose",
    "contrast_bolus_start_time": "Contrast/Bolus Start Time",
    "contrast_bolus_stop_time": "Contrast/Bolus Stop Time",
    "contrast_flow_rate": "Contrast Flow Rate",
    "contrast_flow_duration": "Contrast Flow Duration",
}
_FIELDS = (
    *("contrast_bolus_agent", "contrast_bolus_route", "contrast_bolus_volume"),
    *("contrast_bolus_start_time", "contrast_flow_rate"),
)
_AGENTS = "contrast_bolus_agent_sequence"
_USAGE = "contrast_bolus_usage_sequence"
_ADMINISTERED = "contrast_bolus_agent_administered"
_DETECTED = "contrast_bolus_agent_detected"
_USES = {
    _ADMINISTERED: "Contrast/Bolus Agent Administered",
    _DETECTED: "Contrast/Bolus Agent Detected",
}


class Contrast(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ContrastWitness:
    """What one witness says, and why."""

    verdict: Contrast
    evidence: str

    def as_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict.value, "evidence": self.evidence}


def attribute_witness(headers: Sequence[InstanceHeader]) -> ContrastWitness:
    """One sign of contrast in one instance is enough for `yes`; `no` must be written out."""
    said = [(_signs(given), _denials(given)) for given in map(_given_by, headers)]
    signs = sorted({sign for some, _ in said for sign in some})
    denials = sorted({denial for _, some in said for denial in some})
    if signs:
        count = sum(1 for some, _ in said if some)
        against = f", against {denials[0]}" if denials else ""
        evidence = ", ".join(signs) + against
        return ContrastWitness(Contrast.YES, f"{evidence} in {count} of {len(headers)} instances")
    if denials:
        return ContrastWitness(Contrast.NO, denials[0])
    return ContrastWitness(Contrast.UNKNOWN, "no contrast attribute has a value")


def agent_says(text: str) -> Contrast:
    """What stands for an agent: its name is `yes`, a refusal in words `no`, no answer `unknown`."""
    if not _says(text):
        return Contrast.UNKNOWN
    return Contrast.NO if _refuses(text) or _is_zero(_normal(text)) else Contrast.YES


GivenContrast = tuple[tuple[str, str], ...]


def _given_by(header: InstanceHeader) -> GivenContrast:
    """Attribute and text, of those that have one; an item of a sequence that is empty has none."""
    given = [(field, getattr(header, field)) for field in _FIELDS]
    # the agents of an Enhanced CT are those of all its frames: not all were given before each
    given += ((_USAGE, "NO"),) if _unused(header.contrast_told) else header.contrast_told
    if header.contrast_bolus_agent_sequence and not header.contrast_told:
        given.append((_AGENTS, "an item"))
    return tuple((field, text) for field, text in given if text)


@lru_cache(maxsize=256)
def _signs(given: GivenContrast) -> tuple[str, ...]:
    """The attributes that say contrast was given, each with its value."""
    return tuple(_each_sign(given))


def _each_sign(given: GivenContrast) -> Iterator[str]:
    for field, text in given:
        if field in _NAMES and agent_says(text) is Contrast.YES:
            yield f"{_NAMES[field]} {text[:64]!r}"
        elif field in _AMOUNTS and not all(map(_is_nothing, text.split("\\"))):
            yield f"{_AMOUNTS[field]} given"
        elif field in _USES and text.upper() == "YES":
            yield f"{_USES[field]} 'YES'"


@lru_cache(maxsize=256)
def _denials(given: GivenContrast) -> tuple[str, ...]:
    """The agents that are said not to have been given."""
    named = ("contrast_bolus_agent", _AGENTS)
    denied = [
        f"{_NAMES[field]} {text[:64]!r}"
        for field, text in given
        if field in named and agent_says(text) is Contrast.NO
    ]
    if (_USAGE, "NO") in given:
        denied.append("Contrast/Bolus Agent Administered 'NO'")
    return tuple(denied)


def _unused(given: GivenContrast) -> bool:
    """Every agent is said not to have been given yet, and none is seen (PS3.3 C.7.6.16.2.12)."""
    administered = [text.upper() for field, text in given if field == _ADMINISTERED]
    detected = {text.upper() for field, text in given if field == _DETECTED}
    agents = sum(field == _AGENTS for field, _ in given)
    return set(administered) == {"NO"} and len(administered) >= agents and "YES" not in detected


def _is_nothing(text: str) -> bool:
    """Whether an amount or a time says that nothing was injected, or does not say."""
    written = _normal(text)
    return (
        not _says(text) or bool(_NO_TIME.fullmatch(written)) or _refuses(text) or _is_zero(written)
    )


def _is_zero(written: str) -> bool:
    amount = _AMOUNT.fullmatch(written)
    return amount is not None and float(amount[1].replace(",", ".")) <= 0


def _refuses(text: str) -> bool:
    """Whether a text consists of words that refuse, and of what may stand beside them."""
    return True in {refuses for _, refuses in _refusals().spell(text)}


def _says(text: str) -> bool:
    return _normal(text) not in NOT_TOLD and any(map(str.isalnum, text))


def _normal(text: str) -> str:
    return " ".join(text.upper().split())


@cache
def _refusals() -> TermTable[bool]:
    """Terms that refuse, and those that only go along."""
    beside = {term: False for each in REFUSALS.values() for term in each.beside}
    none = {term: True for each in REFUSALS.values() for term in each.none}
    written = {
        term: True for terms in LANGUAGES.values() for term in terms.get(Meaning.NOT_GIVEN, ())
    }
    return TermTable(beside | none | written)
