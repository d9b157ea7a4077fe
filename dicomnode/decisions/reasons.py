"""A reason: one rule, the value it met, the limit it has, and the verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

ReasonValue = str | float | int | bool | None


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict, no password
    WARNING = "warning"  # told, but does not stop the analysis
    FAIL = "fail"


@dataclass(frozen=True)
class Reason:
    """`rule` is a stable snake_case name; `value` what was found; `limit` what was asked for."""

    rule: str
    value: ReasonValue
    limit: ReasonValue
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict.value}

    def __str__(self) -> str:
        limit = "" if self.limit is None else f" (asked for: {self.limit})"
        return f"{self.rule}: {self.value}{limit} – {self.verdict.value}"
