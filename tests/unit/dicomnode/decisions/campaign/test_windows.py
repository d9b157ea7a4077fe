"""However an archive caps its answers, no study is lost unless it is told, and none is asked for
twice."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.campaign.windows import (
    LAST_SECOND,
    Window,
    halves,
    seems_capped,
    windows,
)

FIRST = date(2024, 2, 26)
Moment = tuple[date, int]

days = st.integers(0, 20).map(lambda number: FIRST + timedelta(days=number))
moments = st.tuples(days, st.one_of(st.integers(0, LAST_SECOND), st.integers(43200, 43203)))


def has(window: Window, moment: Moment) -> bool:
    day, second = moment
    return window.first <= day <= window.last and window.begin <= second <= window.end


def asked(
    studies: list[Moment], cap: int, *, silent: bool
) -> tuple[set[int], list[Window], list[Window]]:
    """What is found, the windows that ended it, and those of them that are told as capped.

    `silent`: the archive does not say that it has more, and its cap is known.
    """
    found: set[int] = set()
    ended, told = [], []
    left = list(windows(FIRST, FIRST + timedelta(days=20)))
    while left:
        window = left.pop()
        matching = [number for number, each in enumerate(studies) if has(window, each)]
        found |= set(matching[:cap])
        cut = seems_capped(min(len(matching), cap), cap) if silent else len(matching) > cap
        parts = halves(window) if cut else ()
        left += parts
        if not parts:
            ended.append(window)
            told += [window] if cut else []
    return found, ended, told


@given(st.lists(moments, max_size=60), st.integers(1, 12), st.booleans())
def test_all_is_found_or_told(studies: list[Moment], cap: int, silent: bool) -> None:
    found, ended, told = asked(studies, cap, silent=silent)
    lost = [each for number, each in enumerate(studies) if number not in found]
    assert all(any(has(window, each) for window in told) for each in lost)
    assert all(window.begin == window.end for window in told)
    for each in studies:  # each moment is asked for once
        assert sum(has(window, each) for window in ended) == 1


@given(st.builds(Window, days, st.just(FIRST + timedelta(days=20))), moments)
def test_halves_are_the_whole_and_share_nothing(window: Window, moment: Moment) -> None:
    while parts := halves(window):
        assert sum(has(part, moment) for part in parts) == has(window, moment)
        assert sum(part.days for part in parts) == pytest.approx(window.days)
        window = parts[moment[1] % 2]
    assert window.begin == window.end


def test_weeks_cover_all_days_once() -> None:
    made = list(windows(date(2024, 2, 26), date(2024, 3, 12)))
    assert [each.study_date for each in made] == [
        "20240226-20240303",
        "20240304-20240310",
        "20240311-20240312",
    ]
    assert sum(each.days for each in made) == 16
    assert list(windows(date(2024, 1, 2), date(2024, 1, 1))) == []


def test_keys_of_a_query() -> None:
    day = Window(FIRST, FIRST)
    assert (day.study_date, day.study_time) == ("20240226", "")
    morning, afternoon = halves(day)
    assert (morning.study_date, morning.study_time) == ("20240226", "000000-115959.999999")
    assert afternoon.study_time == "120000-235959.999999"


def test_a_round_number_may_be_a_cap_that_nobody_tells() -> None:
    assert [n for n in range(1, 140) if seems_capped(n, 0)] == [50, 64, 100, 128]
    assert [n for n in (30, 39, 40, 41, 50) if seems_capped(n, 40)] == [40, 41, 50]
