"""How far apart the slices of the drawn chest lie."""

from __future__ import annotations

from math import floor

SPACING_MM = 2.5
_LEAST_SPACING_MM = 0.5


def fine_enough(most_mm: float) -> float:
    """In mm, where a node takes no more than that: in hundredths, as it is written into headers."""
    return max(_LEAST_SPACING_MM, min(SPACING_MM, floor(100 * most_mm) / 100))
