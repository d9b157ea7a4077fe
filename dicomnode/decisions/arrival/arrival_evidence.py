"""What the PACS, the slices and the headers say about whether a series is all here.

Each witness gives one `Evidence`: who said it, what, and how much it weighs. `completeness` draws
the conclusion from all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.stack.geometry import SliceStack, StackProblem
from dicomnode.decisions.stack.lost_slices import LostSlices, lost_slices
from dicomnode.decisions.wording import how_many
from storage.decided import Witness


class Source(StrEnum):
    """Who bears witness; also what closed a series."""

    ASSOCIATION = "association"
    PACS_COUNT = "pacs_count"
    SLICES = "slices"
    HEADER_COUNT = "header_count"
    QUIET_PERIOD = "quiet_period"
    TIME_OUT = "incomplete_after"


class Weight(StrEnum):
    PROVES = "proves"  # all is here
    SUPPORTS = "supports"  # nothing seems to be missing; no proof by itself
    NEUTRAL = "neutral"
    DOUBTS = "doubts"  # something may be missing
    CONTRADICTS = "contradicts"  # something is missing


@dataclass(frozen=True)
class Evidence:
    """`said_by` is a peer's configured name, or an attribute; `value` is without identity."""

    source: Source
    said_by: str
    value: str
    weight: Weight

    def noted(self) -> Witness:
        """What is kept of it."""
        return Witness(self.source.value, self.weight.value, f"{self.said_by}: {self.value}")


@dataclass(frozen=True)
class PacsCount:
    """A peer's answer to C-FIND: how many instances of a series it holds.

    `count` is None when there was no answer; `explanation`: how it was counted, or why it was not.
    `at_least`: the counting was broken off there, there are more.
    """

    peer: str
    asked_at: datetime
    count: int | None
    explanation: str
    at_least: bool = False


@dataclass(frozen=True)
class Announcement:
    """An attribute says of how many instances the series, or part of it, consists.

    `binding`: the attribute can mean nothing else. Images in Acquisition (0020,1002) counts, with
    some makers, what several series hold together.
    """

    attribute: str
    count: int
    came: int
    binding: bool


@dataclass(frozen=True)
class HeaderEvidence:
    """What the headers show: the distances of one clean stack, and counts that they announce.

    `missing`: slices that would fill the gaps, or None where there is no single clean stack.
    `lost`: what tells that slices are missing though there is no gap.
    """

    slices: int
    missing: int | None
    announced: tuple[Announcement, ...] = ()
    lost: tuple[LostSlices, ...] = ()


def evidence_of_headers(headers: Sequence[InstanceHeader], stack: SliceStack) -> HeaderEvidence:
    """From the headers of all that came, and the stack that would be analysed."""
    lost = lost_slices(stack, headers)
    return HeaderEvidence(len(stack.headers), _missing(stack), tuple(_announced(headers)), lost)


def pacs_evidence(pacs: PacsCount, came: int, last_received_at: datetime) -> Evidence:
    """More at the PACS is proof that some are missing; as many, asked after the last instance came,
    that all are here. Fewer prove nothing: it may still be storing, or not be told at all.
    """
    if pacs.count is None:
        return Evidence(Source.PACS_COUNT, pacs.peer, pacs.explanation, Weight.NEUTRAL)
    weight = Weight.NEUTRAL
    if pacs.count > came:
        weight = Weight.CONTRADICTS
    elif pacs.count == came and not pacs.at_least and pacs.asked_at >= last_received_at:
        weight = Weight.PROVES
    number = f"{'at least ' if pacs.at_least else ''}{how_many(pacs.count, 'instance')}"
    value = f"{number} ({pacs.explanation}), {came} came"
    return Evidence(Source.PACS_COUNT, pacs.peer, value, weight)


def slices_evidence(headers: HeaderEvidence) -> Evidence:
    """A gap between slices of one stack is a missing slice, until the PACS says that it is not."""
    value, weight = f"{headers.slices} slices without a gap", Weight.SUPPORTS
    if headers.missing is None or headers.slices < 2:
        value, weight = "no single stack whose distances tell", Weight.NEUTRAL
    elif headers.missing:
        value, weight = (
            f"{how_many(headers.missing, 'slice')} missing between others",
            Weight.CONTRADICTS,
        )
    return Evidence(Source.SLICES, "Image Position (Patient)", value, weight)


def lost_evidence(lost: LostSlices) -> Evidence:
    """Slices that the distances do not miss: every second one may still be on its way."""
    weight = Weight.CONTRADICTS if lost.proven else Weight.DOUBTS
    return Evidence(Source.SLICES, lost.said_by, lost.value, weight)


def announcement_evidence(announced: Announcement) -> Evidence:
    """What an attribute announces, against what came."""
    weight = Weight.NEUTRAL
    if announced.count == announced.came:
        weight = Weight.PROVES
    elif announced.count > announced.came:
        weight = Weight.CONTRADICTS if announced.binding else Weight.DOUBTS
    value = f"{announced.came} of {announced.count} instances"
    return Evidence(Source.HEADER_COUNT, announced.attribute, value, weight)


def _missing(stack: SliceStack) -> int | None:
    usual = stack.slice_spacing_mm
    if set(stack.problems) - {StackProblem.GAP} or usual is None:
        return None
    return sum(max(1, round(stack.spacings_mm[i] / usual) - 1) for i in stack.gaps)


def _announced(headers: Sequence[InstanceHeader]) -> Iterable[Announcement]:
    one_each = list({header.sop_instance_uid: header for header in headers}.values())
    came = len(one_each)
    related = {header.number_of_series_related_instances for header in one_each}
    if (count := _only(related)) is not None:
        yield Announcement("Number of Series Related Instances", count, came, binding=True)
    if (count := _sum_by_acquisition(one_each)) is not None:
        yield Announcement("Images in Acquisition", count, came, binding=False)
    yield from _concatenations(one_each)


def _only(values: set[int | None]) -> int | None:
    """The value that all instances state alike; None when one is silent or they differ."""
    return next(iter(values)) if len(values) == 1 else None


def _sum_by_acquisition(headers: Sequence[InstanceHeader]) -> int | None:
    """Images in Acquisition over the acquisitions in the series, if all instances state it.

    In multi-frame objects it may count frames.
    """
    if any(header.number_of_frames > 1 for header in headers):
        return None
    stated: dict[int | None, set[int | None]] = {}
    for header in headers:
        stated.setdefault(header.acquisition_number, set()).add(header.images_in_acquisition)
    counts = [_only(values) for values in stated.values()]
    return None if None in counts or not counts else sum(count or 0 for count in counts)


def _concatenations(headers: Iterable[InstanceHeader]) -> Iterable[Announcement]:
    """Parts of a multi-frame image that was divided (PS3.3 C.7.6.16.2.2.4): how many there are."""
    parts: dict[str, set[int | None]] = {}
    came: dict[str, int] = {}
    for header in headers:
        if header.concatenation_uid:
            uid = header.concatenation_uid
            parts.setdefault(uid, set()).add(header.in_concatenation_total_number)
            came[uid] = came.get(uid, 0) + 1
    for uid in sorted(parts):
        if (count := _only(parts[uid])) is not None:
            yield Announcement("In-concatenation Total Number", count, came[uid], binding=True)
