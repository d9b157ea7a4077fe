"""Positions that were rounded when they were written: evenly spaced before, uneven since.

Slices every 0.625 mm with positions of one decimal lie 0.6 and 0.7 mm apart. An even row of places
must explain every position within the rounding; a missing slice cannot be explained so.
"""

from __future__ import annotations

from collections.abc import Sequence

UNITS_MM = (1.0, 0.5, 0.1, 0.01)
"""What positions are rounded to. Finer rounding leaves no trace that matters."""

_EXACT_MM = 1e-4
"""Values of 32 bits, and sums of decimals, are off by less."""

WIDEST_SHARE = 0.45
"""Of the slice spacing: rounded more coarsely, a missing slice would look like rounding."""

WIDEST_STATED_SHARE = 0.9
"""The same where Spacing Between Slices and the number of slices make the length of the stack."""


def rounding_unit(values: Sequence[float]) -> float:
    """The coarsest of `UNITS_MM` that all values are multiples of; 0 where none is, or all are
    the same.
    """
    if not values or max(values) - min(values) <= _EXACT_MM:
        return 0.0
    fitting = (u for u in UNITS_MM if all(abs(v - u * round(v / u)) <= _EXACT_MM for v in values))
    return next(fitting, 0.0)


def before_rounding(
    distances: Sequence[float], unit: float, stated_spacing: float | None
) -> Sequence[float]:
    """Ascending distances (mm) as they were before they were rounded to multiples of `unit`.

    They stay as they are where no even row of places explains them.
    """
    steps = len(distances) - 1
    length = distances[-1] - distances[0] if distances else 0.0
    if steps < 2 or unit <= 0 or _width(distances, length / steps) <= _EXACT_MM:
        return distances
    stated = stated_spacing is not None and abs(length - steps * stated_spacing) <= unit
    if unit > (WIDEST_STATED_SHARE if stated else WIDEST_SHARE) * length / steps:
        return distances
    spacing = _evenest(distances, length / steps, 2 * unit / steps)
    low, high = _errors(distances, spacing)
    if high - low > unit + _EXACT_MM:
        return distances
    return [(low + high) / 2 + spacing * i for i in range(len(distances))]


def _evenest(distances: Sequence[float], spacing: float, within: float) -> float:
    """The spacing that leaves the narrowest errors: their width is a convex function of it."""
    low, high = spacing - within, spacing + within
    for _ in range(40):
        third = (high - low) / 3
        if _width(distances, low + third) <= _width(distances, high - third):
            high -= third
        else:
            low += third
    return (low + high) / 2


def _width(distances: Sequence[float], spacing: float) -> float:
    low, high = _errors(distances, spacing)
    return high - low


def _errors(distances: Sequence[float], spacing: float) -> tuple[float, float]:
    errors = [distance - spacing * i for i, distance in enumerate(distances)]
    return min(errors), max(errors)
