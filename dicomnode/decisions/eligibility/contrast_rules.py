"""The rules of eligibility about contrast: each witness, and the decision from them.

From headers alone there are two witnesses. Once the pixels are read `judge_contrast` decides again
with the third.
"""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.decisions.contrast.contrast import ContrastWitness, attribute_witness
from dicomnode.decisions.contrast.decision import ContrastDecision, decide_contrast
from dicomnode.decisions.contrast.text import text_witness
from dicomnode.decisions.eligibility.candidate import Candidate, EligibilityPolicy
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.reasons import Reason


def judge_contrast(
    headers: Sequence[InstanceHeader],
    policy: EligibilityPolicy,
    pixels: ContrastWitness | None = None,
) -> ContrastDecision:
    """The decision on the slices of one stack; `pixels` is None before they are read."""
    return decide_contrast(
        attribute_witness(headers),
        text_witness(headers),
        pixels,
        policy.contrast_policy,
        allow_contrast=policy.allow_contrast,
    )


def contrast_attributes(series: Candidate) -> Reason:
    return judge_contrast(series.slices, series.policy).reasons[0]


def contrast_text(series: Candidate) -> Reason:
    return judge_contrast(series.slices, series.policy).reasons[1]


def contrast(series: Candidate) -> Reason:
    return judge_contrast(series.slices, series.policy).final
