"""Is it a chest? The lungs decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dicomnode.decisions.eligibility.chest import ChestPolicy, judge_chest
from inference.lungs.extent import LungExtent

WHOLE = LungExtent(
    right_ml=2400.0,
    left_ml=2100.0,
    slices_with_lung=110,
    height_mm=260.0,
    top_cut_mm2=0.0,
    base_cut_mm2=0.0,
    largest_section_mm2=30_000.0,
)


def verdicts(**changes: Any) -> dict[str, str]:
    """The rules that do not pass."""
    reasons = judge_chest(replace(WHOLE, **changes), ChestPolicy())
    return {each.rule: each.verdict.value for each in reasons if each.verdict != "pass"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"right_ml": 350.0, "left_ml": 300.0}, {}),  # small lungs, full of consolidation
        ({"right_ml": 250.0, "left_ml": 200.0}, {"lung_volume": "fail"}),
        ({"height_mm": 60.0}, {"lung_height": "fail"}),  # an abdomen with the bases
        ({"slices_with_lung": 9}, {"lung_slices": "fail"}),
        ({"left_ml": 0.0}, {"lung_sides": "warning"}),
        ({"top_cut_mm2": 1802.0}, {"lung_top": "warning"}),
        ({"base_cut_mm2": 401.0}, {"lung_base": "warning"}),
        ({"base_cut_mm2": 400.0, "top_cut_mm2": 400.0}, {}),
    ],
)
def test_rules(changes: dict[str, Any], expected: dict[str, str]) -> None:
    assert verdicts(**changes) == expected


def test_reasons_tell_value_and_limit() -> None:
    reasons = {each.rule: each for each in judge_chest(WHOLE, ChestPolicy(min_lung_ml=5000.0))}
    assert (
        str(reasons["lung_volume"]) == "lung_volume: 4500 ml (asked for: at least 5000 ml) – fail"
    )
    assert reasons["lung_sides"].value == "right 2400 ml, left 2100 ml"
    assert reasons["lung_top"].value == "in the series"


@pytest.mark.parametrize(
    "wrong", [{"min_lung_ml": -1.0}, {"min_lung_slices": 0}, {"min_side_share": 0.6}]
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ChestPolicy(**wrong)
