"""When a run of the canary is due, and what of its analysis is not as it must be."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dicomnode.decisions.operating.canary import (
    CanaryPolicy,
    FormerRun,
    Setting,
    occasion_of_run,
    problems_of,
)
from dicomnode.decisions.reasons import Reason, Verdict

ON = CanaryPolicy(enabled=True, at="03:15")
SETTING = Setting("1.0", "c1", "m1")
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TONIGHT = datetime(2026, 3, 3, 3, 15, tzinfo=UTC)
FORMER = FormerRun(SETTING, NOON, NOON + timedelta(minutes=2))
LUNGS = Reason("lung_volume", "3805 ml", "at least 500 ml", Verdict.PASS)
SCORES = {"lungs": {"COVID-19": 0.74, "non-pneumonia": 0.26}}


def test_it_runs_once_a_night() -> None:
    assert occasion_of_run(ON, SETTING, FORMER, TONIGHT - timedelta(seconds=1)) is None
    assert occasion_of_run(ON, SETTING, FORMER, TONIGHT) == "nightly"
    ran = replace(FORMER, started_at=TONIGHT)
    assert occasion_of_run(ON, SETTING, ran, TONIGHT + timedelta(hours=23)) is None


def test_a_node_that_was_off_at_night_runs_it_when_it_is_back() -> None:
    assert occasion_of_run(ON, SETTING, FORMER, TONIGHT + timedelta(hours=5)) == "nightly"


@pytest.mark.parametrize("name", ["version", "configuration", "models"])
def test_each_change_is_an_occasion(name: str) -> None:
    changed = replace(SETTING, **{name: "other"})
    assert occasion_of_run(ON, changed, FORMER, NOON + timedelta(hours=1)) == f"new {name}"


def test_the_first_is_at_once_and_none_where_it_is_off() -> None:
    assert occasion_of_run(ON, SETTING, None, NOON) == "first run"
    assert occasion_of_run(CanaryPolicy(), SETTING, None, NOON) is None


@pytest.mark.parametrize("ended_at", [None, NOON + timedelta(days=400)])
def test_a_run_of_the_future_keeps_none_back(ended_at: datetime | None) -> None:
    """The clock was wrong then, and has been set right."""
    future = replace(FORMER, started_at=NOON + timedelta(days=400), ended_at=ended_at)
    assert occasion_of_run(ON, SETTING, future, NOON) == "nightly"


def test_while_one_is_under_way_there_is_no_other_until_it_must_be_lost() -> None:
    under_way = replace(FORMER, started_at=TONIGHT - timedelta(minutes=1), ended_at=None)
    assert occasion_of_run(ON, SETTING, under_way, TONIGHT) is None
    assert occasion_of_run(ON, SETTING, under_way, TONIGHT + timedelta(hours=1)) == "nightly"


@given(st.integers(0, 365 * 24 * 60), st.integers(0, 48 * 60))
def test_between_two_nights_there_is_one_run(start: int, minutes: int) -> None:
    """Looked at each minute for two days, whenever that begins."""
    now = NOON + timedelta(minutes=start)
    former, runs = replace(FORMER, started_at=now, ended_at=now), 0
    for minute in range(minutes):
        at = now + timedelta(minutes=minute)
        if occasion_of_run(ON, SETTING, former, at) is not None:
            former, runs = replace(former, started_at=at, ended_at=at), runs + 1
    assert abs(runs - minutes / (24 * 60)) <= 1


@pytest.mark.parametrize("at", ["3:15", "24:00", "03:60", "night", ""])
def test_what_is_no_time_of_day_is_refused(at: str) -> None:
    with pytest.raises(ValidationError):
        CanaryPolicy(at=at)


def problems(
    scores: dict[str, dict[str, float]],
    first: dict[str, dict[str, float]] | None = None,
    lungs: Reason = LUNGS,
) -> tuple[str, ...]:
    return problems_of(scores, [lungs], first or {}, tolerance=0.01, lungs_ml=3801.0)


def test_the_same_as_at_first_is_as_it_must_be() -> None:
    assert problems(SCORES) == ()
    assert problems(SCORES, {"lungs": {"COVID-19": 0.745, "non-pneumonia": 0.255}}) == ()


def test_another_score_and_a_missing_class_are_told() -> None:
    first = {"lungs": {"COVID-19": 0.80}, "regions": {"COVID-19": 0.5}}
    told = problems(SCORES, first)
    assert told == (
        "lungs: COVID-19 is 0.740, and was 0.800 at first",
        "regions: COVID-19 is missing",
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.1])
def test_what_is_no_probability_is_told(value: float) -> None:
    assert len(problems({"lungs": {"COVID-19": value}})) == 1
    assert problems({}) == ("no method came to an answer",)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [("3805 ml", False), ("3100 ml", False), ("2900 ml", True), ("4700 ml", True), (None, True)],
)
def test_lungs_of_another_size_are_told(value: str | None, wrong: bool) -> None:
    assert bool(problems(SCORES, lungs=replace(LUNGS, value=value))) is wrong
