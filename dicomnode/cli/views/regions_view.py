"""The second method's answer for a person, from what the queue keeps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dicomnode.decisions.method_failure import Method, MethodFailure
from dicomnode.results.common.score_text import score_text


def failure_lines(failures: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each method that failed, with why; the other one's answer stands."""
    return [MethodFailure(Method(each["method"]), *_told(each)).sentence for each in failures]


def _told(failure: Mapping[str, Any]) -> tuple[str, str, str, str | None]:
    return failure["model"], failure["rule"], failure["value"], failure["limit"]


def region_lines(regions: Mapping[str, Any] | None, agreement: str | None) -> list[str]:
    """Warning, outcome, scores and agreement, a line each; none where there was no search."""
    if regions is None:
        return []
    warning = regions["model"]["warning"]
    scores = ", ".join(f"{name} {score_text(value)}" for name, value in regions["noisy_or"].items())
    number = len(regions["candidates"])
    return [
        *([f"regions: {warning}"] if warning else []),
        f"by regions: {regions['outcome']}; {regions['infections']} of {number} candidates",
        f"noisy-or (no probability of a disease): {scores}",
        *([agreement] if agreement else []),
    ]
