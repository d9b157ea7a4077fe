"""Two ranges of one scan that overlap by some slices: joined where their pixels agree there.

Chest and abdomen are often two acquisitions of one series; each alone is a part of the lungs. The
pixels are compared outside of the decisions, at the places that `pairs_to_compare` names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from types import MappingProxyType

from dicomnode.decisions.contrast.contrast import Contrast, attribute_witness
from dicomnode.decisions.contrast.text import text_witness
from dicomnode.decisions.instance_header import InstanceHeader, SliceKey
from dicomnode.decisions.stack.geometry import SliceStack, heights, places_in_plane, sort_slices

Pair = tuple[SliceKey, SliceKey]

NOT_COMPARED: Mapping[Pair, float] = MappingProxyType({})

SAME_ANATOMY_HU = 30.0
"""Up to such a difference two slices show the same (root mean square of the means of 8 x 8 pixels
within the body). Measured on slices of 5 mm: noise of 60 HU in both 28; moved by one pixel 35; half
a slice further 48."""

MOST_PAIRS = 16
"""So many places, from one end of the overlap to the other, stand for all: each is decoded."""

SAME_PLACE_SHARE = 0.1
"""Slices nearer than this share of their spacing are at one place."""

SAME_PLACE_IN_PLANE_MM = 0.1


def pairs_to_compare(stacks: Sequence[SliceStack]) -> tuple[Pair, ...]:
    """Slices at common places of any two stacks that would make a longer one together."""
    return tuple(pair for a, b in combinations(stacks, 2) for pair in common_places(a, b))


def groups_that_agree(
    stacks: Sequence[SliceStack], differences: Mapping[Pair, float]
) -> list[list[int]]:
    """Indices of the stacks that belong together; a stack alone is a group of one.

    `differences`: HU, of the pairs that were compared. None of a group stay together where two of
    them differ.
    """
    group = list(range(len(stacks)))
    differ = set()
    for a, b in combinations(range(len(stacks)), 2):
        pairs = common_places(stacks[a], stacks[b])
        if pairs and all(differences.get(p, math.inf) <= SAME_ANATOMY_HU for p in pairs):
            group = [group[a] if each == group[b] else each for each in group]
        elif pairs:
            differ.add((a, b))
    apart = {group[a] for a, b in differ if group[a] == group[b]}
    names = [(name, i) if name in apart else (name, -1) for i, name in enumerate(group)]
    return [[i for i, each in enumerate(names) if each == name] for name in dict.fromkeys(names)]


def join(stacks: Sequence[SliceStack]) -> SliceStack:
    """One slice at each place, from the longest stack that has one there."""
    longest, *others = sorted(stacks, key=lambda stack: -len(stack.headers))
    near = SAME_PLACE_SHARE * (longest.slice_spacing_mm or 0.0)
    kept = list(longest.headers)
    for stack in others:
        taken = heights(kept, longest)
        for header, height in zip(stack.headers, heights(stack.headers, longest), strict=True):
            if all(abs(height - each) > near for each in taken):
                kept.append(header)
    return sort_slices(kept)


def common_places(a: SliceStack, b: SliceStack) -> tuple[Pair, ...]:
    """Pairs where the two overlap, at most `MOST_PAIRS`; () where together they are no stack.

    In the stretch that both cover each slice of one must lie at one of the other, and each must
    have slices beyond it.
    """
    spacing = a.slice_spacing_mm
    if spacing is None or not _alike(a, b, spacing):
        return ()
    near = SAME_PLACE_SHARE * spacing
    of_a, of_b = heights(a.headers, a), heights(b.headers, a)
    low, high = max(of_a[0], of_b[0]) - near, min(of_a[-1], of_b[-1]) + near
    in_a = [i for i, height in enumerate(of_a) if low <= height <= high]
    in_b = [i for i, height in enumerate(of_b) if low <= height <= high]
    whole = len(in_a) in {0, len(of_a)} or len(in_b) == len(of_b)
    if whole or len(in_a) != len(in_b):
        return ()
    pairs = list(zip(in_a, in_b, strict=True))
    if any(abs(of_a[i] - of_b[j]) > near for i, j in pairs):
        return ()
    return tuple((a.headers[i].slice_key, b.headers[j].slice_key) for i, j in _spread(pairs))


def _alike(a: SliceStack, b: SliceStack, spacing: float) -> bool:
    """Whether they can be one stack, where the heights allow it."""
    other = b.slice_spacing_mm
    if other is None or abs(other - spacing) > SAME_PLACE_SHARE * spacing:
        return False
    if a.gaps or b.gaps or a.duplicate_count or b.duplicate_count:
        return False
    if _contrast(a.headers) != _contrast(b.headers):
        return False
    places = zip(places_in_plane(a), places_in_plane(b), strict=True)
    return all(abs(x - y) <= SAME_PLACE_IN_PLANE_MM for x, y in places)


def _contrast(headers: Sequence[InstanceHeader]) -> tuple[Contrast, Contrast, set[str]]:
    """A plain range is not joined with one that may make it one with contrast."""
    phases = {header.contrast_phase for header in headers}
    return attribute_witness(headers).verdict, text_witness(headers).verdict, phases


def _spread(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    count = min(len(pairs), MOST_PAIRS)
    return [pairs[round(n * (len(pairs) - 1) / max(count - 1, 1))] for n in range(count)]
