"""Slices lost so regularly that what is left lies evenly: every second one, or one end.

The positions cannot tell. Spacing Between Slices (0018,0088) says how far apart the scanner made
the slices, and Instance Numbers (0020,0013) count them. An archive may keep every second slice on
purpose: so nothing here is more than a sign.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.stack.geometry import SliceStack, stated_spacing

MOST_LOST = 8
"""At most seven of eight slices are lost; more is an attribute that means something else."""

MOST_NUMBERS_LOST = 4
"""Of Instance Numbers: some count in tens."""

_WHOLE = 0.1
"""A spacing is a whole multiple of another when it is not further from one, as a share of that."""

FEWEST_BEFORE = 10
"""Fewer numbers before the first are those of localizers, in another series."""


@dataclass(frozen=True)
class LostSlices:
    """`said_by`: the attribute. `proven`: the attribute can hardly mean anything else."""

    said_by: str
    value: str
    proven: bool

    def __str__(self) -> str:
        return f"{self.said_by}: {self.value}"


def lost_slices(stack: SliceStack, series: Sequence[InstanceHeader]) -> tuple[LostSlices, ...]:
    """What tells that slices of a stack are missing though it lies evenly.

    `series`: all headers of its series; a number that is there in another stack is not lost.
    """
    return (*_by_spacing(stack), *_by_numbers(stack, series))


def _by_spacing(stack: SliceStack) -> Iterable[LostSlices]:
    spacing, stated = stack.slice_spacing_mm, stated_spacing(stack.headers)
    if spacing is None or stated is None:
        return
    times = round(spacing / stated)
    if 2 <= times <= MOST_LOST and abs(spacing / stated - times) <= _WHOLE:
        missing = (len(stack.headers) - 1) * (times - 1)
        value = f"{stated:g} mm, but the slices are {spacing:.4g} mm apart: {missing} missing"
        yield LostSlices("Spacing Between Slices", value, proven=True)


def _by_numbers(stack: SliceStack, series: Sequence[InstanceHeader]) -> Iterable[LostSlices]:
    numbers = sorted(h.instance_number for h in stack.headers if h.instance_number is not None)
    if len(set(numbers)) < len(stack.headers) or len(numbers) < 3:
        return
    first, last = numbers[0], numbers[-1]
    there = {h.instance_number for h in series if h.instance_number is not None}
    step = math.gcd(*(number - first for number in numbers))
    between = any(first < each < last and (each - first) % step for each in there)
    if 2 <= step <= MOST_NUMBERS_LOST and not between:
        value = f"only every {_ORDINAL[step]} from {first} to {last} is there"
        yield LostSlices("Instance Number", value, proven=False)
    unbroken = last - first + 1 == len(numbers) and first == min(there)
    if unbroken and FEWEST_BEFORE < first <= len(numbers):
        yield LostSlices("Instance Number", f"begins at {first}", proven=False)


_ORDINAL = {2: "second", 3: "third", 4: "fourth"}
