"""Intervals by the bootstrap over patients, whose scans are not independent of each other.

Percentile bootstrap of clusters (Efron and Tibshirani 1993, chapter 13; Field and Welsh 2007,
JRSS B 69:369): patients are drawn with replacement, each with all scans.
Own code: SciPy's has no interval as soon as one draw does not define a figure, as one without a
case of some class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.evaluation.measures.estimate import CONFIDENCE, Estimate

Values = NDArray[np.float64]
Statistic = Callable[[NDArray[np.intp]], Values]

DRAWS = 1000
LEAST_PATIENTS = 5
"""Fewer cannot stand for others, however often they are drawn."""
_LEAST_DEFINED = 0.5
"""Part of the draws in which a figure must be defined: in some there is no case of a class."""


def enough_patients(patients: Sequence[str]) -> bool:
    """Whether an interval over patients can be had."""
    return len(set(patients)) >= LEAST_PATIENTS


def draw_by_patient(
    patients: Sequence[str], statistic: Statistic, draws: int = DRAWS, seed: int = 0
) -> Values:
    """`statistic` on so many draws: float64 (draws, figures).

    `patients`: whose each case is; `statistic`: from indices of cases, some more than once, to
    figures (k,), NaN where one is not defined.
    """
    _, whose = np.unique(np.asarray(patients), return_inverse=True)
    cases = [np.flatnonzero(whose == patient) for patient in range(int(whose.max()) + 1)]
    random = np.random.Generator(np.random.PCG64(seed))
    drawn = random.integers(0, len(cases), (draws, len(cases)))
    return np.stack([statistic(np.concatenate([cases[i] for i in line])) for line in drawn])


def percentiles(found: Values, confidence: float = CONFIDENCE) -> Values:
    """Bounds (2, figures) of draws (draws, figures); NaN where too few draws define a figure."""
    defined = np.isfinite(found).mean(axis=0) >= _LEAST_DEFINED
    tail = 100 * (1 - confidence) / 2
    bounds = np.full((2, found.shape[1]), math.nan)
    bounds[:, defined] = np.nanpercentile(found[:, defined], [tail, 100 - tail], axis=0)
    return bounds


def mean_estimate(values: Sequence[float], patients: Sequence[str], seed: int = 0) -> Estimate:
    """Mean of one figure a scan; by patients, or by scans where there are too few patients.

    `method` says which.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("the mean of nothing")
    array = np.asarray(values, np.float64)
    by_patient = enough_patients(patients)
    units = patients if by_patient else [str(number) for number in range(len(array))]
    found = draw_by_patient(units, lambda some: array[some].mean(keepdims=True), DRAWS, seed)
    low, high = percentiles(found)[:, 0]
    mean = float(array.mean())
    method = f"bootstrap over {'patients' if by_patient else 'scans'}"
    return Estimate(mean, min(float(low), mean), max(float(high), mean), len(array), method)


def mean_of_known(values: Sequence[float], patients: Sequence[str]) -> Estimate | None:
    """`mean_estimate` of the values that are numbers; None where none is."""
    known = [pair for pair in zip(values, patients, strict=True) if math.isfinite(pair[0])]
    if not known:
        return None
    return mean_estimate([value for value, _ in known], [patient for _, patient in known])
