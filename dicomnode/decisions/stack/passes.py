"""Slices of two passes or phases in one stack: told by labels that come in turn along it.

Breathed in and breathed out, half a slice apart, lie as evenly as one scan. In one pass of the
table a label is the same for all, or changes in runs (a rotation, a second of a helix): where it
goes to and fro from slice to slice, two passes are mixed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median

from dicomnode.decisions.stack.attributes import ASCENDING, IN_RUNS, Order, Value
from dicomnode.decisions.stack.geometry import SAME_POSITION_MM, SliceStack

COMES_BACK = 3
"""So often must each of two labels come back: a comment on a few slices is no second pass."""

FEWEST_IN_TURN = 2 * (COMES_BACK + 1)

WITHIN_SLICES = 8
"""What comes back later begins another run: a scan of the liver after that of the chest."""

FEWEST_OF_A_SCAN = 10
"""A part of fewer slices is no scan by itself: one rotation also gives a few even slices."""

_LIKE_THE_OTHERS = 0.25
"""A step that differs by more, as a share of the usual one, leads to another pass."""

_ALIKE = 1.2
"""Distances of which none is more than so many times another."""


@dataclass(frozen=True)
class Passes:
    """What tells the passes of a stack apart, and the label that each slice has, in its order."""

    name: str
    labels: tuple[Value, ...]
    show: Callable[[Value], str] = str


def passes_in_turn(stack: SliceStack) -> tuple[Passes, ...]:
    """All that tell of several passes mixed in the stack; none for a stack that is one pass."""
    if len(stack.spacings_mm) < FEWEST_IN_TURN - 1:
        return ()
    found = [Passes(each.name, tuple(map(each.read, stack.headers)), each.show) for each in IN_RUNS]
    found += [passes for order in ASCENDING for passes in _by_order(order, stack)]
    found += _by_numbers_that_come_again(stack)
    return tuple(passes for passes in found if in_turn(passes.labels))


def in_turn(labels: Sequence[Value]) -> bool:
    """Whether two labels at least come back again and again, each after another."""
    if len(labels) < FEWEST_IN_TURN or len(set(labels)) < 2:
        return False
    last: dict[Value, int] = {}
    back: Counter[Value] = Counter()
    for index, label in enumerate(labels):
        before = last.get(label)
        if before is not None and 1 < index - before <= WITHIN_SLICES:
            back[label] += 1
        last[label] = index
    return sum(times >= COMES_BACK for times in back.values()) >= 2


def _by_order(order: Order, stack: SliceStack) -> list[Passes]:
    """By the pauses, and by where the table turns or begins anew."""
    values = [order.read(header) for header in stack.headers]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return []
    along = tuple(accumulate(stack.spacings_mm, initial=0.0))
    ways = [_by_pauses(known, order.pause), _by_turns(known, along)]
    return [
        Passes(f"pass by {order.name}", tuple(way[value] for value in known))
        for way in ways
        if 1 < len(set(way.values())) <= WITHIN_SLICES
    ]


def _by_numbers_that_come_again(stack: SliceStack) -> list[Passes]:
    """Each pass is numbered from its start, and lies as far from the other everywhere.

    Else nothing tells which of two slices with one number belongs to which pass.
    """
    times: Counter[int] = Counter()
    last: dict[int, tuple[int, float]] = {}
    labels: list[Value] = []
    apart: list[float] = []
    for index, height in enumerate(accumulate(stack.spacings_mm, initial=0.0)):
        number = stack.headers[index].instance_number
        if number is None:
            return []
        before, below = last.get(number, (index, height))
        if index - before > WITHIN_SLICES:
            return []
        apart += [height - below] if before < index else []
        last[number] = (index, height)
        times[number] += 1
        labels.append(times[number])
    alike = bool(apart) and SAME_POSITION_MM < max(apart) <= _ALIKE * min(apart)
    return [Passes("pass by equal Instance Numbers", tuple(labels))] if alike else []


def _by_pauses(values: Sequence[float], pause: float | None) -> dict[float, int]:
    """The number of the pass by value, from 1; all in one where there is no pause."""
    distinct, number = sorted(set(values)), 1
    passes = {distinct[0]: number}
    for before, after in pairwise(distinct):
        number += pause is not None and after - before > pause
        passes[after] = number
    return passes


def _by_turns(values: Sequence[float], along: Sequence[float]) -> dict[float, int]:
    """As `_by_pauses`, a new pass where the slices, in the order of `values`, go another way.

    All in one where a pass is shorter than a scan: then the order tells nothing.
    """
    places: dict[float, list[float]] = defaultdict(list)
    for value, height in zip(values, along, strict=True):
        places[value].append(height)
    ordered = [(value, sum(places[value]) / len(places[value])) for value in sorted(places)]
    runs = _runs_one_way(ordered)
    counts = [sum(len(places[value]) for value, _ in run) for run in runs]
    if min(counts) < FEWEST_OF_A_SCAN:
        return dict.fromkeys(places, 1)
    return {value: n for n, run in enumerate(runs, start=1) for value, _ in run}


def _runs_one_way(ordered: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """(value, height) by value, parted where the heights turn."""
    runs = [[ordered[0]]]
    for each in ordered[1:]:
        run = runs[-1]
        if len(run) > 1 and (run[1][1] > run[0][1]) != (each[1] > run[-1][1]):
            runs.append([run.pop()] if _leaps(run) else [])
            runs[-1].append(each)
        else:
            run.append(each)
    return runs


def _leaps(run: Sequence[tuple[float, float]]) -> bool:
    """Whether the last of a run is further from, or nearer to, the others than these are."""
    steps = [abs(after[1] - before[1]) for before, after in pairwise(run)]
    usual = median(steps)
    return len(steps) > 1 and abs(steps[-1] - usual) > _LIKE_THE_OTHERS * usual
