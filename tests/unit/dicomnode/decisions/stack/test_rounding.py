"""Positions written with few decimals: no gap and not uneven; a missing slice still is one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.stack.geometry import StackProblem, sort_slices
from dicomnode.decisions.stack.rounding import before_rounding, rounding_unit
from support.ct_headers import ct_header

POLICY = EligibilityPolicy()


def rounded(
    spacing: float, unit: float, slices: int = 200, start: float = -311.3, **changes: Any
) -> list[InstanceHeader]:
    return [
        ct_header(i, z=unit * round((start + spacing * i) / unit), slice_thickness=1.0, **changes)
        for i in range(slices)
    ]


@pytest.mark.parametrize(
    ("spacing", "unit"),
    [(0.625, 0.1), (0.625, 0.01), (0.8, 0.1), (0.33, 0.1), (1.25, 0.1), (1.25, 0.5), (2.5, 1.0)],
)
def test_rounded_positions_are_one_even_stack(spacing: float, unit: float) -> None:
    decision = judge_eligibility(rounded(spacing, unit), POLICY)
    assert decision.eligible, decision.failures
    assert decision.stack.problems == ()
    assert decision.stack.slice_spacing_mm == pytest.approx(spacing, abs=unit / 100)


@pytest.mark.parametrize(
    ("spacing", "unit"), [(0.625, 0.1), (0.33, 0.1), (1.25, 0.5), (2.5, 1.0), (0.625, 0.01)]
)
@pytest.mark.parametrize("missing", [1, 2, 50, 100, 150, 197, 198])
def test_a_missing_slice_is_still_a_gap(spacing: float, unit: float, missing: int) -> None:
    series = rounded(spacing, unit)
    del series[missing]
    decision = judge_eligibility(series, POLICY)
    assert "evenly_spaced" in {reason.rule for reason in decision.failures}
    assert StackProblem.GAP in decision.stack.problems


def test_coarse_rounding_is_believed_where_the_stated_spacing_explains_the_length() -> None:
    silent, stating = (rounded(1.25, 1.0, spacing_between_slices=s) for s in (None, -1.25))
    assert not judge_eligibility(silent, POLICY).eligible
    assert judge_eligibility(stating, POLICY).eligible
    del stating[90]
    assert not judge_eligibility(stating, POLICY).eligible


def test_slices_out_of_place_are_no_rounding() -> None:
    series = rounded(2.0, 0.1)
    series[50] = ct_header(50, z=-311.3 + 2.0 * 50 + 0.7)
    assert not judge_eligibility(series, POLICY).eligible


def test_two_slices_at_one_place_are_no_rounding() -> None:
    series = rounded(0.625, 0.1)
    series.append(ct_header(999, z=series[9].image_position_patient[2]))  # type: ignore[index]
    assert StackProblem.DUPLICATE_POSITION in sort_slices(series).problems


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([1.0, 3.0], 1.0),
        ([1.5, 3.0], 0.5),
        ([0.1, 0.7], 0.1),
        ([0.10000000149, 0.69999998807], 0.1),  # of 32 bits
        ([0.625, 1.25], 0.0),
        ([0.12, 1.25], 0.01),
        ([4.0, 4.0], 0.0),
        ([], 0.0),
    ],
)
def test_what_values_were_rounded_to(values: list[float], unit: float) -> None:
    assert rounding_unit(values) == unit


def test_exact_places_stay_as_they_are() -> None:
    assert before_rounding([0.0, 2.0, 4.0], 0.5, None) == [0.0, 2.0, 4.0]
    assert before_rounding([], 1.0, None) == []


@settings(deadline=None)
@given(
    st.floats(0.3, 5.0),
    st.sampled_from([0.01, 0.1, 0.5, 1.0]),
    st.floats(-500, 500),
    st.integers(12, 60),
    st.data(),
)
def test_any_rounded_stack_in_any_order(
    spacing: float, unit: float, start: float, slices: int, data: st.DataObject
) -> None:
    assume(unit <= 0.4 * spacing)
    series = rounded(spacing, unit, slices, start)
    shuffled = data.draw(st.permutations(series))
    stack = sort_slices(shuffled)
    assert stack == sort_slices(series)
    assert stack.gaps == ()
    assert stack.largest_deviation_mm == pytest.approx(0.0, abs=1e-3)
    lost = data.draw(st.integers(1, slices - 2))
    del series[lost]
    left = sort_slices(series)
    assert left.largest_deviation_mm is not None
    assert left.largest_deviation_mm > 0.1 * spacing
