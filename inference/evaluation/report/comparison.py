"""The part of a report that compares two models on the same cases."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.evaluation.measures.classification import Cases
from inference.evaluation.measures.delong import Comparison, compare
from inference.evaluation.report.document import Block, Paragraph, Table
from inference.evaluation.report.wording import NONE, figure, with_interval


def comparison_blocks(cases: Cases, others: NDArray[np.float64]) -> list[Block]:
    """Areas of both, and DeLong's paired test. `others`: float64 (cases, classes), the other's
    scores of these cases."""
    text = (
        f"On the {len(cases)} cases that both models could analyse; P by the paired test of DeLong "
        "et al. 1988, two-sided, for each class alone and taking cases for independent."
    )
    rows = tuple(
        (name, *_cells(compare(cases.scores[:, index], others[:, index], cases.truth == index)))
        for index, name in enumerate(cases.classes)
    )
    columns = ("Group", "AUC", "AUC of the other", "Difference", "P")
    return [Paragraph(text), Table(columns, rows)]


def _cells(found: Comparison | None) -> tuple[str, str, str, str]:
    if found is None:
        return NONE, NONE, NONE, NONE
    first, second = figure(found.first), figure(found.second)
    p = "<.001" if found.p < 0.001 else figure(found.p)
    return first, second, with_interval(found.difference, 3), p
