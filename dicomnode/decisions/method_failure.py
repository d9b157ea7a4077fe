"""That one of several methods came to no answer on a series, and why; what others say stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dicomnode.decisions.reasons import Reason, Verdict

_FORMER_WORDS = {
    "lungs": "classification of the whole lungs",
    "regions": "search for candidate regions",
}
"""Words of the methods whose failures were kept without any."""


@dataclass(frozen=True)
class MethodFailure:
    """`method`, `words`: the method's key, and what a reader calls it; `model`: name and version
    of its bundle. `rule`: "lungs", "volume", "network_output" or "memory"; `value` and `limit`:
    what was found and asked for, without patient identity."""

    method: str
    words: str
    model: str
    rule: str
    value: str
    limit: str | None = None

    @property
    def why(self) -> str:
        """What was found, and what was asked for where there is a limit."""
        return self.value + (f" (asked for: {self.limit})" if self.limit else "")

    def __str__(self) -> str:
        return f"the {self.words} ({self.model}) failed: {self.why}"

    @property
    def sentence(self) -> str:
        """For the report: silence about a method would read as a negative answer."""
        text = str(self)
        return f"{text[0].upper()}{text[1:]}. Nothing is known from it: this is no negative result."

    def as_reason(self) -> Reason:
        """As a reason of the decision: a warning, for the series has a result."""
        return Reason(f"{self.method}_method", self.why, None, Verdict.WARNING)

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "words": self.words,
            "model": self.model,
            "rule": self.rule,
            "value": self.value,
            "limit": self.limit,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> MethodFailure:
        """What `as_json` gave, now or in an earlier version."""
        former = {"words": _FORMER_WORDS.get(values["method"], values["method"])}
        return cls(**former | dict(values))
