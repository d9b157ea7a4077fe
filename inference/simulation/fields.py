"""Values on a lattice in millimetres, and smooth random fields made of them.

All lengths are in mm along the patient's axes (slices to the head, rows to the back, columns to the
left), so that a field does not depend on the spacing of the volume that it is drawn on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Vector = NDArray[np.float64]
"""A position or direction (z, y, x) in mm."""

_UNIT = 3.0
"""Cubic B-splines of independent numbers vary by a third as much as those numbers."""
_MOST = 40
"""Numbers along an axis of a random field; a longer one repeats after so many half waves."""


class Points(NamedTuple):
    """The points of a grid by their positions (mm) along each of its axes."""

    z: Vector
    y: Vector
    x: Vector

    @property
    def shape(self) -> tuple[int, int, int]:
        """Points along each axis."""
        return len(self.z), len(self.y), len(self.x)

    def offsets(self, centre: Vector) -> tuple[Values, Values, Values]:
        """Distances from `centre` by axis, shaped so that they broadcast to the grid."""
        z, y, x = (np.asarray(a - c, np.float32) for a, c in zip(self, centre, strict=True))
        return z[:, None, None], y[None, :, None], x[None, None, :]


@dataclass(frozen=True, eq=False)
class Lattice:
    """`values`: float32 (slices, rows, columns), the first at `origin_mm`, `step_mm` apart.

    Linear between them, and beyond the edge the edge goes on; or, where `periodic`, by cubic
    B-splines, and beyond the edge they begin anew.
    """

    values: Values
    origin_mm: Vector
    step_mm: Vector
    periodic: bool = False

    def at(self, points: Points) -> Values:
        """The values at the points of a grid: float32, of its shape."""
        values = self.values
        for axis in (2, 1, 0):  # slices last: whole planes are the quickest to add
            where = (points[axis] - self.origin_mm[axis]) / self.step_mm[axis]
            values = _along(values, axis, where, self.periodic)
        return values


def _along(values: Values, axis: int, where: Vector, periodic: bool) -> Values:
    """Sums over neighbours along one axis: the same on any number of threads."""
    low = np.floor(where)
    weights = _cubic(where - low) if periodic else _linear(where - low)
    lengths = list(values.shape)
    lengths[axis] = len(where)
    total = np.zeros(lengths, np.float32)
    shape = [1, 1, 1]
    shape[axis] = len(where)
    first = low.astype(np.intp) - (1 if periodic else 0)
    for number, weight in enumerate(weights):
        part = values.take(first + number, axis=axis, mode="wrap" if periodic else "clip")
        part *= weight.astype(np.float32).reshape(shape)
        total += part
    return total


def _linear(t: Vector) -> list[Vector]:
    return [1 - t, t]


def _cubic(t: Vector) -> list[Vector]:
    """Weights of the uniform cubic B-spline."""
    return [
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    ]


def random_field(
    rng: np.random.Generator, low_mm: Vector, high_mm: Vector, wavelength_mm: float
) -> Lattice:
    """A field of mean 0 and standard deviation about 1 whose waves are about so long.

    What is drawn depends on the box and the wavelength in mm alone.
    """
    step = wavelength_mm / 2
    sizes = np.minimum(np.ceil((high_mm - low_mm) / step).astype(int) + 4, _MOST)
    values = rng.standard_normal(tuple(sizes), np.float32) * np.float32(_UNIT)
    return Lattice(values, low_mm - step, np.full(3, step), periodic=True)
