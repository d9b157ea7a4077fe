"""What a picture says in words and boxes: the lines under it, the regions outlined on it."""

from __future__ import annotations

from dicomnode.decisions.method_failure import MethodFailure
from dicomnode.results.common.context import ResultContext
from dicomnode.results.common.findings_text import outcome_line, percent, probabilities
from dicomnode.results.common.key_slices import KeySlice, NumberedRegion
from dicomnode.results.common.score_text import score_text
from dicomnode.results.common.summary import where
from dicomnode.results.pictures.heatmap import THRESHOLD
from dicomnode.results.pictures.outlines import Outline
from inference.findings import Findings

MOST_OUTLINES = 6
"""Boxes on one slice: more would hide it. The surest infections have theirs."""


def outlines_on(context: ResultContext, slice_index: int) -> tuple[Outline, ...]:
    """The boxes of the surest infections on a slice, with their numbers in the report."""
    return tuple(
        Outline(each.number, each.region.box.rows, each.region.box.columns)
        for each in _on_slice(context, slice_index)
    )[:MOST_OUTLINES]


def _on_slice(context: ResultContext, slice_index: int) -> list[NumberedRegion]:
    boxes = ((each, each.region.box.slices) for each in context.regions)
    return [each for each, (start, stop) in boxes if start <= slice_index < stop]


def montage_lines(context: ResultContext, heat: Findings | None) -> tuple[str, ...]:
    """The answers, and what the picture shows. `heat`: whose, one of `context.with_heat`."""
    first = heat or context.outcomes[0]
    others = [each for each in context.outcomes if each is not first]
    lines = [_montage_line(context, each) for each in (first, *others)]
    return lines[0], _legend(heat), *lines[1:]


def _legend(heat: Findings | None) -> str:
    if heat is None:
        return "CT at lung window."
    return (
        f"Largest share in the evidence for {heat.answer.outcome.name} first. Colour: relative"
        f" activation, blue low, red high, none below {THRESHOLD}."
        f" {heat.model.name} {heat.model.version}"
    )


def _montage_line(context: ResultContext, outcome: Findings | MethodFailure) -> str:
    if isinstance(outcome, MethodFailure):
        return _failed(outcome)
    if outcome.regions is None:
        return _probabilities(outcome)
    numbers = [each.number for each in context.regions if each.found is outcome]
    boxes = f"Boxes: its {len(numbers)} infections, {min(numbers, default=0)} the surest. "
    boxes = {0: "", 1: "Box: its one infection. "}.get(len(numbers), boxes)
    return f"{outcome_line(outcome)}. {boxes}{outcome.model.name} {outcome.model.version}"


def panel_lines(context: ResultContext, key: KeySlice, heat: Findings | None) -> tuple[str, ...]:
    """Where the slice lies, then each answer, of regions that of those on this slice.

    `heat`: whose is shown, one of `context.with_heat`; it is named where there are several.
    """
    share = "" if key.activation is None else f", {percent(key.activation.share)} of the evidence"
    whose = f" {heat.title.by}" if heat and share and len(context.with_heat) > 1 else ""
    place = f"{where(context, key.slice_index)}{share}{whose}"
    return place, *(_panel_line(context, each, key.slice_index) for each in context.outcomes)


def _panel_line(context: ResultContext, outcome: Findings | MethodFailure, slice_index: int) -> str:
    if isinstance(outcome, MethodFailure):
        return _failed(outcome)
    if outcome.regions is None:
        return _probabilities(outcome)
    return f"{outcome.title.heading or 'Regions'}: {_named(context, outcome, slice_index)}"


def _named(context: ResultContext, found: Findings, slice_index: int) -> str:
    """The regions on a slice by class, each with its confidence: "COVID-19: 1 (0.87), 3 (0.61)"."""
    here = [each for each in _on_slice(context, slice_index) if each.found is found]
    if not here:
        none = "; none on this slice" if found.infections else ""
        return f"{found.answer.outcome.name}{none}"
    by_class: dict[str, list[str]] = {}
    for each in here[:MOST_OUTLINES]:
        shown = f"{each.number} ({score_text(each.region.vote.confidence)})"
        by_class.setdefault(each.finding_class.name, []).append(shown)
    text = "; ".join(f"{name}: {', '.join(numbers)}" for name, numbers in by_class.items())
    more = len(here) - MOST_OUTLINES
    return text + (f" and {more} more without box" if more > 0 else "")


def _probabilities(found: Findings) -> str:
    heading = f"{found.title.heading}: " if found.title.heading else ""
    return f"{heading}{probabilities(found)}"


def _failed(failure: MethodFailure) -> str:
    return f"The {failure.words} failed: see the report."


def derivation(context: ResultContext) -> str:
    """What was drawn over the CT, and by which models."""
    heat = f"Grad-CAM above {THRESHOLD} in Jet over " if context.with_heat[0] else ""
    boxes = "boxes of candidate regions over " if context.regions else ""
    models = ", ".join(f"{model.name} {model.version}" for model in context.models)
    return f"{heat}{boxes}CT at lung window, {models}"
