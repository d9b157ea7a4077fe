"""Which slices are shown: those that the decision rests on, and the middles of sure regions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from inference.findings import FindingClass, Findings, SliceActivation
from inference.regions import CandidateRegion

TOP_REGIONS = 3
"""Regions that the summary tells of, and whose middle slices are shown; the report has all."""


@dataclass(frozen=True, eq=False)
class NumberedRegion:
    """An infection that results speak of: `number` from 1, `found` by which method."""

    number: int
    found: Findings
    region: CandidateRegion

    @property
    def finding_class(self) -> FindingClass:
        """The class it was voted."""
        return self.found.answer.classes[self.region.vote.class_index]


def numbered_regions(findings: Iterable[Findings]) -> tuple[NumberedRegion, ...]:
    """The infections of all methods in their order, of each the highest confidence first."""
    pairs = [(found, region) for found in findings for region in found.infections]
    return tuple(NumberedRegion(number, *pair) for number, pair in enumerate(pairs, start=1))


@dataclass(frozen=True, eq=False)
class KeySlice:
    """`activation`: its Grad-CAM; None where the slice was not classified. `region`: number of the
    infection, from 1, for which it is shown, None where it is for its share in the decision."""

    slice_index: int
    activation: SliceActivation | None
    region: int | None = None


def key_slices(
    heat: Findings | None, regions: Sequence[NumberedRegion], most: int, otherwise: int
) -> tuple[KeySlice, ...]:
    """At most `most`, at least one: the largest share in the decision first, then the regions.

    The slice with the largest share always has its place; then the middles of the TOP_REGIONS
    infections; the rest goes to the next largest shares. `otherwise`: index of the slice that is
    shown where there is neither a decision nor an infection.
    """
    ranked = heat.ranked if heat else ()
    activations = {each.slice_index: each for each in ranked}
    added = dict(_middles(regions))
    by_share: list[KeySlice] = []
    for each in ranked:
        others = [index for index in added if index != each.slice_index]
        if by_share and len(by_share) + 1 + len(others) > most:
            break
        added.pop(each.slice_index, None)
        by_share.append(KeySlice(each.slice_index, each))
    for_regions = [KeySlice(i, activations.get(i), number) for i, number in added.items()]
    chosen = [*by_share, *for_regions][:most]
    return tuple(chosen) or (KeySlice(otherwise, None),)


def _middles(regions: Sequence[NumberedRegion]) -> Iterator[tuple[int, int]]:
    """Slice and number of the surest infections; of two on one slice the surer one."""
    seen = set()
    for each in regions[:TOP_REGIONS]:
        if each.region.middle_slice not in seen:
            seen.add(each.region.middle_slice)
            yield each.region.middle_slice, each.number
