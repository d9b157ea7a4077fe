"""Values that differ by no more than rounding are equal, and of equal ones the first is taken.

The same input comes out with other last digits when a library takes another kernel: for another
number of threads, another processor, another shape of a batch. What is chosen by comparing must
not turn on them, or equal slices, which a scan has whenever one was sent twice, share a heatmap by
chance.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

TIE = 1e-5
"""Of float32 through 50 layers, relative. Seen between one and two threads, batches of 1 to 8 and
SSE 4.1, AVX, AVX2: 1.1e-6 for COVNet's averages, 3e-6 for the maps of location attention."""
HALF_TIE = 4e-3
"""The same where the convolutions compute in half precision: eight units of its last digit."""
TIES = {"f32": TIE, "f16": HALF_TIE, "bf16": 8 * HALF_TIE}
"""By the precision of the convolutions; bfloat16 has three bits less than half precision."""


def falling(
    values: NDArray[np.float64], most: int | None = None, tie: float = TIE
) -> NDArray[np.intp]:
    """Indices in falling order, at most `most`: each time the first of those that tie for highest.

    `values`: (n,), from 0 to 1, so that `tie` is absolute.
    """
    order = np.argsort(-values, kind="stable")
    taken = np.zeros(len(values), np.bool_)
    near: list[int] = []
    found: list[int] = []
    top = upto = 0
    while top < len(order) and (most is None or len(found) < most):
        if taken[order[top]]:
            top += 1
            continue
        while upto < len(order) and values[order[upto]] >= values[order[top]] - tie:
            heappush(near, int(order[upto]))
            upto += 1
        first = heappop(near)
        taken[first] = True
        found.append(first)
    return np.array(found, np.intp)


def first_of_highest(values: NDArray[np.float64] | tuple[float, ...]) -> int:
    """Index of the first of those that tie for the highest value, from 0 to 1; at least one."""
    all_of_them = np.asarray(values)
    return int((all_of_them >= all_of_them.max() - TIE).argmax())
