"""Area under the ROC curve with the interval of DeLong, DeLong and Clarke-Pearson 1988
(Biometrics 44:837), and their test of two areas on the same cases.

By midranks, in O(n log n): Sun and Xu 2014 (IEEE Signal Processing Letters 21:1389), equations 10
to 12. Own code: neither SciPy nor scikit-learn has it; the midranks are SciPy's.

An area of 1 (or 0) has no variance and an interval without width, which says nothing of what other
cases would show: whoever prints it says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from inference.evaluation.measures.estimate import CONFIDENCE, Estimate, normal_quantile

Scores = NDArray[np.float64]
Outcomes = NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """Two areas on the same cases: `first` less `second`, its interval, and the two-sided P of
    their being equal. `z` and `p` are NaN where the difference has no variance."""

    first: float
    second: float
    difference: Estimate
    z: float
    p: float


def auc(scores: Scores, positive: Outcomes) -> float:
    """Probability that a positive case scores higher than a negative one, ties half.

    NaN without cases of both kinds.

    Raises:
        ValueError: scores that are not finite.
    """
    _check(scores, positive)
    positives = int(np.count_nonzero(positive))
    negatives = len(positive) - positives
    if not positives or not negatives:
        return math.nan
    from scipy.stats import rankdata  # of the extra `train`

    ranks = float(rankdata(scores)[positive].sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def delong(scores: Scores, positive: Outcomes, confidence: float = CONFIDENCE) -> Estimate | None:
    """The area with its interval, normal about the area and cut at 0 and 1.

    None with less than two cases of either kind, which have no variance.

    Raises:
        ValueError: scores that are not finite.
    """
    _check(scores, positive)
    if not _enough(positive):
        return None
    area = auc(scores, positive)
    variance = float(_covariance(scores[None], positive)[0, 0])
    half = normal_quantile(confidence) * math.sqrt(variance)
    low, high = max(0.0, area - half), min(1.0, area + half)
    return Estimate(area, low, high, len(scores), "DeLong", confidence)


def compare(
    first: Scores, second: Scores, positive: Outcomes, confidence: float = CONFIDENCE
) -> Comparison | None:
    """The paired test of two scores of the same cases (DeLong et al. 1988, equation 7).

    None with less than two cases of either kind.
    """
    _check(first, positive)
    _check(second, positive)
    if not _enough(positive):
        return None
    one, two = auc(first, positive), auc(second, positive)
    covariance = _covariance(np.stack([first, second]), positive)
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    deviation = math.sqrt(max(0.0, variance))
    half = normal_quantile(confidence) * deviation
    gap = one - two
    z = gap / deviation if deviation > 1e-12 else math.nan
    p = 2 * NormalDist().cdf(-abs(z)) if deviation > 1e-12 else math.nan
    interval = Estimate(gap, gap - half, gap + half, len(first), "DeLong", confidence)
    return Comparison(one, two, interval, z, p)


def _covariance(scores: Scores, positive: Outcomes) -> Scores:
    """Of the areas of several scores (k, cases): (k, k)."""
    of_positives, of_negatives = zip(*(_placements(row, positive) for row in scores), strict=True)
    covariance: Scores = np.cov(np.stack(of_positives)) / len(of_positives[0])
    covariance = covariance + np.cov(np.stack(of_negatives)) / len(of_negatives[0])
    return np.atleast_2d(covariance)


def _placements(scores: Scores, positive: Outcomes) -> tuple[Scores, Scores]:
    """For each positive the part of the negatives that lie below it, for each negative the part
    of the positives above it: the structural components V10 and V01."""
    from scipy.stats import rankdata  # of the extra `train`

    ranks = rankdata(scores)
    above, below = scores[positive], scores[~positive]
    v10 = (ranks[positive] - rankdata(above)) / len(below)
    v01 = 1 - (ranks[~positive] - rankdata(below)) / len(above)
    return v10, v01


def _enough(positive: Outcomes) -> bool:
    positives = int(np.count_nonzero(positive))
    return min(positives, len(positive) - positives) >= 2


def _check(scores: Scores, positive: Outcomes) -> None:
    if scores.ndim != 1 or scores.shape != positive.shape:
        raise ValueError(f"scores {scores.shape} for outcomes {positive.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("scores are not all finite")
