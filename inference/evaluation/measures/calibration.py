"""Are the probabilities what they say? Calibration curve, Brier score, calibration error.

Own code: the curve of scikit-learn has no counts, which the intervals need, and puts a case on a
bound into the bin below; it has no calibration error; its Brier score is one expression here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.evaluation.measures.estimate import Proportion

Values = NDArray[np.float64]

BINS = 10


@dataclass(frozen=True)
class CalibrationBin:
    """Cases whose probability lies in [low, high), in the last bin [low, high].

    `mean_probability`: theirs; `observed`: how many of them were so.
    """

    low: float
    high: float
    mean_probability: float
    observed: Proportion


def calibration_curve(
    probabilities: Values, outcomes: NDArray[np.bool_], bins: int = BINS
) -> tuple[CalibrationBin, ...]:
    """Bins of equal width over 0 to 1; empty ones are left out.

    Raises:
        ValueError: what is no probability.
    """
    _check(probabilities)
    place = np.minimum((probabilities * bins).astype(np.intp), bins - 1)
    found = []
    for number in np.unique(place).tolist():
        inside = place == number
        observed = Proportion(int(outcomes[inside].sum()), int(inside.sum()))
        mean = float(probabilities[inside].mean())
        found.append(CalibrationBin(number / bins, (number + 1) / bins, mean, observed))
    return tuple(found)


def calibration_error(curve: tuple[CalibrationBin, ...]) -> float:
    """Expected calibration error: gap of each bin, weighted by its cases.

    Guo et al. 2017 ("On Calibration of Modern Neural Networks", equation 3), there of the
    probability of the predicted class. NaN without a case.
    """
    cases = sum(each.observed.total for each in curve)
    gaps = (
        each.observed.total * abs(each.observed.value - each.mean_probability) for each in curve
    )
    return sum(gaps) / cases if cases else float("nan")


def brier(probabilities: Values, truth: NDArray[np.intp]) -> float:
    """Brier 1950 (Monthly Weather Review 78:1), equation 2: 0 at best, 2 at worst.

    `probabilities`: float64 (cases, classes); `truth`: indices (cases,). NaN without a case.
    """
    _check(probabilities)
    if not len(truth):
        return float("nan")
    wanted = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - wanted) ** 2).sum(axis=1).mean())


def _check(probabilities: Values) -> None:
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("not all of these are probabilities")
