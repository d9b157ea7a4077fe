"""The second method's answer for a person, from what the queue keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def region_lines(regions: Mapping[str, Any] | None, agreement: str | None) -> list[str]:
    """Warning, outcome, scores and agreement, a line each; none where there was no search."""
    if regions is None:
        return []
    warning = regions["model"]["warning"]
    scores = ", ".join(f"{name} {value:.2f}" for name, value in regions["noisy_or"].items())
    number = len(regions["candidates"])
    return [
        *([f"regions: {warning}"] if warning else []),
        f"by regions: {regions['outcome']}; {regions['infections']} of {number} candidates",
        f"noisy-or (no probability of a disease): {scores}",
        *([agreement] if agreement else []),
    ]
