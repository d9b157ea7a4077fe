"""A series parted into its stacks: localizer and scan, phases, kernels, scans that overlap.

A series is whatever a scanner or a workstation sent under one UID (PS3.3 A.1.2.3): often more than
one stack of slices. Some attributes never differ within one stack (`ALWAYS`). Others may, as
Acquisition Number does from rotation to rotation; they part slices only where the slices
do not lie evenly as they are (`IF_UNEVEN`). What then still shares positions is parted by rank.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from dicomnode.decisions.geometry import (
    COSINE_TOLERANCE,
    GAP_FACTOR,
    SAME_PIXEL_SPACING_MM,
    SAME_POSITION_MM,
    SliceStack,
    number_key,
    sort_slices,
)
from dicomnode.decisions.image_kind import image_kind
from dicomnode.decisions.instance_header import InstanceHeader

SAME_THICKNESS_MM = 0.01
"""Slice Thickness is written to 0.01 mm at least."""

OVERLAP_FACTOR = 0.5
"""Slices nearer than half of the usual distance come from two scans that overlap."""

FEWEST_OF_A_SCAN = 10
"""A part of fewer slices is no scan by itself: one rotation also gives a few even slices."""

Numbers = tuple[float, ...]
Value = Hashable


@dataclass(frozen=True)
class Attribute:
    """Something by which stacks are told apart.

    `read` gives None where the slice does not tell. Numbers no further apart than `tolerance` are
    the same. `show` puts a value in words.
    """

    name: str
    read: Callable[[InstanceHeader], Value]
    tolerance: float = 0.0
    show: Callable[[Value], str] = str


@dataclass(frozen=True)
class StackOfSeries:
    """One stack, and what tells it apart from the others of its series; () when it is alone."""

    stack: SliceStack
    told_apart_by: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        count = len(self.stack.headers)
        slices = "1 slice" if count == 1 else f"{count} slices"
        return f"{', '.join(self.told_apart_by)} ({slices})" if self.told_apart_by else slices


def _joined(separator: str, unit: str = "") -> Callable[[Value], str]:
    def show(value: Value) -> str:
        parts = value if isinstance(value, tuple) else (value,)
        return separator.join(f"{p:g}" if isinstance(p, float) else str(p) for p in parts) + unit

    return show


def _end_of_uid(value: Value) -> str:
    """UIDs are told apart by their end, and a whole one would drown the sentence."""
    uid = str(value)
    return uid if len(uid) <= 16 else f"…{uid[-12:]}"


_VALUES, _MILLIMETRES = _joined("\\"), _joined("\\", " mm")


def _matrix(header: InstanceHeader) -> Value:
    return None if None in {header.rows, header.columns} else (header.rows, header.columns)


def _in_plane_place(header: InstanceHeader) -> Value:
    """Where the first pixel lies in the plane of the slice, mm to the nearest tenth."""
    position, cosines = header.image_position_patient, header.image_orientation_patient
    if position is None or cosines is None:
        return None
    axes = (cosines[:3], cosines[3:])
    return tuple(round(sum(a * p for a, p in zip(x, position, strict=True)), 1) for x in axes)


ALWAYS: tuple[Attribute, ...] = (
    Attribute("SOP Class", lambda h: h.sop_class_uid or None),
    Attribute("", image_kind),
    Attribute("Frame of Reference", lambda h: h.frame_of_reference_uid or None, 0.0, _end_of_uid),
    Attribute("orientation", lambda h: h.image_orientation_patient, COSINE_TOLERANCE, _VALUES),
    Attribute("matrix", _matrix, 0.0, _joined("x")),
    Attribute("Pixel Spacing", lambda h: h.pixel_spacing, SAME_PIXEL_SPACING_MM, _MILLIMETRES),
    Attribute("Convolution Kernel", lambda h: h.convolution_kernel.upper() or None),
    Attribute("Slice Thickness", lambda h: h.slice_thickness, SAME_THICKNESS_MM, _MILLIMETRES),
)
"""What one stack has one value of. A slice that does not tell goes with the others where these
have one value only, else it is set apart."""

IF_UNEVEN: tuple[Attribute, ...] = (
    Attribute("Acquisition Number", lambda h: h.acquisition_number),
    Attribute("contrast phase", lambda h: h.contrast_phase or None),
    Attribute("Contrast/Bolus Agent", lambda h: h.contrast_bolus_agent or None),
    Attribute("Image Type", lambda h: h.image_type or None, 0.0, _VALUES),
    Attribute("KVP", lambda h: h.kvp, 0.0, _VALUES),
    Attribute("Stack ID", lambda h: h.stack_id or None),
    Attribute("temporal position", lambda h: h.temporal_position or None),
    Attribute("cardiac phase", lambda h: h.cardiac_phase or None),
    Attribute("acquisition time", lambda h: h.acquisition_time or None),
    Attribute("place in the plane", _in_plane_place, 0.0, _MILLIMETRES),
)
"""What a scan has one value of on most scanners. The first that leaves the longest even stack parts
the slices; those that do not tell are set apart."""


def stacks_of(headers: Iterable[InstanceHeader]) -> tuple[StackOfSeries, ...]:
    """The stacks of one series, the longest first; the same for any order of `headers`.

    Every header is in exactly one of them. No headers are one stack of nothing.
    """
    parts = [StackOfSeries(sort_slices(headers))]
    for attribute in ALWAYS:
        parts = [smaller for part in parts for smaller in _parted(part, attribute)]
    found = [smaller for part in parts for smaller in _even(part)]
    return tuple(sorted(found, key=_longest_first))


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
    """Parted until each stack lies evenly, or nothing parts it any more."""
    stack = part.stack
    if not stack.spacings_mm or lies_evenly(stack):
        return [part]
    ways = [_parted(part, attribute) for attribute in IF_UNEVEN]
    gains = [_longest_even(way) if len(way) > 1 else 0 for way in ways]
    if max(gains) >= FEWEST_OF_A_SCAN:
        best = ways[gains.index(max(gains))]
        return [smaller for one in best for smaller in _even(one)]
    return _by_rank(part)


def _longest_even(parts: Sequence[StackOfSeries]) -> int:
    return max((len(p.stack.headers) for p in parts if lies_evenly(p.stack)), default=0)


def _parted(part: StackOfSeries, attribute: Attribute) -> list[StackOfSeries]:
    """By the values of one attribute; the part itself where there is only one."""
    groups = _groups(part.stack.headers, attribute)
    if len(groups) < 2:
        return [part]
    return [
        StackOfSeries(sort_slices(headers), (*part.told_apart_by, _label(attribute, value)))
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


def _label(attribute: Attribute, value: Value) -> str:
    shown = "absent" if value is None else attribute.show(value)
    return f"{attribute.name} {shown}".strip()


def _by_rank(part: StackOfSeries) -> list[StackOfSeries]:
    """Slices at shared positions, the first of each by Instance Number apart from the second.

    Only where each rank is an even stack: two scans that no attribute tells apart. One slice that
    is there twice stays where it is, for nobody can say which of the two is right.
    """
    ranks: dict[int, list[InstanceHeader]] = defaultdict(list)
    rank = 0
    for spacing, header in zip((0.0, *part.stack.spacings_mm), part.stack.headers, strict=True):
        rank = rank + 1 if ranks and spacing <= SAME_POSITION_MM else 1
        ranks[rank].append(header)
    stacks = [sort_slices(headers) for headers in ranks.values()]
    fewest = min((len(stack.headers) for stack in stacks), default=0)
    if len(stacks) < 2 or fewest < FEWEST_OF_A_SCAN or not all(map(lies_evenly, stacks)):
        return [part]
    return [
        StackOfSeries(stack, (*part.told_apart_by, f"{rank} of {len(stacks)} at each position"))
        for rank, stack in zip(ranks, stacks, strict=True)
    ]
