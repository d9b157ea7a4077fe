"""May we analyse this series? Every rule answers, over all slices; all reasons are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dicomnode.decisions import attribute_rules, stack_rules
from dicomnode.decisions.candidate import Candidate, EligibilityPolicy, candidate
from dicomnode.decisions.geometry import SliceStack
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.reasons import Reason, Verdict

__all__ = ["RULES", "Eligibility", "EligibilityPolicy", "judge_eligibility"]

RULES: tuple[Callable[[Candidate], Reason], ...] = (
    attribute_rules.modality,
    attribute_rules.sop_class,
    attribute_rules.own_result,
    attribute_rules.localizer,
    attribute_rules.image_type,
    attribute_rules.single_frame,
    attribute_rules.contrast,
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


@dataclass(frozen=True)
class Eligibility:
    """The decision: one reason for each rule, and the stack that would be analysed."""

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


def judge_eligibility(headers: Sequence[InstanceHeader], policy: EligibilityPolicy) -> Eligibility:
    """Decides on the headers of all instances of one series; the order of arrival does not matter.

    Never raises for bad data: a value that is missing or unusable is a reason.
    """
    series = candidate(headers, policy)
    reasons = tuple(rule(series) for rule in RULES)
    eligible = all(reason.verdict is not Verdict.FAIL for reason in reasons)
    return Eligibility(eligible, reasons, series.stack)
