"""Is it a chest, and is it whole? The lungs decide, not Body Part Examined."""

from __future__ import annotations

from typing import Annotated, Protocol

from pydantic import Field

from dicomnode.decisions.policy import NotNegative, policy
from dicomnode.decisions.reasons import Reason, Verdict


@policy
class ChestPolicy:
    """What lungs a series must show to be a chest CT of a grown person.

    Volumes in ml, heights in mm, areas in mm². An abdomen shows the lowest 40 to 80 mm of the
    lungs, a neck or a shoulder their tips.
    """

    min_lung_ml: NotNegative = 500.0  # an adult's at full expiration hold 1,000 to 1,500
    min_lung_height_mm: NotNegative = 100.0  # an adult's are 200 to 300 high
    min_lung_slices: Annotated[int, Field(ge=1)] = 10
    max_cut_mm2: NotNegative = 400.0  # lung on an outermost slice: a disc of 22 mm is a mere tip
    min_side_share: Annotated[float, Field(ge=0, le=0.5)] = 0.1  # less is as good as missing


class LungMeasure(Protocol):
    """What is judged: `inference.lungs.extent.LungExtent`."""

    @property
    def right_ml(self) -> float: ...
    @property
    def left_ml(self) -> float: ...
    @property
    def total_ml(self) -> float: ...
    @property
    def slices_with_lung(self) -> int: ...
    @property
    def height_mm(self) -> float: ...
    @property
    def top_cut_mm2(self) -> float: ...
    @property
    def base_cut_mm2(self) -> float: ...


def judge_chest(lungs: LungMeasure, policy: ChestPolicy) -> tuple[Reason, ...]:
    """Too little lung fails; one side alone, and a top or base cut off, are warnings."""
    return (
        _at_least("lung_volume", lungs.total_ml, policy.min_lung_ml, "ml"),
        _at_least("lung_height", lungs.height_mm, policy.min_lung_height_mm, "mm"),
        _at_least("lung_slices", lungs.slices_with_lung, policy.min_lung_slices, "slices"),
        _both_sides(lungs, policy.min_side_share),
        _whole("lung_top", lungs.top_cut_mm2, policy.max_cut_mm2),
        _whole("lung_base", lungs.base_cut_mm2, policy.max_cut_mm2),
    )


def _at_least(rule: str, found: float, limit: float, unit: str) -> Reason:
    verdict = Verdict.PASS if found >= limit else Verdict.FAIL
    return Reason(rule, f"{found:.0f} {unit}", f"at least {limit:g} {unit}", verdict)


def _both_sides(lungs: LungMeasure, share: float) -> Reason:
    """One lung may be gone or airless: still a chest, but not what the network has seen."""
    smaller = min(lungs.right_ml, lungs.left_ml)
    verdict = Verdict.PASS if smaller >= share * lungs.total_ml else Verdict.WARNING
    found = f"right {lungs.right_ml:.0f} ml, left {lungs.left_ml:.0f} ml"
    return Reason("lung_sides", found, f"each at least {share:.0%} of both", verdict)


def _whole(rule: str, cut_mm2: float, limit: float) -> Reason:
    """Lung on the outermost slice goes on outside the series."""
    verdict = Verdict.PASS if cut_mm2 <= limit else Verdict.WARNING
    found = "in the series" if verdict is Verdict.PASS else f"cut off through {cut_mm2:.0f} mm²"
    return Reason(rule, found, f"at most {limit:g} mm² of lung on the outermost slice", verdict)
