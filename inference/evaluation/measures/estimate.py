"""A measured figure with its confidence interval, and the interval of a proportion.

Li et al. 2020 (Radiology 296:E65, table 3) print six proportions with 95 % intervals and do not
name the method. Tried on all six, at the printed precision of 1 %: Wilson, Clopper-Pearson and
Agresti-Coull give all of them; Wilson with continuity correction misses one (291 of 302), mid-P
and Jeffreys miss three, Wald five. Of the three that fit this is Wilson's, whose coverage is
nearest to its level (Newcombe 1998, Statistics in Medicine 17:857; Brown, Cai and DasGupta 2001,
Statistical Science 16:101).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval, `low` to `high`, at level `confidence`.

    `cases`: how many it was measured on; `method`: how the interval was found, in words.
    """

    value: float
    low: float
    high: float
    cases: int
    method: str
    confidence: float = CONFIDENCE


@dataclass(frozen=True)
class Proportion:
    """So many `hits` of `total`, with Wilson's interval as `estimate`."""

    hits: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.total:
            raise ValueError(f"{self.hits} of {self.total} is no proportion")

    @property
    def estimate(self) -> Estimate | None:
        """None of no cases."""
        return wilson(self.hits, self.total) if self.total else None

    @property
    def value(self) -> float:
        """NaN of no cases."""
        return self.hits / self.total if self.total else math.nan


def normal_quantile(confidence: float) -> float:
    """Half-width of the two-sided interval in standard deviations: 1.96 for 0.95."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson(hits: int, total: int, confidence: float = CONFIDENCE) -> Estimate:
    """Wilson's score interval (Wilson 1927, JASA 22:209; Newcombe 1998, method 3), by SciPy.

    Raises:
        ValueError: there are no cases, or more hits than cases.
    """
    from scipy.stats import binomtest  # of the extra `train`

    if not 0 <= hits <= total or total == 0:
        raise ValueError(f"{hits} of {total} is no proportion")
    p, found = hits / total, binomtest(hits, total).proportion_ci(confidence, "wilson")
    # at 0 and at `total` one bound is the value itself, but for rounding
    low, high = min(float(found.low), p), max(float(found.high), p)
    return Estimate(p, low, high, total, "Wilson", confidence)
