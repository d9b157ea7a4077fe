"""Two passes or phases in one series, slice by slice in turn: parted or skipped, never mixed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.stack.passes import in_turn, passes_in_turn
from dicomnode.decisions.stack.stacks import stacks_of
from dicomnode.decisions.stack.times import seconds_of
from support.ct_headers import ct_header, ct_series

POLICY = EligibilityPolicy()
ONE_VALUE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"acquisition_number": 1}, {"acquisition_number": 2}),
    ({"acquisition_time": "101010"}, {"acquisition_time": "101040"}),
    ({"acquisition_time": "20260105101010.5"}, {"acquisition_time": "20260105101010.9"}),
    ({"image_comments": "inspiration"}, {"image_comments": "expiration"}),
    ({"image_comments": ""}, {"image_comments": "expiration"}),
    ({"series_description": "Thorax insp"}, {"series_description": "Thorax exp"}),
    ({"temporal_position": "1"}, {"temporal_position": "2"}),
    ({"cardiac_phase": "30"}, {"cardiac_phase": "70"}),
    ({"contrast_phase": "PRE"}, {"contrast_phase": "ARTERIAL"}),
    ({"stack_id": "A"}, {"stack_id": "B"}),
    ({"kvp": 80.0}, {"kvp": 140.0}),
    (
        {"performed_procedure_step_description": "insp"},
        {"performed_procedure_step_description": "exp"},
    ),
    *(
        ({"labels": ((keyword, a),)}, {"labels": ((keyword, b),)})
        for keyword, a, b in [
            ("TriggerTime", "300", "700"),
            ("IrradiationEventUID", "1.2.1", "1.2.2"),
            ("NominalPercentageOfRespiratoryPhase", "0", "50"),
            ("FilterType", "BODY FILTER", "HEAD FILTER"),
            ("ReconstructionDiameter", "350", "400"),
            ("SeriesTime", "101010", "101120"),
            ("ContentTime", "101010", "101120"),
            ("FrameComments", "in", "out"),
            ("AcquisitionProtocolName", "Thorax insp", "Thorax exp"),
            ("ContentDate", "20260105", "20260106"),
            ("TableSpeed", "40.0", "55.0"),
        ]
    ),
]


def passes(
    *changes: dict[str, Any], slices: int = 40, spacing: float = 1.2
) -> list[InstanceHeader]:
    """Passes whose slices lie in turn, `spacing` from one to the next, numbered alike."""
    return [
        ct_header(1000 * n + i, z=(i * len(changes) + n) * spacing, **change)
        for n, change in enumerate(changes)
        for i in range(slices)
    ]


def own_numbers(series: Sequence[InstanceHeader]) -> list[InstanceHeader]:
    """Each pass numbered from 0."""
    return [replace(h, instance_number=(h.instance_number or 0) % 1000) for h in series]


def same_numbers(series: Sequence[InstanceHeader]) -> list[InstanceHeader]:
    """So that the numbers cannot tell the passes apart."""
    return [replace(each, instance_number=1) for each in series]


def of_one_pass(headers: Sequence[InstanceHeader]) -> bool:
    return len({int(each.sop_instance_uid.split(".")[-1]) // 1000 for each in headers}) == 1


@pytest.mark.parametrize(("first", "second"), ONE_VALUE, ids=str)
def test_two_passes_half_a_slice_apart_are_two_stacks(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    series = same_numbers(passes(first, second))
    found = stacks_of(series)
    assert [len(each.stack.headers) for each in found] == [40, 40]
    assert all(of_one_pass(each.stack.headers) for each in found)
    decision = judge_eligibility(series, POLICY)
    assert decision.eligible
    assert of_one_pass(decision.stack.headers)
    assert "2: " in str(next(r.value for r in decision.reasons if r.rule == "stacks"))


@pytest.mark.parametrize("shift", [0.0, 0.15, 1 / 3, 0.5, 0.8])
@pytest.mark.parametrize("start", [0, 5, 12])
@pytest.mark.parametrize("count", [2, 3])
def test_any_number_of_passes_at_any_shift_and_start(shift: float, start: int, count: int) -> None:
    series = [
        ct_header(1000 * n + i, z=2.4 * (i + n * (start + shift)), acquisition_number=n)
        for n in range(count)
        for i in range(40)
    ]
    found = stacks_of(series)
    assert [len(each.stack.headers) for each in found] == [40] * count
    assert all(of_one_pass(each.stack.headers) for each in found)


def timed(start: float, step: float, down: bool, name: str) -> list[dict[str, Any]]:
    """What 40 slices say: each was acquired `step` seconds after the one before it."""
    values = [start + step * i for i in range(40)]
    written = [f"10{int(v) // 60:02d}{v % 60:09.6f}" for v in (values[::-1] if down else values)]
    if name == "acquisition_time":
        return [{name: value} for value in written]
    return [{"labels": ((name, value),)} for value in written]


@pytest.mark.parametrize("name", ["acquisition_time", "ContentTime"])
@pytest.mark.parametrize("step", [0.05, 0.4, 2.0])
@pytest.mark.parametrize("down", [False, True], ids=["same way", "back"])
def test_each_slice_its_own_time_and_the_table_moves_twice(
    name: str, step: float, down: bool
) -> None:
    first, second = timed(0, step, False, name), timed(40 * step + 3, step, down, name)
    series = [
        ct_header(1000 * n + i, z=2.4 * i + 1.2 * n, **change)
        for n, changes in enumerate((first, second))
        for i, change in enumerate(changes)
    ]
    found = stacks_of(same_numbers(series))
    assert [len(each.stack.headers) for each in found] == [40, 40]
    assert all(of_one_pass(each.stack.headers) for each in found)


@pytest.mark.parametrize("down", [False, True], ids=["same way", "back"])
def test_a_shuttle_without_a_pause_is_told_by_where_it_turns(down: bool) -> None:
    second = timed(40 * 0.05, 0.05, down, "acquisition_time")
    series = [
        ct_header(1000 * n + i, z=2.4 * i + 1.2 * n, **change)
        for n, changes in enumerate((timed(0, 0.05, False, "acquisition_time"), second))
        for i, change in enumerate(changes)
    ]
    found = stacks_of(same_numbers(series))
    assert [len(each.stack.headers) for each in found] == [40, 40]
    assert all(of_one_pass(each.stack.headers) for each in found)


@pytest.mark.parametrize("where", ["image_comments", "FrameComments"])
def test_comments_are_not_quoted(where: str) -> None:
    """They are free text, in which a person may be named."""
    changes: list[dict[str, Any]] = [
        {where: text} if where == "image_comments" else {"labels": ((where, text),)}
        for text in ("Doe^Jane inspiration", "Doe^Jane expiration")
    ]
    decision = judge_eligibility(same_numbers(passes(*changes)), POLICY)
    told = " ".join(map(str, decision.reasons))
    assert "Comments of 20 letters (40 slices)" in told
    assert "Jane" not in told


def test_passes_that_only_their_numbers_tell() -> None:
    found = stacks_of(passes({}, {}))
    assert [each.name for each in found] == [
        "pass by Instance Number 1 (40 slices)",
        "pass by Instance Number 2 (40 slices)",
    ]


@pytest.mark.parametrize("count", [2, 3])
def test_passes_that_only_equal_numbers_tell(count: int) -> None:
    found = stacks_of(own_numbers(passes(*[{}] * count)))
    assert [each.name for each in found] == [
        f"pass by equal Instance Numbers {n} (40 slices)" for n in range(1, count + 1)
    ]
    assert all(of_one_pass(each.stack.headers) for each in found)


@pytest.mark.parametrize("copies", [10, 40])
def test_equal_numbers_at_one_place_tell_nothing(copies: int) -> None:
    """Which of the two belongs to which pass only their UIDs would say, which say nothing."""
    series = ct_series(40)
    again = [replace(h, sop_instance_uid=f"1.{i}") for i, h in enumerate(series[-copies:])]
    assert not judge_eligibility([*series, *again], POLICY).eligible


@pytest.mark.parametrize("digits", [1, 2])
def test_equal_numbers_at_places_that_rounding_moved_tell_nothing(digits: int) -> None:
    series = ct_series(40, 0.625)
    again = [
        replace(
            h,
            sop_instance_uid=f"1.{i}",
            image_position_patient=(-180.0, -170.0, round(h.image_position_patient[2], digits)),
        )
        for i, h in enumerate(series)
        if h.image_position_patient is not None
    ]
    assert not judge_eligibility([*series, *again], POLICY).eligible


def test_short_passes_in_turn_are_skipped_with_the_reason() -> None:
    series = same_numbers(passes({"acquisition_number": 1}, {"acquisition_number": 2}, slices=8))
    decision = judge_eligibility(series, POLICY)
    assert [str(r.value) for r in decision.failures if r.rule == "one_pass"] == [
        "slices of several passes or phases in turn, as Acquisition Number tells"
    ]


def test_ranks_that_would_mix_passes_are_not_made() -> None:
    """Numbers that count the slices at a place, whichever phase comes first there."""
    series = [
        ct_header(2 * i + (i + n) % 2, z=2.0 * i, cardiac_phase=f"{n}{i % 2}")
        for i in range(40)
        for n in range(2)
    ]
    decision = judge_eligibility(series, POLICY)
    assert not decision.eligible


def runs(length: int, **names: Any) -> list[InstanceHeader]:
    """One scan whose labels change every `length` slices."""
    return [
        replace(h, **{name: show(i // length) for name, show in names.items()})
        for i, h in enumerate(ct_series(120, 1.0))
    ]


def seconds(value: float) -> str:
    return f"1010{value:09.6f}"


LEGAL = {
    "rotations of 4": runs(4, acquisition_number=lambda n: n, acquisition_time=seconds),
    "rotations of 16 with a pause": runs(16, acquisition_time=lambda n: seconds(4.0 * n)),
    "one rotation a slice": runs(1, acquisition_number=lambda n: n),
    "a helix with its times": runs(1, acquisition_time=lambda n: seconds(0.07 * n)),
    "slow single slices": runs(1, acquisition_time=lambda n: f"10{n // 30:02d}{2 * (n % 30):02d}"),
    "seconds of a helix": runs(9, labels=lambda n: (("ContentTime", seconds(n)),)),
    "chest and liver": runs(60, acquisition_number=lambda n: n, image_comments=str),
    "chest, liver, chest": runs(40, acquisition_number=lambda n: n % 2),
    "tube current in Scan Options": runs(30, labels=lambda n: (("ScanOptions", str(n % 2)),)),
    "comments on some": [
        replace(h, image_comments="nodule" if i in {3, 40, 41, 42, 80, 100} else "")
        for i, h in enumerate(ct_series(120, 1.0))
    ],
    "a comment on each": runs(1, image_comments=str),
    "random numbers": [
        replace(h, instance_number=n)
        for h, n in zip(ct_series(120, 1.0), random.Random(3).sample(range(1000), 120), strict=True)
    ],
    "numbers sorted as text": [
        replace(h, instance_number=n)
        for h, n in zip(ct_series(120, 1.0), sorted(range(120), key=str), strict=True)
    ],
    "random numbers that repeat": [
        replace(h, instance_number=n)
        for h, n in zip(
            ct_series(120, 1.0), random.Random(3).choices(range(60), k=120), strict=True
        )
    ],
    "numbers from rotation to rotation": runs(1, instance_number=lambda n: n % 16),
    "a speed that is measured": runs(1, labels=lambda n: (("TableSpeed", str(40 + n % 2 / 1e4)),)),
    "equal numbers": same_numbers(ct_series(120, 1.0)),
    "no numbers": [replace(h, instance_number=None) for h in ct_series(120, 1.0)],
    "computers that reconstruct side by side": [
        replace(h, labels=(("ContentTime", seconds((i * 0.09) + (i * 7 % 5) * 0.3)),))
        for i, h in enumerate(ct_series(120, 1.0))
    ],
    "the midnight between": [
        replace(h, acquisition_time=f"235959.{i:02d}" if i < 60 else f"000000.{i:03d}")
        for i, h in enumerate(ct_series(120, 1.0))
    ],
}


@pytest.mark.parametrize("name", LEGAL)
def test_one_scan_stays_one_volume(name: str) -> None:
    decision = judge_eligibility(LEGAL[name], POLICY)
    assert decision.eligible, decision.failures
    assert len(decision.stack.headers) == 120
    assert not passes_in_turn(decision.stack)


@pytest.mark.parametrize(
    ("labels", "mixed"),
    [
        ("", False),
        ("aaaaaaaabbbbbbbb", False),
        ("aabbccddeeffgghh", False),
        ("aaaabaaaabaaaabaaaab", True),
        ("aaaabaaaacaaaadaaaae", False),
        ("abababab", True),
        ("ababab", False),
        ("abcabcabcabc", True),
        ("aaaaaaaaaabababababbbbbbbb", True),
        ("a" * 10 + "b" * 10 + "a" * 10 + "b" * 10, False),
    ],
)
def test_in_turn(labels: str, mixed: bool) -> None:
    assert in_turn(labels) == mixed


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("101010", 36610.0),
        ("1010", 36600.0),
        ("101010.5", 36610.5),
        ("19700102000001.25", 86401.25),
        ("19700102000001+0200", 86401.0),
        ("19709902000001", None),
        ("", None),
        ("10:10:10", None),
        ("ten", None),
    ],
)
def test_seconds(written: str, seconds: float | None) -> None:
    assert seconds_of(written) == seconds


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(ONE_VALUE),
    st.integers(10, 20),
    st.floats(0.0, 0.99),
    st.integers(0, 5),
    st.data(),
)
def test_in_any_order_no_stack_ever_holds_two_passes(
    labels: tuple[dict[str, Any], dict[str, Any]],
    slices: int,
    shift: float,
    start: int,
    data: st.DataObject,
) -> None:
    series = [
        ct_header(1000 * n + i, z=2.0 * (i + n * (start + shift)), **change)
        for n, change in enumerate(labels)
        for i in range(slices)
    ]
    numbered = data.draw(st.sampled_from([series, same_numbers(series)]))
    shuffled = data.draw(st.permutations(numbered))
    assert stacks_of(shuffled) == stacks_of(numbered)
    decision = judge_eligibility(shuffled, POLICY)
    assert decision == judge_eligibility(numbered, POLICY)
    assert not decision.eligible or of_one_pass(decision.stack.headers)
