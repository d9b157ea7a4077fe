"""May we analyse this series? Every rule answers, over all slices; all reasons are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dicomnode.decisions.eligibility import (
    attribute_rules,
    contrast_rules,
    patient_rules,
    stack_rules,
)
from dicomnode.decisions.eligibility.candidate import (
    Candidate,
    EligibilityPolicy,
    LeftOut,
    candidates,
)
from dicomnode.decisions.eligibility.study_choice import quality_of, quality_order
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.decisions.stack.geometry import SliceStack, number_key, reaches_beyond_mm
from dicomnode.decisions.stack.overlaps import NOT_COMPARED, Pair
from dicomnode.decisions.stack.stacks import lies_evenly

__all__ = ["RULES", "Eligibility", "EligibilityPolicy", "judge_eligibility"]

RULES: tuple[Callable[[Candidate], Reason], ...] = (
    patient_rules.patient,
    attribute_rules.modality,
    attribute_rules.sop_class,
    attribute_rules.own_result,
    attribute_rules.phantom,
    attribute_rules.localizer,
    stack_rules.stacks,
    stack_rules.one_pass,
    stack_rules.coverage,
    stack_rules.copies,
    attribute_rules.image_type,
    attribute_rules.frames,
    contrast_rules.contrast_attributes,
    contrast_rules.contrast_text,
    contrast_rules.contrast,
    stack_rules.lost_slices,
    stack_rules.slice_thickness,
    stack_rules.slice_spacing,
    stack_rules.slice_count,
    stack_rules.orientation,
    stack_rules.gantry_tilt,
    stack_rules.evenly_spaced,
    stack_rules.frame_of_reference,
    stack_rules.matrix_size,
    stack_rules.pixel_spacing,
    attribute_rules.pixel_data,
    attribute_rules.rescale,
    attribute_rules.header_problems,
)
"""In the order in which a person reads them. The name of a rule is the name of its function."""


_PICTURES = frozenset({"sop_class", "image_type", "localizer"})
"""Rules that slices of a scan pass, whether they can be analysed or not."""


_OF_LENGTH = frozenset({"slice_count", "coverage"})
"""Rules that a short part of a scan fails."""


@dataclass(frozen=True)
class Eligibility:
    """The decision: one reason for each rule, and the stack that would be analysed.

    Of what this product made the one reason is `own_result`.
    """

    eligible: bool
    reasons: tuple[Reason, ...]
    stack: SliceStack

    @property
    def failures(self) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.verdict is Verdict.FAIL)

    def as_json(self) -> dict[str, Any]:
        return {
            "eligible": self.eligible,
            "reasons": [reason.as_json() for reason in self.reasons],
        }


def judge_eligibility(
    headers: Sequence[InstanceHeader],
    policy: EligibilityPolicy,
    differences: Mapping[Pair, float] = NOT_COMPARED,
) -> Eligibility:
    """Decides on the headers of all instances of one series; the order of arrival does not matter.

    Each stack of the series is judged. The best of those that pass every rule is analysed, or, when
    none passes, the one that most looks like a scan is told of; `quality_order` says which is
    best. `differences`: of the slices that `overlapping_slices` names, HU; acquisitions that
    overlap are joined by them. Never raises for bad data: a value that is missing or unusable is a
    reason.
    """
    ranked = sorted(map(_judge, candidates(headers, policy, differences)), key=_preference)
    best, others = ranked[0], ranked[1:]
    if others:
        left_out = tuple(_left_out(each, best.series.stack) for each in others)
        best = _judge(replace(best.series, left_out=left_out))
    return Eligibility(not best.failed, best.reasons, best.series.stack)


@dataclass(frozen=True)
class _Judged:
    series: Candidate
    reasons: tuple[Reason, ...]

    @property
    def failed(self) -> list[str]:
        return [reason.rule for reason in self.reasons if reason.verdict is Verdict.FAIL]


def _judge(series: Candidate) -> _Judged:
    """What this product made is that, and nothing else is asked of it."""
    own = attribute_rules.own_result(series)
    if own.verdict is Verdict.FAIL:
        return _Judged(series, (own,))
    return _Judged(series, tuple(rule(series) for rule in RULES))


def _preference(judged: _Judged) -> tuple[Any, ...]:
    """The best first. Of stacks that do not pass: slices rather than pictures, then the longest."""
    headers = judged.series.slices
    last = [number_key(header) for header in headers]
    if not judged.failed:
        return (0, quality_order(quality_of(judged.series.stack)), last)
    pictures = len(_PICTURES & set(judged.failed))
    return (1, pictures, -len(headers), len(judged.failed), last)


def _left_out(judged: _Judged, chosen: SliceStack) -> LeftOut:
    stack = judged.series.stack
    scan = not _PICTURES & set(judged.failed) and lies_evenly(stack)
    beyond = reaches_beyond_mm(stack, chosen) if scan else (0.0, 0.0)
    same_scan = scan and set(judged.failed) <= _OF_LENGTH
    return LeftOut(judged.series.name, _why_left_out(judged), beyond, same_scan)


def _why_left_out(judged: _Judged) -> str:
    if judged.failed:
        return f"not fit ({', '.join(judged.failed)})"
    return f"fit too, but not the best: {quality_of(judged.series.stack)}"
