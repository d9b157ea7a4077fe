"""A series parted into its stacks: localizer and scan, phases, kernels, scans that overlap.

A series is whatever a scanner or a workstation sent under one UID (PS3.3 A.1.2.3): often more than
one stack of slices. Some attributes never differ within one stack (`ALWAYS`). Others may, as
Acquisition Number does from rotation to rotation; they part slices only where the slices
do not lie evenly as they are (`IF_UNEVEN`), or where two passes are mixed (`passes_in_turn`). What
then still shares positions is parted by rank. Acquisitions of one scan that overlap are joined
again where their pixels agree.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.stack.attributes import ALWAYS, IF_UNEVEN, Attribute, Value
from dicomnode.decisions.stack.geometry import (
    GAP_FACTOR,
    SAME_POSITION_MM,
    SliceStack,
    number_key,
    sort_slices,
)
from dicomnode.decisions.stack.overlaps import (
    NOT_COMPARED,
    Pair,
    groups_that_agree,
    join,
    pairs_to_compare,
)
from dicomnode.decisions.stack.passes import FEWEST_OF_A_SCAN, Passes, passes_in_turn
from dicomnode.decisions.wording import how_many

OVERLAP_FACTOR = 0.75
"""Slices nearer than this share of the usual distance come from two scans that overlap: half a
slice apart, mostly."""

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class StackOfSeries:
    """One stack, and what tells it apart from the others of its series; () when it is alone."""

    stack: SliceStack
    told_apart_by: tuple[str, ...] = ()
    joined: bool = False  # of acquisitions that overlap

    @property
    def name(self) -> str:
        slices = how_many(len(self.stack.headers), "slice")
        return f"{', '.join(self.told_apart_by)} ({slices})" if self.told_apart_by else slices


def stacks_of(
    headers: Iterable[InstanceHeader], differences: Mapping[Pair, float] = NOT_COMPARED
) -> tuple[StackOfSeries, ...]:
    """The stacks of one series, the longest first; the same for any order of `headers`.

    `differences`: of the slices that `slices_to_compare` names, HU. Every header is in exactly one
    of the stacks, but for those at a place that an acquisition which overlaps has as well. No
    headers are one stack of nothing.
    """
    found = [each for parts in _parts(headers) for each in _joined(parts, differences)]
    return tuple(sorted(found, key=_longest_first))


def slices_to_compare(headers: Iterable[InstanceHeader]) -> tuple[Pair, ...]:
    """Slices at the same place in acquisitions that overlap, whose pixels decide on joining."""
    parts = [[each.stack for each in _even_ones(stacks)] for stacks in _parts(headers)]
    return tuple(pair for stacks in parts for pair in pairs_to_compare(stacks))


def _parts(headers: Iterable[InstanceHeader]) -> list[list[StackOfSeries]]:
    """The stacks, those that differ in nothing of `ALWAYS` together."""
    parts = [StackOfSeries(sort_slices(headers))]
    for attribute in ALWAYS:
        parts = [smaller for part in parts for smaller in _parted(part, attribute)]
    return [sorted(_even(part), key=_longest_first) for part in parts]


def _even_ones(parts: Sequence[StackOfSeries]) -> list[StackOfSeries]:
    return [part for part in parts if _may_be_joined(part.stack)]


def _may_be_joined(stack: SliceStack) -> bool:
    return len(stack.headers) >= FEWEST_OF_A_SCAN and lies_evenly(stack)


def _joined(
    parts: Sequence[StackOfSeries], differences: Mapping[Pair, float]
) -> list[StackOfSeries]:
    """Acquisitions of one scan that overlap made one, where that lies evenly as well."""
    even = _even_ones(parts)
    found = [part for part in parts if not _may_be_joined(part.stack)]
    for group in groups_that_agree([part.stack for part in even], differences):
        members = [even[index] for index in group]
        stack = join([part.stack for part in members])
        if len(members) > 1 and _is_one_scan(stack):
            names = " and ".join(part.name for part in members)
            found.append(StackOfSeries(stack, (f"{names} joined",), joined=True))
        else:
            found += members
    return found


def lies_evenly(stack: SliceStack) -> bool:
    """No two slices at one position, none missing, none between the others."""
    usual = stack.slice_spacing_mm
    if usual is None:
        return False
    nearest, widest = min(stack.spacings_mm), max(stack.spacings_mm)
    return nearest >= OVERLAP_FACTOR * usual and widest <= GAP_FACTOR * usual


def _longest_first(part: StackOfSeries) -> tuple[int, tuple[str, ...], list[object]]:
    headers = part.stack.headers
    return (-len(headers), part.told_apart_by, [number_key(h) for h in headers])


def _even(part: StackOfSeries) -> list[StackOfSeries]:
    """Parted until each stack is one pass that lies evenly, or nothing parts it any more."""
    stack = part.stack
    mixed = passes_in_turn(stack)
    uneven = bool(stack.spacings_mm) and not lies_evenly(stack)
    if not (mixed or uneven):
        return [part]
    ways = [_parted(part, attribute) for attribute in IF_UNEVEN] if uneven else []
    ways += [_by_passes(part, passes) for passes in mixed]
    gains = [_longest_even(way) if len(way) > 1 else 0 for way in ways]
    if max(gains) >= FEWEST_OF_A_SCAN:
        best = ways[gains.index(max(gains))]
        return [smaller for one in best for smaller in _even(one)]
    return _by_rank(part)


def _longest_even(parts: Sequence[StackOfSeries]) -> int:
    return max((len(p.stack.headers) for p in parts if _is_one_scan(p.stack)), default=0)


def _is_one_scan(stack: SliceStack) -> bool:
    return lies_evenly(stack) and not passes_in_turn(stack)


def _by_passes(part: StackOfSeries, passes: Passes) -> list[StackOfSeries]:
    groups: dict[Value, list[InstanceHeader]] = defaultdict(list)
    for label, header in zip(passes.labels, part.stack.headers, strict=True):
        groups[label].append(header)
    return _named(part, groups, passes.name, passes.show)


def _parted(part: StackOfSeries, attribute: Attribute) -> list[StackOfSeries]:
    """By the values of one attribute; the part itself where there is only one."""
    groups = _groups(part.stack.headers, attribute)
    return [part] if len(groups) < 2 else _named(part, groups, attribute.name, attribute.show)


def _named(
    part: StackOfSeries,
    groups: dict[Value, list[InstanceHeader]],
    name: str,
    show: Callable[[Value], str],
) -> list[StackOfSeries]:
    return [
        StackOfSeries(sort_slices(headers), (*part.told_apart_by, _label(name, show, value)))
        for value, headers in groups.items()
    ]


def _groups(
    headers: Sequence[InstanceHeader], attribute: Attribute
) -> dict[Value, list[InstanceHeader]]:
    """Headers by value; near values go to the commonest of them."""
    counts = Counter(attribute.read(h) for h in headers)
    untold = counts.pop(None, 0)
    chosen: dict[Value, Value] = {}
    for value in sorted(counts, key=lambda v: (-counts[v], repr(v))):
        near = (c for c in chosen.values() if _near(c, value, attribute.tolerance))
        chosen[value] = next(near, value)
    if untold:
        only_one = attribute in ALWAYS and len(set(chosen.values())) == 1
        chosen[None] = next(iter(chosen.values())) if only_one else None
    groups: dict[Value, list[InstanceHeader]] = defaultdict(list)
    for header in headers:
        groups[chosen[attribute.read(header)]].append(header)
    return groups


def _near(a: Value, b: Value, tolerance: float) -> bool:
    if not tolerance:
        return a == b
    return all(abs(x - y) <= tolerance for x, y in zip(_numbers(a), _numbers(b), strict=True))


def _numbers(value: Value) -> Numbers:
    return value if isinstance(value, tuple) else (float(str(value)),)


def _label(name: str, show: Callable[[Value], str], value: Value) -> str:
    return f"{name} {'absent' if value is None else show(value)}".strip()


def _by_rank(part: StackOfSeries) -> list[StackOfSeries]:
    """Slices at shared positions, the first of each by Instance Number apart from the second.

    Only where each rank is an even stack whose numbers ascend or descend along it: two scans that
    no attribute tells apart. One slice that is there twice stays where it is, for nobody can say
    which of the two is right; nor can anybody where the numbers are equal or random.
    """
    ranks: dict[int, list[InstanceHeader]] = defaultdict(list)
    rank = 0
    for spacing, header in zip((0.0, *part.stack.spacings_mm), part.stack.headers, strict=True):
        rank = rank + 1 if ranks and spacing <= SAME_POSITION_MM else 1
        ranks[rank].append(header)
    stacks = [sort_slices(headers) for headers in ranks.values()]
    fewest = min((len(stack.headers) for stack in stacks), default=0)
    two_scans = _numbers_differ(part.stack) and all(map(_is_numbered_scan, stacks))
    if len(stacks) < 2 or fewest < FEWEST_OF_A_SCAN or not two_scans:
        return [part]
    return [
        StackOfSeries(stack, (*part.told_apart_by, f"{rank} of {len(stacks)} at each position"))
        for rank, stack in zip(ranks, stacks, strict=True)
    ]


def _numbers_differ(stack: SliceStack) -> bool:
    numbers = {header.instance_number for header in stack.headers}
    return None not in numbers and len(numbers) == len(stack.headers)


def _is_numbered_scan(stack: SliceStack) -> bool:
    numbers = [header.instance_number for header in stack.headers]
    steps = [b - a for a, b in pairwise(numbers) if a is not None and b is not None]
    one_way = all(step > 0 for step in steps) or all(step < 0 for step in steps)
    return one_way and _is_one_scan(stack)
