"""What a picture says in words and boxes: the lines under it, the regions outlined on it."""

from __future__ import annotations

from collections.abc import Iterator

from dicomnode.results.common.codes import class_codes
from dicomnode.results.common.context import ResultContext
from dicomnode.results.common.key_slices import KeySlice
from dicomnode.results.common.region_text import outcome
from dicomnode.results.common.score_text import score_text
from dicomnode.results.common.summary import percent, probabilities, where, winner
from dicomnode.results.pictures.heatmap import THRESHOLD
from dicomnode.results.pictures.outlines import Outline
from inference.location_attention.findings import CandidateRegion, RegionFindings

MOST_OUTLINES = 6
"""Boxes on one slice: more would hide it. The surest infections have theirs."""


def outlines_on(context: ResultContext, slice_index: int) -> tuple[Outline, ...]:
    """The boxes of the surest infections on a slice, with their numbers in the report."""
    return tuple(
        Outline(number, region.box.rows, region.box.columns)
        for number, region in _on_slice(context, slice_index)
    )[:MOST_OUTLINES]


def _on_slice(context: ResultContext, slice_index: int) -> Iterator[tuple[int, CandidateRegion]]:
    infections = context.regions.infections if context.regions else ()
    for number, region in enumerate(infections, start=1):
        start, stop = region.box.slices
        if start <= slice_index < stop:
            yield number, region


def montage_lines(context: ResultContext) -> tuple[str, ...]:
    """The answers, and what the picture shows; a line more where regions were looked for."""
    found = context.findings
    if found is None:
        return _answer(context), "CT at lung window.", *_regions_line(context)
    model = found.model
    legend = (
        f"Largest share in the evidence for {winner(found)} first. Colour: relative activation,"
        f" blue low, red high, none below {THRESHOLD}. {model.name} {model.version}"
    )
    return _answer(context), legend, *_regions_line(context)


def _regions_line(context: ResultContext) -> tuple[str, ...]:
    regions = context.regions
    if regions is None:
        return _regions_failed(context)
    number = len(regions.infections)
    boxes = f"Boxes: its {number} infections, 1 the surest. " if number > 1 else ""
    boxes = "Box: its one infection. " if number == 1 else boxes
    model = f"{regions.model.name} {regions.model.version}"
    return (f"By regions: {outcome(regions)}. {boxes}{model}",)


def panel_lines(context: ResultContext, key: KeySlice) -> tuple[str, ...]:
    """Where the slice lies, the answer, and where regions were looked for those on this slice."""
    share = "" if key.activation is None else f", {percent(key.activation.share)} of the evidence"
    place = f"{where(context, key.slice_index)}{share}"
    if context.regions is None:
        return place, _answer(context), *_regions_failed(context)
    named = _named(context, context.regions, key.slice_index)
    return place, _answer(context), f"Regions: {named}"


def _named(context: ResultContext, regions: RegionFindings, slice_index: int) -> str:
    """The regions on a slice by class, each with its confidence: "COVID-19: 1 (0.87), 3 (0.61)"."""
    here = list(_on_slice(context, slice_index))
    if not here:
        return f"{outcome(regions)}; none on this slice" if regions.infections else outcome(regions)
    by_class: dict[str, list[str]] = {}
    for number, each in here[:MOST_OUTLINES]:
        name = class_codes(regions.class_names[each.vote.class_index]).name
        by_class.setdefault(name, []).append(f"{number} ({score_text(each.vote.confidence)})")
    told = "; ".join(f"{name}: {', '.join(numbers)}" for name, numbers in by_class.items())
    more = len(here) - MOST_OUTLINES
    return told + (f" and {more} more without box" if more > 0 else "")


def _answer(context: ResultContext) -> str:
    if context.findings is None:
        return "The classification of the whole lungs failed: see the report."
    return probabilities(context.findings)


def _regions_failed(context: ResultContext) -> tuple[str, ...]:
    """Nothing where no regions were to be looked for."""
    if not context.failures:
        return ()
    return ("The search for candidate regions failed: see the report.",)


def derivation(context: ResultContext) -> str:
    """What was drawn over the CT, and by which models."""
    found, regions = context.findings, context.regions
    heat = f"Grad-CAM above {THRESHOLD} in Jet over " if found else ""
    boxes = "boxes of candidate regions over " if regions and regions.infections else ""
    models = ", ".join(f"{model.name} {model.version}" for model in context.models)
    return f"{heat}{boxes}CT at lung window, {models}"
