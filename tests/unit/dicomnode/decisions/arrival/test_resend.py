"""Which copy of instances that came again stands: a table, by policy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicomnode.decisions.arrival.resend import (
    Claim,
    Copy,
    Pixels,
    ResendPolicy,
    Standing,
    elsewhere_reasons,
    held_reason,
    judge_resend,
    taken_reason,
)
from dicomnode.decisions.reasons import Verdict

SAME = Copy("own", True, (), Pixels.EQUAL)
ORDER = Copy("own", True, ("Accession Number",), Pixels.EQUAL)
PIXELS = Copy("own", True, (), Pixels.OTHER)
MOVED = Copy("theirs", False, ("Patient ID",), Pixels.EQUAL)
MOVED_ELSEWHERE = Copy("others", False, ("Patient ID",), Pixels.EQUAL)
MOVED_PIXELS = Copy("theirs", False, ("Patient ID",), Pixels.OTHER)
MOVED_AT_ONCE = replace(MOVED, at_once=True)
DAMAGED = Copy("own", True, (), Pixels.LATER_UNREADABLE)
DAMAGED_MOVED = Copy("theirs", False, (), Pixels.LATER_UNREADABLE)
REPAIRED = Copy("own", True, (), Pixels.FIRST_UNREADABLE)
REPAIRED_MOVED = Copy("theirs", False, ("Patient ID",), Pixels.FIRST_UNREADABLE)


@pytest.mark.parametrize(
    ("copies", "standing"),
    [
        ([SAME] * 3, Standing.SAME),
        ([ORDER] * 3, Standing.NEWEST),
        ([ORDER, SAME], Standing.NEWEST),
        ([PIXELS, SAME, SAME], Standing.HELD),
        ([ORDER, PIXELS], Standing.HELD),
        ([MOVED] * 3, Standing.NEWEST),
        ([MOVED] * 2, Standing.HELD),
        ([MOVED, MOVED, SAME], Standing.HELD),
        ([MOVED, MOVED, MOVED_ELSEWHERE], Standing.HELD),
        ([MOVED, MOVED, MOVED_PIXELS], Standing.HELD),
        ([MOVED, MOVED, MOVED_AT_ONCE], Standing.HELD),
        ([replace(ORDER, at_once=True)] * 3, Standing.NEWEST),
        ([DAMAGED], Standing.FIRST),
        ([DAMAGED, PIXELS], Standing.HELD),
        ([DAMAGED_MOVED] * 3, Standing.HELD),
        ([REPAIRED], Standing.NEWEST),
        ([REPAIRED_MOVED] * 3, Standing.HELD),
    ],
)
def test_by_default_the_newest_attributes_are_taken_and_doubt_is_held(
    copies: list[Copy], standing: Standing
) -> None:
    assert judge_resend(copies, 3, ResendPolicy.NEWEST) is standing


@pytest.mark.parametrize("copy", [ORDER, PIXELS, MOVED, DAMAGED, REPAIRED])
def test_the_other_policies_say_what_becomes_of_any_difference(copy: Copy) -> None:
    assert judge_resend([copy], 1, ResendPolicy.HOLD) is Standing.HELD
    assert judge_resend([copy], 1, ResendPolicy.FIRST) is Standing.FIRST


@pytest.mark.parametrize("policy", list(ResendPolicy))
def test_the_same_once_more_is_no_news(policy: ResendPolicy) -> None:
    assert judge_resend([SAME], 1, policy) is Standing.SAME


def test_a_hold_says_what_a_person_can_do() -> None:
    reason = held_reason(3, 12, {"pixels"}, "1.2.3")
    assert reason.verdict is Verdict.FAIL
    assert reason.value == "3 of its 12 instances came again with other pixels: held"
    assert "dicomnode queue release 1.2.3 --take first" in str(reason)


def test_a_choice_is_a_warning_with_the_attributes_and_no_values() -> None:
    names = [f"Attribute{n}" for n in range(8)]
    reason = taken_reason(3, 3, names, newest=True)
    assert reason.verdict is Verdict.WARNING
    assert str(reason.value).endswith("Attribute5 and 2 more; the newest were taken")


def test_each_other_series_is_named_once_with_its_count() -> None:
    named = ("1.3", "1.2")
    known_as = [Claim(named, ("1.5", "1.4"), False)] * 2 + [Claim(named, named, False)]
    taken, known = elsewhere_reasons([*known_as, Claim(named, ("1.9", "1.8"), True)], 9)
    assert (taken.rule, known.rule) == ("taken_elsewhere", "known_elsewhere")
    assert taken.value == ("1 of its 9 instances came again and are under series 1.9 of study 1.8")
    assert known.value == (
        "1 of its 9 instances are known under series 1.3 of study 1.2 with another Patient ID; "
        "2 of its 9 instances are known under series 1.5 of study 1.4"
    )
