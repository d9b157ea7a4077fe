"""How well cases are told into classes: every class against the others, with intervals.

For each figure there are two intervals: the one that the papers print (Wilson, DeLong), which
takes all cases for independent, and the bootstrap over patients, which does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.evaluation.measures.bootstrap import (
    DRAWS,
    draw_by_patient,
    enough_patients,
    percentiles,
)
from inference.evaluation.measures.confusion import ClassCounts, ConfusionMatrix
from inference.evaluation.measures.delong import auc, delong
from inference.evaluation.measures.estimate import Estimate
from inference.evaluation.measures.roc import RocCurve, roc_curve

Values = NDArray[np.float64]
Indices = NDArray[np.intp]

FALSE_POSITIVE_RATES = np.linspace(0, 1, 101)
"""Where the band of a ROC curve is known."""


@dataclass(frozen=True, eq=False)
class Cases:
    """`truth` and `predicted`: class indices (cases,); `scores`: float64 (cases, classes), higher
    for more of the class; `patients`: whose each case is."""

    classes: tuple[str, ...]
    truth: Indices
    predicted: Indices
    scores: Values
    patients: tuple[str, ...]

    def __post_init__(self) -> None:
        cases = len(self.patients)
        if self.scores.shape != (cases, len(self.classes)):
            raise ValueError(f"scores {self.scores.shape} of {cases} cases")
        if self.truth.shape != (cases,) or self.predicted.shape != (cases,):
            raise ValueError(f"{self.truth.shape} truths, {self.predicted.shape} predictions")

    def __len__(self) -> int:
        return len(self.patients)

    @property
    def matrix(self) -> ConfusionMatrix:
        """Truth against prediction."""
        return ConfusionMatrix.of(self.classes, self.truth.tolist(), self.predicted.tolist())

    def some(self, chosen: Sequence[int] | Indices) -> Cases:
        """These cases only."""
        at = np.asarray(chosen, np.intp)
        patients = tuple(self.patients[index] for index in at.tolist())
        return Cases(self.classes, self.truth[at], self.predicted[at], self.scores[at], patients)


@dataclass(frozen=True, eq=False)
class ClassResult:
    """One class against the others. `auc`: None with less than two cases of either kind; `roc`:
    None without cases of both; `by_patient`: bootstrapped intervals by name of the figure;
    `band`: of the curve, float64 (2, len(FALSE_POSITIVE_RATES)), None with too few patients."""

    counts: ClassCounts
    auc: Estimate | None
    roc: RocCurve | None
    by_patient: dict[str, tuple[float, float]]
    band: Values | None


@dataclass(frozen=True, eq=False)
class Classification:
    """`accuracy_by_patient`: bootstrapped; None with too few patients or without draws."""

    cases: Cases
    matrix: ConfusionMatrix
    by_class: tuple[ClassResult, ...]
    accuracy_by_patient: tuple[float, float] | None


def classify(cases: Cases, seed: int = 0, draws: int = DRAWS) -> Classification:
    """All figures of these cases; without `draws` none over patients.

    Raises:
        ValueError: there is no case.
    """
    if not len(cases):
        raise ValueError("no case")
    over_patients = draws > 0 and enough_patients(cases.patients)
    bounds = _bounds(cases, seed, draws) if over_patients else None
    matrix = cases.matrix
    by_class = tuple(
        _class_result(cases, counts, index, None if bounds is None else bounds[0][:, index])
        for index, counts in enumerate(matrix.by_class)
    )
    return Classification(cases, matrix, by_class, None if bounds is None else bounds[1])


_FIGURES = ("sensitivity", "specificity", "precision", "F1", "AUC")
_ROW = len(_FIGURES) + len(FALSE_POSITIVE_RATES)


def _class_result(
    cases: Cases, counts: ClassCounts, index: int, bounds: Values | None
) -> ClassResult:
    """`bounds`: float64 (2, _ROW)."""
    positive = cases.truth == index
    roc = roc_curve(cases.scores[:, index], positive) if 0 < positive.sum() < len(cases) else None
    area = delong(cases.scores[:, index], positive)
    if bounds is None:
        return ClassResult(counts, area, roc, {}, None)
    pairs = zip(_FIGURES, bounds.T.tolist(), strict=False)
    by_patient = {name: (low, high) for name, (low, high) in pairs if math.isfinite(low)}
    band = bounds[:, len(_FIGURES) :]
    return ClassResult(
        counts, area, roc, by_patient, band if roc and np.isfinite(band).all() else None
    )


def _bounds(cases: Cases, seed: int, draws: int) -> tuple[Values, tuple[float, float]]:
    """Bootstrapped bounds of each class (2, classes, _ROW), and of the accuracy."""
    drawn = draw_by_patient(cases.patients, lambda some: _figures(cases.some(some)), draws, seed)
    found = percentiles(drawn)
    low, high = found[:, -1].tolist()
    return found[:, :-1].reshape(2, len(cases.classes), _ROW), (low, high)


def _figures(cases: Cases) -> Values:
    """Of each class the figures and the curve, (classes * _ROW,), then the accuracy."""
    matrix = cases.matrix
    lines = [_class_figures(cases, counts, i) for i, counts in enumerate(matrix.by_class)]
    return np.append(np.concatenate(lines), matrix.accuracy.value)


def _class_figures(cases: Cases, counts: ClassCounts, index: int) -> Values:
    positive, scores = cases.truth == index, cases.scores[:, index]
    curve = np.full(len(FALSE_POSITIVE_RATES), math.nan)
    if 0 < positive.sum() < len(cases):
        curve = roc_curve(scores, positive).sensitivity_at(FALSE_POSITIVE_RATES)
    figures = (
        counts.sensitivity.value,
        counts.specificity.value,
        counts.precision.value,
        counts.f1,
        auc(scores, positive),
    )
    return np.concatenate([figures, curve])
