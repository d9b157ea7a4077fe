"""That one of two methods came to no answer on a series, and why; the other one's answer stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dicomnode.decisions.reasons import Reason, Verdict


class Method(StrEnum):
    """LUNGS: the classification of Li et al. 2020; REGIONS: location attention, Xu et al. 2020."""

    LUNGS = "lungs"
    REGIONS = "regions"

    @property
    def words(self) -> str:
        """What a reader calls it."""
        return {
            Method.LUNGS: "classification of the whole lungs",
            Method.REGIONS: "search for candidate regions",
        }[self]


@dataclass(frozen=True)
class MethodFailure:
    """`rule`: "lungs", "volume", "network_output" or "memory"; `value` and `limit`: what was found
    and asked for, without patient identity; `model`: name and version of its bundle."""

    method: Method
    model: str
    rule: str
    value: str
    limit: str | None = None

    @property
    def why(self) -> str:
        """What was found, and what was asked for where there is a limit."""
        return self.value + (f" (asked for: {self.limit})" if self.limit else "")

    def __str__(self) -> str:
        return f"the {self.method.words} ({self.model}) failed: {self.why}"

    @property
    def sentence(self) -> str:
        """For the report: silence about a method would read as a negative answer."""
        text = str(self)
        return f"{text[0].upper()}{text[1:]}. Nothing is known from it: this is no negative result."

    def as_reason(self) -> Reason:
        """As a reason of the decision: a warning, for the series has a result."""
        return Reason(f"{self.method.value}_method", self.why, None, Verdict.WARNING)

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.method.value,
            "model": self.model,
            "rule": self.rule,
            "value": self.value,
            "limit": self.limit,
        }
