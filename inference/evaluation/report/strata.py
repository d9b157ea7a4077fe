"""Cases by what they were taken with and of whom: scanner, thickness, kernel, sex, age."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEAST_CASES = 5
"""A smaller stratum is named, not measured."""
_LIMITS = {"thickness_mm": (1.0, 2.0, 3.0), "age": (40.0, 60.0, 80.0)}
"""Upper bounds of the bands: thickness up to and with the bound, age below it."""


@dataclass(frozen=True)
class Stratum:
    """`variable`: such as "sex"; `value`: such as "F" or "40 to 59"; `members`: indices of cases,
    none where they are too few to be measured; `cases`: how many there are."""

    variable: str
    value: str
    members: tuple[int, ...]
    cases: int


def strata(known: Sequence[Mapping[str, str]], variables: Sequence[str]) -> tuple[Stratum, ...]:
    """The strata of each variable that is known of any case, in the order of their values.

    `known`: of each case the values of the variables, as far as they are known. Thickness and age
    are put into bands.

    Raises:
        ValueError: they are no numbers.
    """
    found = []
    for variable in variables:
        groups: dict[tuple[float, str], list[int]] = {}
        for index, values in enumerate(known):
            if value := values.get(variable, "").strip():
                groups.setdefault(_band(variable, value), []).append(index)
        for (_, name), members in sorted(groups.items()):
            kept = tuple(members) if len(members) >= LEAST_CASES else ()
            found.append(Stratum(variable, name, kept, len(members)))
    return tuple(found)


def _band(variable: str, value: str) -> tuple[float, str]:
    """Where a value belongs: a key to sort by, and its name."""
    if variable == "thickness_mm":
        limits = _LIMITS[variable]
        place = sum(float(value) > limit for limit in limits)
        names = ("up to 1 mm", "over 1 to 2 mm", "over 2 to 3 mm", "over 3 mm")
        return float(place), names[place]
    if variable == "age":
        place = bisect_right(_LIMITS[variable], float(value))
        return float(place), ("under 40", "40 to 59", "60 to 79", "80 and over")[place]
    return 0.0, value
