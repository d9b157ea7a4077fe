"""Which slices of a scan are trained on together, and how many.

A maximum over slices rises with their number, so that the numbers drawn cover the range that is
met in use: log-uniform, in one run of neighbours or spread over the scan.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def draw_count(fewest: int, most: int, random: np.random.Generator) -> int:
    """Log-uniform from `fewest` to `most`."""
    drawn = np.exp(random.uniform(np.log(fewest), np.log(most + 1)))
    return min(int(drawn), most)


def draw_slices(
    slices: int,
    count: int,
    random: np.random.Generator,
    telling: Sequence[int] | None = None,
) -> Indices:
    """Indices, rising, of at most `count` of the slices of a scan.

    `telling`: the slices that show what the scan is labelled as; one of them, if there is one, is
    always drawn. None: not known; then the slices are always spread over the scan, as a run of
    neighbours might miss all that the label means.
    """
    count = min(count, slices)
    must = int(random.choice(telling)) if telling is not None and len(telling) else None
    if telling is not None and random.random() < 0.5:
        return _run(slices, count, random, must)
    return _spread(slices, count, random, must)


def _run(slices: int, count: int, random: np.random.Generator, must: int | None) -> Indices:
    """Neighbours."""
    low, high = 0, slices - count
    if must is not None:
        low, high = max(0, must - count + 1), min(high, must)
    return int(random.integers(low, high + 1)) + np.arange(count)


def _spread(slices: int, count: int, random: np.random.Generator, must: int | None) -> Indices:
    """One of each of `count` equal parts."""
    edges = np.linspace(0, slices, count + 1)
    drawn = np.floor(random.uniform(edges[:-1], edges[1:])).astype(np.int64)
    drawn = np.minimum(drawn, slices - 1)
    if must is not None and must not in drawn:
        drawn[abs(drawn - must).argmin()] = must
    return np.unique(drawn)
