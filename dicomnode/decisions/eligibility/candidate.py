"""What the rules of eligibility look at: the policy, the instances, and their stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from dicomnode.decisions.contrast.decision import ContrastPolicy
from dicomnode.decisions.image_kind.image_kind import ImageKind, image_kind
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.policy import Positive, policy
from dicomnode.decisions.stack.copies import without_copies
from dicomnode.decisions.stack.geometry import SliceStack
from dicomnode.decisions.stack.overlaps import NOT_COMPARED, Pair
from dicomnode.decisions.stack.stacks import slices_to_compare, stacks_of


@policy
class EligibilityPolicy:
    """What a series must be to be analysed. Lengths in mm, angles in degrees.

    The ranges of slice count and pixel spacing are those of Li et al. 2020 (Radiology 296:E65),
    on whose kind of series the network was described; outside them is a warning.
    """

    max_slice_thickness_mm: Positive = 3.0
    max_slice_spacing_mm: Positive | None = None  # None: as the thickness
    length_tolerance_mm: float = 0.01  # 3.000001 and 3.004 are roundings of 3.0
    min_slices: Annotated[int, Field(ge=2)] = 10  # fewer are no chest, whatever their spacing
    usual_slices: tuple[int, int] = (51, 1094)
    usual_pixel_spacing_mm: tuple[float, float] = (0.29, 0.98)
    spacing_tolerance_share: float = 0.1  # of the slice spacing: more is uneven
    max_axial_tilt_degrees: float = 10.0  # a patient lying askew, still axial
    max_gantry_tilt_degrees: float = 1.0  # positions and orientations are rounded; a tilt is more
    allow_contrast: bool = False
    contrast_policy: ContrastPolicy = ContrastPolicy.ANY_SIGN

    @property
    def slice_spacing_limit_mm(self) -> float:
        limit = self.max_slice_spacing_mm
        return self.max_slice_thickness_mm if limit is None else limit


@dataclass(frozen=True)
class LeftOut:
    """A stack of the series that is not looked at further: its name, and why.

    `beyond_mm`: how far its slices reach beyond the first and the last of the stack that is.
    `same_scan`: nothing but its length and its place hinders it, or it is fit too.
    """

    name: str
    why: str
    beyond_mm: tuple[float, float] = (0.0, 0.0)
    same_scan: bool = False


@dataclass(frozen=True)
class Candidate:
    """One stack of a series before the decision.

    `headers`: of all slices of the series. `localizers`: those among them, never part of `stack`
    unless there is nothing else. `left_out`: the other stacks, once one is chosen. `joined`:
    `stack` is made of acquisitions that overlap. `copies`: how many slices were left out because
    another is the same.
    """

    headers: tuple[InstanceHeader, ...]
    localizers: tuple[InstanceHeader, ...]
    stack: SliceStack
    policy: EligibilityPolicy
    name: str = ""
    left_out: tuple[LeftOut, ...] = ()
    joined: bool = False
    copies: int = 0

    @property
    def slices(self) -> tuple[InstanceHeader, ...]:
        return self.stack.headers


def candidates(
    headers: Sequence[InstanceHeader],
    policy: EligibilityPolicy,
    differences: Mapping[Pair, float] = NOT_COMPARED,
) -> tuple[Candidate, ...]:
    """One for each stack of the series; at least one, the same for any order of `headers`."""
    kept = without_copies(headers)
    localizers = tuple(h for h in kept if is_localizer(h))
    copies = len(headers) - len(kept)
    return tuple(
        Candidate(
            tuple(headers),
            localizers,
            part.stack,
            policy,
            part.name,
            joined=part.joined,
            copies=copies,
        )
        for part in stacks_of(_of_scans(kept), differences)
    )


def overlapping_slices(headers: Sequence[InstanceHeader]) -> tuple[Pair, ...]:
    """Slices at the same place of two acquisitions that overlap: their pixels decide whether
    these are one scan."""
    return slices_to_compare(_of_scans(without_copies(headers)))


def _of_scans(headers: Sequence[InstanceHeader]) -> Sequence[InstanceHeader]:
    """All but the localizers, unless there is nothing else."""
    return [header for header in headers if not is_localizer(header)] or headers


def is_localizer(header: InstanceHeader) -> bool:
    """Image Type value 3 is LOCALIZER (PS3.3 C.8.2.1.1.1); some scanners write it later."""
    return image_kind(header) is ImageKind.LOCALIZER


def tally(values: Iterable[str]) -> str:
    """The values that occur, the commonest first; with their counts when there are several."""
    counts = Counter(value or "absent" for value in values)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) == 1:
        return ordered[0][0]
    return ", ".join(f"{value} ({count})" for value, count in ordered)
