"""The answer in plain words: what stands first in the report and under each picture."""

from __future__ import annotations

from collections.abc import Iterator

from dicomnode.results.common.context import ResultContext, warning_line
from dicomnode.results.common.findings_text import (
    answer_lines,
    class_set_line,
    line_name,
    model_line,
    model_text,
    region_line,
    scores_line,
)
from dicomnode.results.common.key_slices import TOP_REGIONS
from dicomnode.results.common.view import view_of
from inference.findings import Findings
from inference.score_meaning import ScoreMeaning

RESEARCH_ONLY = "Research only – not for primary diagnosis"


def summary(context: ResultContext) -> str:
    """The summary of the report, one thing a line, the answer first.

    A warning about the weights stands before the answer: no one shall read a number of an
    untrained network without it. The answers of the methods stand side by side; of one that
    failed it is said in its place.
    """
    findings, slices = context.findings, len(context.slices)
    lines = [
        *(warning_line(found) for found in findings if found.model.warning),
        *(line for found in findings for line in answer_lines(found)),
        *([context.agreement.sentence] if context.agreement else []),
        *(region_line(each, slices) for each in context.regions[:TOP_REGIONS]),
        *(failure.sentence for failure in context.failures),
        f"{RESEARCH_ONLY}.",
        *(line for found in findings for line in _basis(context, found)),
        f"Valid for {context.conditions}.",
        *_extent(context),
        f"Completeness: {context.completeness}",
        *(line for found in findings for line in _details(found)),
        *_lungs(context),
        *_replaced(context),
        *(f"Note: {note}" for note in context.notes),
    ]
    return "\n".join(lines)


def _basis(context: ResultContext, found: Findings) -> Iterator[str]:
    """Of probabilities: where the decision lies, and between what."""
    if found.answer.meaning is ScoreMeaning.NOISY_OR:
        return
    if found.ranked:
        share = line_name("Largest share in the decision", found)
        yield f"{share}: {where(context, found.ranked[0].slice_index)}."
    yield class_set_line(found)


def _details(found: Findings) -> Iterator[str]:
    """Scores that are no probabilities, with their meaning, and the model."""
    if found.answer.meaning is ScoreMeaning.NOISY_OR:
        yield scores_line(found)
        yield class_set_line(found)
    yield model_line(found)


def _extent(context: ResultContext) -> list[str]:
    heat = context.with_heat[0]
    with_lung = int(context.lung_mask.any(axis=(1, 2)).sum()) if heat is None else len(heat.ranked)
    return [f"Analysed: {with_lung} slices with lung of {len(context.slices)} slices."]


def _lungs(context: ResultContext) -> list[str]:
    """By which network, where it computed in another precision than the reference's."""
    model = context.lungs.model
    return [f"Lungs: {model_text(model)}."] if model and model.otherwise else []


def _replaced(context: ResultContext) -> list[str]:
    if context.predecessor is None:
        return []
    former = context.predecessor
    return [f"Replaces an earlier report ({former.sop_instance_uid}): {former.why}."]


def where(context: ResultContext, index: int) -> str:
    """A slice as a reader finds it: its place in the stack, its number, its position.

    The position is that of Image Position (Patient) along the stack, in LPS mm.
    """
    axis = view_of(context.volume.affine).normal_axis
    position = context.volume.to_lps((index, 0, 0))["xyz".index(axis)]
    source = context.slices[index]
    image = "" if source.instance_number is None else f" (image {source.instance_number})"
    if source.frame_number is not None:
        image = f" (frame {source.frame_number})"
    return f"CT slice {index + 1}/{len(context.slices)}{image}, {axis} {position:.1f} mm"
