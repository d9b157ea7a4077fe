"""One result for a study: which of its eligible series is analysed.

A scan is often reconstructed twice, with two kernels or two slice thicknesses. Two reports with two
sets of probabilities about one breath-hold are worse than one. Each series of the study is decided
by itself; here those that are eligible are put in order, the same for any order of arrival.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Annotated, Literal

from pydantic import Field

from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.policy import policy
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.decisions.stack.geometry import SliceStack
from storage.decided import SeriesQuality

STUDY_CHOICE = "study_choice"
"""Rule of the reason."""

CONTRAST_OF_ACQUISITION = "contrast_of_acquisition"
"""Rule of the reason for what was made of a scan that another series shows to be with contrast."""

COVERAGE_FACTOR = 1.5
"""Coverages within such a factor are equal: then the spacing decides. A few fine slices through a
nodule are no chest."""

SPACING_STEP_MM = 0.25
"""Spacings within one step are equal; then the kernel decides."""


class KernelClass(IntEnum):
    """In the order of preference. The papers name no kernel; both show the lung in a lung window.

    A standard kernel comes first, as the mean HU of ground glass is what the network sees and a
    sharp kernel's noise hides it; smooth ones blur vessels into it.
    """

    STANDARD = 0
    UNKNOWN = 1
    SHARP = 2
    SMOOTH = 3


_KERNELS: tuple[tuple[KernelClass, str], ...] = (
    (KernelClass.SHARP, r"LUNG|BONE\w*|EDGE|DETAIL|SHARP|ULTRA|YB|YC|YD|D|E|L"),  # GE, Philips
    (KernelClass.SHARP, r"(B|I|H|BR|BL|QR|HR)[5-9]\d\w*(\\\d)?"),  # Siemens, numbers from 50
    (KernelClass.SHARP, r"FC(3\d|[5-8]\d)\w*"),  # Canon (Toshiba): 30s bone, 50s to 80s lung
    (KernelClass.SMOOTH, r"(B|I|H|BR|BL|QR|HR)1\d\w*(\\\d)?|SMOOTH|SOFT\+"),
    (KernelClass.STANDARD, r"STANDARD|STND|STD|SOFT|CHEST|A|B|C|YA|IMR\w*"),
    (KernelClass.STANDARD, r"(B|I|H|BR|BL|QR|HR)[2-4]\d\w*(\\\d)?"),
    (KernelClass.STANDARD, r"FC(0?\d|1\d|2\d)\w*"),
)
"""Convolution Kernel (0018,1210), whole and in capitals, as the vendors' conformance statements
and the data at hand have it."""


class Standing(StrEnum):
    """How far another series of the study has come."""

    OPEN = "open"  # still coming, or not yet looked at
    ELIGIBLE = "eligible"  # may be analysed, and waits for the choice
    TAKEN = "taken"  # queued or analysed
    OUT = "out"  # skipped or failed


@policy
class StudyPolicy:
    """`choose`: which of several eligible series of a study are analysed.

    `wait_seconds`: how long an eligible series waits for others of its study that still come.
    """

    choose: Literal["best", "all"] = "best"
    wait_seconds: Annotated[float, Field(ge=0, le=3600)] = 60.0


def quality_of(stack: SliceStack) -> SeriesQuality:
    """Of a stack that passed all rules: it has a spacing and at least one slice."""
    spacing = stack.slice_spacing_mm or 0.0
    count = len(stack.headers)
    kernel = stack.headers[0].convolution_kernel if count else ""
    return SeriesQuality(round(spacing, 4), round(spacing * count, 2), kernel[:64], count)


def quality_order(quality: SeriesQuality) -> tuple[float, ...]:
    """The smallest is the best."""
    return (
        -round(math.log(max(quality.coverage_mm, 1.0), COVERAGE_FACTOR)),
        round(quality.slice_spacing_mm / SPACING_STEP_MM),
        kernel_class(quality.kernel),
        -quality.slice_count,
    )


@dataclass(frozen=True)
class StudySeries:
    """A series of the study; `quality` when it is eligible or taken.

    `acquisitions`: those it was made of. `with_contrast`: it was skipped for contrast.
    """

    series_instance_uid: str
    standing: Standing
    quality: SeriesQuality | None = None
    acquisitions: frozenset[str] = frozenset()
    with_contrast: bool = False


@dataclass(frozen=True)
class Choice:
    """`look_again_at`: nothing can be said before. Else `reason` says why it is taken or not."""

    look_again_at: datetime | None
    reason: Reason | None

    @property
    def taken(self) -> bool:
        return self.look_again_at is None and (
            self.reason is None or self.reason.verdict is not Verdict.FAIL
        )


def acquisitions_of(headers: Iterable[InstanceHeader]) -> frozenset[str]:
    """Irradiation events (0008,3010), each with its Acquisition Number: both are those of the scan.

    One Irradiation Event UID for a whole study, as some systems write it, joins no two phases.
    """
    return frozenset(
        f"{event} {header.acquisition_number}"
        for header in headers
        for event in header.irradiation_event_uid.split("\\")
        if event and header.acquisition_number is not None
    )


def kernel_class(kernel: str) -> KernelClass:
    name = kernel.strip().upper()
    for found, pattern in _KERNELS:
        if re.fullmatch(pattern, name):
            return found
    return KernelClass.UNKNOWN


def choose(
    own: StudySeries,
    others: Sequence[StudySeries],
    policy: StudyPolicy,
    eligible_since: datetime,
    now: datetime,
) -> Choice:
    """Whether `own`, which is eligible, is to be analysed.

    `others`: the other CT series of its study. `eligible_since`: when `own` was first seen to be
    complete and eligible; it waits from then on at most.
    """
    waits_until = eligible_since + timedelta(seconds=policy.wait_seconds)
    twins = [each for each in others if each.with_contrast]
    of_contrast = [each for each in twins if each.acquisitions & own.acquisitions]
    if of_contrast:
        return Choice(None, _made_of(of_contrast))
    better = [each for each in others if _better(each, own)]
    if policy.choose == "all":
        return Choice(None, _told(own, others, "all are analysed"))
    if better:
        best = min(better, key=_key)
        return Choice(None, _left_for(best))
    if any(each.standing is Standing.OPEN for each in others) and now < waits_until:
        return Choice(waits_until, None)
    return Choice(None, _told(own, others, "the best of them"))


def _made_of(scans: Sequence[StudySeries]) -> Reason:
    """What was given is in each image of an acquisition, told or taken out."""
    uid = min(each.series_instance_uid for each in scans)
    found = f"series {uid} of the same acquisition was skipped for contrast"
    return Reason(CONTRAST_OF_ACQUISITION, found, "none given", Verdict.FAIL)


def _better(other: StudySeries, own: StudySeries) -> bool:
    in_the_running = other.standing in {Standing.ELIGIBLE, Standing.TAKEN}
    return in_the_running and other.quality is not None and _key(other) < _key(own)


def _key(series: StudySeries) -> tuple[tuple[float, ...], str]:
    order = () if series.quality is None else quality_order(series.quality)
    return (order, series.series_instance_uid)


def _left_for(best: StudySeries) -> Reason:
    found = f"a better series of the study was chosen: {best.series_instance_uid} ({best.quality})"
    return Reason(STUDY_CHOICE, found, "the best series", Verdict.FAIL)


def _told(own: StudySeries, others: Sequence[StudySeries], why: str) -> Reason | None:
    """None when there was nothing to choose from."""
    rivals = [each for each in others if each.standing in {Standing.ELIGIBLE, Standing.TAKEN}]
    if not rivals:
        return None
    count = len(rivals) + 1
    taken = [each for each in rivals if each.standing is Standing.TAKEN]
    late = ", a lesser one was analysed before" if taken and why != "all are analysed" else ""
    verdict = Verdict.WARNING if late else Verdict.PASS
    found = f"{count} eligible series, {why}{late} ({own.quality})"
    return Reason(STUDY_CHOICE, found, "the best series", verdict)
