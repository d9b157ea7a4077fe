"""Slices lost so regularly that the rest lies evenly: told, and never said where none is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.decisions.arrival.arrival_evidence import (
    Weight,
    evidence_of_headers,
    lost_evidence,
    slices_evidence,
)
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.reasons import Verdict
from dicomnode.decisions.stack.geometry import sort_slices
from dicomnode.decisions.stack.lost_slices import LostSlices, lost_slices
from support.ct_headers import ct_series, real_series

POLICY = EligibilityPolicy()


def lost(series: Sequence[InstanceHeader]) -> list[str]:
    return [str(each) for each in lost_slices(sort_slices(series), series)]


def numbered(series: Sequence[InstanceHeader], first: int, step: int = 1) -> list[InstanceHeader]:
    return [replace(h, instance_number=first + step * i) for i, h in enumerate(series)]


@pytest.mark.parametrize(("step", "word"), [(2, "second"), (3, "third"), (4, "fourth")])
def test_only_every_nth_number_is_there(step: int, word: str) -> None:
    series = ct_series(120, 0.5)[::step]
    last = series[-1].instance_number
    assert lost(series) == [f"Instance Number: only every {word} from 1 to {last} is there"]


@pytest.mark.parametrize("stated", [1.0, -1.0, 0.999])
def test_spacing_of_which_the_slices_lie_a_multiple_apart(stated: float) -> None:
    series = numbered(ct_series(60, 2.0, spacing_between_slices=stated), 1)
    assert lost(series) == [
        f"Spacing Between Slices: {abs(stated):g} mm, but the slices are 2 mm apart: 59 missing"
    ]


def test_an_end_that_is_lost() -> None:
    assert lost(ct_series(120, 1.0)[60:]) == []  # 61 numbers before: as many as came
    assert lost(ct_series(120, 1.0)[50:]) == ["Instance Number: begins at 51"]


COMPLETE: dict[str, list[InstanceHeader]] = {
    "as the scanner numbers": ct_series(),
    "as stated": ct_series(60, 2.0, spacing_between_slices=2.0),
    "thin slices far apart": ct_series(60, 2.0, slice_thickness=1.0),
    "overlapping slices": ct_series(60, 1.0, slice_thickness=2.0, spacing_between_slices=1.0),
    "stated half as much again": ct_series(60, 3.0, spacing_between_slices=2.0),
    "stated more than they are": ct_series(60, 2.0, spacing_between_slices=4.0),
    "stated as nothing": ct_series(60, 2.0, spacing_between_slices=0.0),
    "stated in another unit": ct_series(60, 2.0, spacing_between_slices=0.02),
    "stated by some": [
        replace(h, spacing_between_slices=1.0 if i else None) for i, h in enumerate(ct_series())
    ],
    "numbers from 0": numbered(ct_series(), 0),
    "after the localizers": numbered(ct_series(), 4),
    "a second phase": numbered(ct_series(), 61),
    "numbers in thousands": numbered(ct_series(), 2001),
    "numbers in tens": numbered(ct_series(), 10, 10),
    "numbers all the same": numbered(ct_series(), 1, 0),
    "no numbers": [replace(h, instance_number=None) for h in ct_series()],
    "random numbers": [
        replace(h, instance_number=i * 7919 % 997) for i, h in enumerate(ct_series())
    ],
}


@pytest.mark.parametrize("name", COMPLETE)
def test_nothing_is_said_of_a_series_that_is_whole(name: str) -> None:
    assert lost(COMPLETE[name]) == []


@pytest.mark.parametrize("case", ["philips_5mm_noncontrast", "ge_petct_5mm", "siemens_8mm"])
def test_nothing_is_lost_of_real_series(case: str) -> None:
    for headers in real_series(case).values():
        assert lost(headers) == []


def test_numbers_that_another_stack_of_the_series_has_are_not_lost() -> None:
    """Two kernels of one scan, numbered in turn."""
    soft = numbered(ct_series(60, convolution_kernel="B"), 1, 2)
    sharp = [
        replace(h, sop_instance_uid=f"9.{i}", convolution_kernel="L", instance_number=2 + 2 * i)
        for i, h in enumerate(soft)
    ]
    decision = judge_eligibility(soft + sharp, POLICY)
    (found,) = [reason for reason in decision.reasons if reason.rule == "lost_slices"]
    assert (len(decision.stack.headers), found.verdict) == (60, Verdict.PASS)
    assert not evidence_of_headers(soft + sharp, decision.stack).lost


def test_the_report_is_warned_and_the_series_waits() -> None:
    series = ct_series(120, 1.0, spacing_between_slices=1.0)[::2]
    decision = judge_eligibility(series, POLICY)
    assert decision.eligible
    (warning,) = [reason for reason in decision.reasons if reason.verdict is Verdict.WARNING]
    assert str(warning) == (
        "lost_slices: Spacing Between Slices: 1 mm, but the slices are 2 mm apart: 59 missing; "
        "Instance Number: only every second from 1 to 119 is there (asked for: none) – warning"
    )
    evidence = evidence_of_headers(series, decision.stack)
    assert slices_evidence(evidence).weight is Weight.SUPPORTS
    assert [lost_evidence(each).weight for each in evidence.lost] == [
        Weight.CONTRADICTS,
        Weight.DOUBTS,
    ]


def test_evidence_names_the_attribute() -> None:
    told = lost_evidence(LostSlices("Instance Number", "begins at 51", proven=False))
    assert told.noted().as_json() == {
        "witness": "slices",
        "says": "doubts",
        "evidence": "Instance Number: begins at 51",
    }


@settings(deadline=None)
@given(
    st.integers(12, 60),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([None, 0.5, 1.0]),
    st.data(),
)
def test_any_order_tells_the_same(
    count: int, step: int, stated: float | None, data: st.DataObject
) -> None:
    series: list[Any] = ct_series(count * step, 0.5, spacing_between_slices=stated)[::step]
    shuffled = data.draw(st.permutations(series))
    assert lost(shuffled) == lost(series)
    assert judge_eligibility(shuffled, POLICY) == judge_eligibility(series, POLICY)
    says_number = any(each.startswith("Instance Number") for each in lost(series))
    assert says_number == (step > 1)
