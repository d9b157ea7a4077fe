"""Resampling along one axis, a few neighbours for each cell.

Sums over neighbours, not a product with a matrix: those are small here, and a threaded BLAS beside
the threads of torch took twenty times as long on two cores that others used as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Taps:
    """For each cell the neighbours it is made of: `index`, intp, and `weight`, float32, both
    (cells, neighbours)."""

    index: NDArray[np.intp]
    weight: Values

    def down(self, values: Values) -> Values:
        """Rows of `values` (voxels, n) as cells (cells, n)."""
        pairs = zip(self.index.T, self.weight.T, strict=True)
        return _total([values[index] * weight[:, None] for index, weight in pairs])

    def across(self, values: Values) -> Values:
        """Columns of `values` (n, voxels) as cells (n, cells)."""
        pairs = zip(self.index.T, self.weight.T, strict=True)
        return _total([values[:, index] * weight for index, weight in pairs])


def _total(parts: list[Values]) -> Values:
    total, *rest = parts
    for part in rest:
        total += part
    return total


def taps(voxels: int, cells: int, origin: float, step: float) -> Taps:
    """The neighbours that `triangular_weights` gives a weight."""
    weights = triangular_weights(voxels, cells, origin, step)
    most = max(1, int(np.count_nonzero(weights, axis=1).max()))
    first = np.minimum((weights > 0).argmax(axis=1), voxels - most)
    index = first[:, None] + np.arange(most)
    return Taps(index, np.take_along_axis(weights, index, axis=1))


def triangular_weights(voxels: int, cells: int, origin: float, step: float) -> Values:
    """Weights (cells, voxels) of voxels for cells whose centres lie `step` voxels apart.

    `origin`: position of the first cell's centre, as an index of voxels. Linear between voxels
    where the cells are the smaller ones; a triangle as wide as two cells, which keeps out what
    the cells cannot show, where they are the larger. The weights of a cell sum to 1; those of a
    cell whose centre lies outside the voxels are 0.
    """
    centres = origin + step * np.arange(cells)
    apart = abs(centres[:, None] - np.arange(voxels)) / max(step, 1.0)
    weights = np.maximum(1.0 - apart, 0.0)
    weights[(centres < -0.5) | (centres > voxels - 0.5)] = 0.0
    total = weights.sum(axis=1, keepdims=True)
    normal: Values = (weights / np.where(total > 0, total, 1.0)).astype(np.float32)
    return normal
