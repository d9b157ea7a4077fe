"""Two acquisitions of one scan that overlap: joined where pixels agree, else told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicomnode.decisions.eligibility.candidate import overlapping_slices
from dicomnode.decisions.eligibility.eligibility import (
    Eligibility,
    EligibilityPolicy,
    judge_eligibility,
)
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.stack.overlaps import MOST_PAIRS, SAME_ANATOMY_HU, Pair
from dicomnode.decisions.stack.stacks import stacks_of
from support.ct_headers import ct_header

POLICY = EligibilityPolicy()


def acquisition(
    number: int, first: int, last: int, shift: float = 0.0, **changes: Any
) -> list[InstanceHeader]:
    """Slices every 2 mm, from the place `first` up to before `last`."""
    return [
        ct_header(
            1000 * number + i,
            z=2.0 * i + shift,
            **{"acquisition_number": number, "convolution_kernel": "B"} | changes,
        )
        for i in range(first, last)
    ]


def agreeing(headers: Sequence[InstanceHeader], hu: float = 12.0) -> dict[Pair, float]:
    return dict.fromkeys(overlapping_slices(headers), hu)


def told(decision: Eligibility, rule: str) -> str:
    return next(str(reason.value) for reason in decision.reasons if reason.rule == rule)


def test_where_pixels_agree_each_place_is_taken_once() -> None:
    series = acquisition(1, 0, 40) + acquisition(2, 34, 60)
    decision = judge_eligibility(series, POLICY, agreeing(series))
    assert decision.eligible
    assert [h.acquisition_number for h in decision.stack.headers] == [1] * 40 + [2] * 20
    assert told(decision, "stacks") == (
        "1: Acquisition Number 1 (40 slices) and Acquisition Number 2 (26 slices) joined "
        "(60 slices)"
    )
    assert told(decision, "coverage") == "all"


@pytest.mark.parametrize("hu", [SAME_ANATOMY_HU + 0.1, 300.0, math.inf, None])
def test_where_they_differ_or_cannot_be_read_the_report_tells_what_is_missed(
    hu: float | None,
) -> None:
    series = acquisition(1, 0, 40) + acquisition(2, 34, 60)
    decision = judge_eligibility(series, POLICY, {} if hu is None else agreeing(series, hu))
    assert decision.eligible
    assert {h.acquisition_number for h in decision.stack.headers} == {1}
    assert told(decision, "coverage") == (
        "Acquisition Number 2 (26 slices) reaches 40 mm further; what lies there is not read"
    )


def test_one_place_that_differs_is_enough_to_keep_them_apart() -> None:
    series = acquisition(1, 0, 40) + acquisition(2, 34, 60)
    compared = agreeing(series)
    compared[next(iter(compared))] = 90.0
    assert len(stacks_of(series, compared)) == 2


def test_three_ranges_are_one_scan() -> None:
    series = acquisition(1, 0, 30) + acquisition(2, 25, 60) + acquisition(3, 58, 90)
    decision = judge_eligibility(series, POLICY, agreeing(series))
    assert len(decision.stack.headers) == 90
    assert decision.eligible


def test_of_three_the_one_that_differs_stays_apart() -> None:
    series = acquisition(1, 0, 30) + acquisition(2, 25, 60) + acquisition(3, 58, 90)
    compared = agreeing(series)
    compared |= {pair: 200.0 for pair in compared if pair[1][0].startswith("1.2.3.30")}
    compared |= {pair: 200.0 for pair in compared if pair[0][0].startswith("1.2.3.30")}
    assert sorted(len(each.stack.headers) for each in stacks_of(series, compared)) == [32, 60]


def test_at_most_so_many_places_from_end_to_end_are_compared() -> None:
    series = acquisition(1, 0, 100) + acquisition(2, 10, 120)
    pairs = overlapping_slices(series)
    assert len(pairs) == MOST_PAIRS
    heights = sorted({int(uid.split(".")[-1]) % 1000 for pair in pairs for uid, _ in pair})
    assert (heights[0], heights[-1]) == (10, 99)


@pytest.mark.parametrize(
    "other",
    [
        acquisition(2, 34, 60, shift=1.0),
        acquisition(2, 5, 30),
        acquisition(2, 34, 60, contrast_phase="ARTERIAL"),
        acquisition(2, 34, 60, contrast_bolus_agent="CE"),
        acquisition(2, 34, 60, series_description="Thorax with IV contrast"),
        acquisition(2, 34, 60, convolution_kernel="LUNG"),
        acquisition(2, 34, 60, pixel_spacing=(0.8, 0.8)),
        acquisition(2, 34, 60, frame_of_reference_uid="1.9"),
        [
            replace(h, image_position_patient=(-170.0, -170.0, 2.0 * i))
            for i, h in enumerate(acquisition(2, 34, 60), start=34)
        ],
        [h for h in acquisition(2, 34, 60) if h.instance_number != 2036],
    ],
    ids=[
        *("half a slice off", "within the other", "another phase", "contrast", "contrast"),
        "another kernel",
        *("another zoom", "another frame of reference", "moved in the plane", "with a gap"),
    ],
)
def test_what_is_no_one_scan_is_not_compared(other: list[InstanceHeader]) -> None:
    series = acquisition(1, 0, 40) + other
    assert overlapping_slices(series) == ()


@pytest.mark.parametrize("shift", [0.4, 1.0, 1.4])
@pytest.mark.parametrize("overlap", [1, 3, 12])
def test_ranges_that_overlap_between_their_slices_are_parted_and_told(
    shift: float, overlap: int
) -> None:
    series = acquisition(1, 0, 40) + acquisition(2, 40 - overlap, 66, shift)
    decision = judge_eligibility(series, POLICY)
    assert decision.eligible, decision.failures
    assert {h.acquisition_number for h in decision.stack.headers} == {1}
    assert "what lies there is not read" in told(decision, "coverage")


@pytest.mark.parametrize("rotation", [10, 16, 40])
def test_one_rotation_of_many_that_do_not_fit_together_is_no_scan(rotation: int) -> None:
    series = [
        replace(h, acquisition_number=i // rotation)
        for i, h in enumerate(acquisition(1, 0, 12 * rotation))
        if i != 3 * rotation + 3
    ]
    decision = judge_eligibility(series, POLICY)
    assert not decision.eligible
    assert {reason.rule for reason in decision.failures} & {"coverage", "evenly_spaced"}


def test_rotations_that_overlap_by_a_slice_are_one_scan() -> None:
    series = [h for n in range(12) for h in acquisition(n, 15 * n, 15 * n + 16)]
    decision = judge_eligibility(series, POLICY, agreeing(series))
    assert len(decision.stack.headers) == 12 * 15 + 1
    assert decision.eligible
    assert not judge_eligibility(series, POLICY).eligible


def test_a_second_kernel_of_the_same_scan_is_no_missed_part() -> None:
    kernels = [acquisition(n, 0, 40, convolution_kernel=k) for n, k in ((1, "B"), (2, "L"))]
    decision = judge_eligibility(kernels[0] + kernels[1], POLICY)
    assert told(decision, "coverage") == "all"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(10, 40), st.integers(1, 12), st.integers(10, 40), st.booleans(), st.data())
def test_any_order_has_the_same_decision(
    lower: int, overlap: int, upper: int, agree: bool, data: st.DataObject
) -> None:
    overlap = min(overlap, lower - 1, upper - 1)
    series = acquisition(1, 0, lower) + acquisition(2, lower - overlap, lower - overlap + upper)
    shuffled = data.draw(st.permutations(series))
    assert overlapping_slices(shuffled) == overlapping_slices(series)
    compared = agreeing(series, 5.0 if agree else 500.0)
    decision = judge_eligibility(shuffled, POLICY, compared)
    assert decision == judge_eligibility(series, POLICY, compared)
    if agree:
        assert len(decision.stack.headers) == lower + upper - overlap
    else:
        assert len({h.acquisition_number for h in decision.stack.headers}) == 1
