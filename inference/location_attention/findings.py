"""The answer of location attention on a case: its infections, or that none was found."""

from __future__ import annotations

from collections.abc import Sequence

from inference.bundles.tasks import IRRELEVANT, NO_INFECTION
from inference.findings import PRIVATE_SCHEME, Answer, FindingClass
from inference.location_attention.votes import CaseVerdict
from inference.score_meaning import ScoreMeaning

_NONE = FindingClass(NO_INFECTION, "NO_INFECTION", PRIVATE_SCHEME, "No infection found", "NONE")


def answer_of(verdict: CaseVerdict, infections: Sequence[FindingClass]) -> Answer:
    """`infections`: the classes but the last, whose regions count for nothing."""
    return Answer(
        classes=tuple(infections),
        scores=verdict.noisy_or,
        meaning=ScoreMeaning.NOISY_OR,
        winner=verdict.class_index,
        none=_NONE,
        irrelevant=IRRELEVANT,
        confidences=verdict.confidences,
    )
