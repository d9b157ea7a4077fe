"""How figures are written in a report."""

from __future__ import annotations

import math

from inference.evaluation.measures.estimate import Estimate, Proportion

NONE = "–"
"""Where there is no figure."""


def per_cent(proportion: Proportion) -> str:
    """As in Li et al. 2020, table 3: "90 (114 of 127) [83, 94]"."""
    found = proportion.estimate
    if found is None:
        return NONE
    bounds = f"[{100 * found.low:.0f}, {100 * found.high:.0f}]"
    return f"{100 * found.value:.0f} ({proportion.hits} of {proportion.total}) {bounds}"


def with_interval(estimate: Estimate | None, digits: int = 2) -> str:
    """As the areas in Li et al. 2020, table 3: "0.96 [0.94, 0.99]"."""
    if estimate is None:
        return NONE
    low, high = f"{estimate.low:.{digits}f}", f"{estimate.high:.{digits}f}"
    return f"{estimate.value:.{digits}f} [{low}, {high}]"


def bounds(interval: tuple[float, float] | None, digits: int = 2) -> str:
    """ "[0.94, 0.99]"."""
    if interval is None or not all(map(math.isfinite, interval)):
        return NONE
    return f"[{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"


def figure(value: float, digits: int = 3) -> str:
    """As in the tables of Xu et al. 2020: three places."""
    return f"{value:.{digits}f}" if math.isfinite(value) else NONE
