"""The answer in plain words: what stands first in the report and under each picture."""

from __future__ import annotations

from dicomnode.results.common.codes import class_codes
from dicomnode.results.common.context import ResultContext
from dicomnode.results.common.region_text import region_answer, region_details, region_warning
from dicomnode.results.common.view import view_of
from inference.findings import CovnetFindings

RESEARCH_ONLY = "Research only – not for primary diagnosis"
_DIGEST_SHOWN = 16  # hexadecimal digits: enough to tell bundles apart by eye


def summary(context: ResultContext) -> str:
    """The summary of the report, one thing a line, the answer first.

    A warning about the weights stands before the answer: no one shall read a number of an
    untrained network without it. Where both methods ran, their answers stand side by side; of one
    that failed it is said in their place.
    """
    findings = context.findings
    lines = [
        *([findings.model.warning] if findings and findings.model.warning else []),
        *region_warning(context),
        *_answer(context),
        *region_answer(context),
        *(failure.sentence for failure in context.failures),
        f"{RESEARCH_ONLY}.",
        *_basis(context),
        f"Valid for {context.conditions}.",
        *_extent(context),
        f"Completeness: {context.completeness}",
        *_model(context),
        *region_details(context),
        *_replaced(context),
        *(f"Note: {note}" for note in context.notes),
    ]
    return "\n".join(lines)


def _answer(context: ResultContext) -> list[str]:
    if context.findings is None:
        return []
    return [
        f"Most probable: {winner(context.findings)}",
        f"Probabilities: {probabilities(context.findings)}",
    ]


def _basis(context: ResultContext) -> list[str]:
    findings = context.findings
    if findings is None:
        return []
    names = ", ".join(class_codes(name).name for name in findings.class_names)
    return [
        f"Largest share in the decision: {where(context, findings.ranked[0].slice_index)}.",
        f"Class set: {names}; nothing else was looked for.",
    ]


def _extent(context: ResultContext) -> list[str]:
    with_lung = int(context.lung_mask.any(axis=(1, 2)).sum())
    if context.findings is not None:
        with_lung = len(context.findings.activations)
    return [f"Analysed: {with_lung} slices with lung of {len(context.slices)} slices."]


def _model(context: ResultContext) -> list[str]:
    if context.findings is None:
        return []
    model = context.findings.model
    return [f"Model: {model.name} {model.version}, weights {model.weights_sha256[:_DIGEST_SHOWN]}."]


def _replaced(context: ResultContext) -> list[str]:
    if context.predecessor is None:
        return []
    former = context.predecessor
    return [f"Replaces an earlier report ({former.sop_instance_uid}): {former.why}."]


def probabilities(findings: CovnetFindings) -> str:
    """Each class with its probability, in the order of the model."""
    pairs = zip(findings.class_names, findings.probabilities, strict=True)
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


def winner(findings: CovnetFindings) -> str:
    """Name of the class with the highest probability."""
    return class_codes(findings.class_names[findings.winner]).name
