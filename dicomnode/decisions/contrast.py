"""Was contrast given? What the attributes of the Contrast/Bolus Module say (PS3.3 C.7.6.4).

They are one witness only, and often a bad one: empty proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dicomnode.decisions.instance_header import InstanceHeader

NO_AGENT = frozenset(
    {
        *("NONE", "NO", "N", "NIL", "NEGATIVE", "NOT GIVEN", "NO AGENT", "NO CONTRAST"),
        *("NO IV", "NO IV CONTRAST", "NON CONTRAST", "NON-CONTRAST", "NONCONTRAST", "C-", "-C"),
        *("W/O", "WO", "W/O CONTRAST", "WO CONTRAST", "WITHOUT", "WITHOUT CONTRAST"),
        *("WITHOUT IV CONTRAST", "UNENHANCED", "NATIVE", "PLAIN"),
        *("NATIV", "OHNE", "OHNE KM", "KEIN KM", "SANS", "SANS CONTRASTE", "SANS INJECTION"),
        *("SIN", "SIN CONTRASTE", "SENZA", "SENZA MDC", "平扫", "无", "無", "なし", "単純"),
    }
)
"""Contrast/Bolus Agent (0018,0010) that says none was given, in capitals and whole: a part would
not do, because NON IONIC is an agent."""

NOT_TOLD = frozenset({"", "UNKNOWN", "UNK", "N/A", "NA", "?", "-", "--", "."})
"""Texts that stand for no answer."""

ZERO = frozenset({"0", "0.0", "0.00", "000000", "00:00:00", "000000.000", "000000.000000"})
"""Volume, flow or time that consoles write when nothing was injected."""


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
    signs = sorted({sign for header in headers for sign in _signs(header)})
    denials = sorted({h.contrast_bolus_agent for h in headers if _denies(h)})
    if signs:
        count = sum(1 for header in headers if any(_signs(header)))
        against = f", against Contrast/Bolus Agent {denials[0]!r}" if denials else ""
        said = ", ".join(signs) + against
        return ContrastWitness(Contrast.YES, f"{said} in {count} of {len(headers)} instances")
    if denials:
        return ContrastWitness(Contrast.NO, f"Contrast/Bolus Agent {denials[0]!r}")
    return ContrastWitness(Contrast.UNKNOWN, "no contrast attribute has a value")


def _signs(header: InstanceHeader) -> Iterator[str]:
    """The attributes that say contrast was given, each with its value."""
    if not _denies(header) and _told(header.contrast_bolus_agent):
        yield f"Contrast/Bolus Agent {header.contrast_bolus_agent[:64]!r}"
    if _told(header.contrast_bolus_route) and _normal(header.contrast_bolus_route) not in NO_AGENT:
        yield f"Contrast/Bolus Route {header.contrast_bolus_route[:64]!r}"
    measured = {
        "Contrast/Bolus Volume": header.contrast_bolus_volume,
        "Contrast/Bolus Start Time": header.contrast_bolus_start_time,
        "Contrast Flow Rate": header.contrast_flow_rate,
    }
    for name, text in measured.items():
        if _told(text) and _normal(text) not in ZERO:
            yield f"{name} given"
    if header.contrast_bolus_agent_sequence:
        yield "Contrast/Bolus Agent Sequence has items"


def _denies(header: InstanceHeader) -> bool:
    return _normal(header.contrast_bolus_agent) in NO_AGENT


def _told(text: str) -> bool:
    return _normal(text) not in NOT_TOLD


def _normal(text: str) -> str:
    return " ".join(text.upper().split())
