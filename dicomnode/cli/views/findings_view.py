"""The methods' answers for a person, from what the queue keeps of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dicomnode.decisions.method_failure import MethodFailure
from dicomnode.results.common.score_text import score_text
from inference.score_meaning import ScoreMeaning


def findings_lines(
    findings: Sequence[Mapping[str, Any]],
    failures: Sequence[Mapping[str, Any]],
    agreement: str | None,
) -> list[str]:
    """The lines of each method, then why others failed, then what the answers come to together.

    `findings`: as `findings_json` gives them. Probabilities stand before what methods that look
    for regions say.
    """
    by_regions = [each for each in findings if each["meaning"] == ScoreMeaning.NOISY_OR]
    whole = [each for each in findings if each not in by_regions]
    return [
        *(line for each in whole for line in _classification_lines(each)),
        *failure_lines(failures),
        *(line for each in by_regions for line in _region_lines(each)),
        *([agreement] if agreement else []),
    ]


def failure_lines(failures: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each method that failed, with why; what others say stands."""
    return [MethodFailure.from_json(each).sentence for each in failures]


def _classification_lines(found: Mapping[str, Any]) -> list[str]:
    """Warning, then a line for each class."""
    qualifier = f" {found['qualifier']}" if found["qualifier"] else ""
    scores = found["scores"].items()
    return [
        *_of_model(found),
        *(f"{name}{qualifier}: {100 * value:.1f} %" for name, value in scores),
    ]


def _region_lines(found: Mapping[str, Any]) -> list[str]:
    """Warning, outcome and scores, a line each."""
    scores = ", ".join(f"{name} {score_text(value)}" for name, value in found["scores"].items())
    of = ""
    if "candidates" in found:
        of = f"; {found['infections']} of {len(found['candidates'])} candidates"
    return [
        *_of_model(found),
        f"{found['qualifier'] or 'outcome'}: {found['outcome']}{of}",
        f"noisy-or (no probability of a disease): {scores}",
    ]


def _of_model(found: Mapping[str, Any]) -> list[str]:
    """What must be said of it, and the precision where it is not the reference's."""
    model, qualifier = found["model"], found["qualifier"]
    of = f"{qualifier.removeprefix('by ')}: " if qualifier else ""
    precision = f"computed in {model['precision']}" if "precision" in model else ""
    return [f"{of}{each}" for each in (model["warning"], precision) if each]
