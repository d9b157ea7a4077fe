"""The answer in plain words: what stands first in the report and under each picture."""

from __future__ import annotations

from dicomnode.results.codes import class_codes
from dicomnode.results.context import ResultContext
from dicomnode.results.region_text import region_answer, region_details, region_warning
from dicomnode.results.view import view_of

RESEARCH_ONLY = "Research only – not for primary diagnosis"
_DIGEST_SHOWN = 16  # hexadecimal digits: enough to tell bundles apart by eye


def summary(context: ResultContext) -> str:
    """The summary of the report, one thing a line, the answer first.

    A warning about the weights stands before the answer: no one shall read a number of an
    untrained network without it. Where both methods ran, their answers stand side by side.
    """
    model = context.findings.model
    warning = [model.warning] if model.warning else []
    lines = [
        *warning,
        *region_warning(context),
        f"Most probable: {winner(context)}",
        f"Probabilities: {probabilities(context)}",
        *region_answer(context),
        f"{RESEARCH_ONLY}.",
        f"Largest share in the decision: {where(context, context.key_slices[0].slice_index)}.",
        f"Class set: {_class_set(context)}; nothing else was looked for.",
        f"Valid for {context.conditions}.",
        f"Analysed: {len(context.findings.activations)} slices with lung"
        f" of {len(context.slices)} slices.",
        f"Completeness: {context.completeness}",
        f"Model: {model.name} {model.version}, weights {model.weights_sha256[:_DIGEST_SHOWN]}.",
        *region_details(context),
        *_replaced(context),
        *(f"Note: {note}" for note in context.notes),
    ]
    return "\n".join(lines)


def _replaced(context: ResultContext) -> list[str]:
    if context.predecessor is None:
        return []
    uid = context.predecessor.sop_instance_uid
    return [f"Replaces an earlier report ({uid}): more instances of the series came after it."]


def probabilities(context: ResultContext) -> str:
    """Each class with its probability, in the order of the model."""
    pairs = zip(context.findings.class_names, context.findings.probabilities, strict=True)
    return ", ".join(f"{class_codes(name).name} {percent(p)}" for name, p in pairs)


def percent(fraction: float) -> str:
    return f"{100.0 * fraction:.1f} %"


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


def winner(context: ResultContext) -> str:
    """Name of the class with the highest probability."""
    return class_codes(context.findings.class_names[context.findings.winner]).name


def _class_set(context: ResultContext) -> str:
    return ", ".join(class_codes(name).name for name in context.findings.class_names)
