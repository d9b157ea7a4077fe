"""Is a sender silent? By its own hours, or by how its last weeks went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.operating.health_policy import ExpectedSource, Weekday
from dicomnode.decisions.operating.silence import missed_studies, silent_hours
from storage.overview_records import Source

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)


def steady(last_at: datetime, weeks: int, studies: int = 1) -> Source:
    """So many studies in each hour of the weeks before."""
    first = last_at.replace(minute=0) - WEEK * weeks
    hours = tuple((first + HOUR * number, studies) for number in range(weeks * 168 + 1))
    return Source("CT1", last_at, hours)


@pytest.mark.parametrize("weeks", [2, 3, 4, 5])
def test_of_a_steady_sender_each_hour_is_missed(weeks: int) -> None:
    assert missed_studies(steady(NOW - 3 * HOUR, weeks, 2), NOW) == pytest.approx(6.0)


def test_one_week_is_no_habit_and_no_past_none_at_all() -> None:
    assert missed_studies(steady(NOW - 3 * HOUR, 1), NOW) == 0.0
    assert missed_studies(Source("CT1", NOW - 3 * HOUR), NOW) == 0.0


def test_nights_and_weekends_without_studies_are_not_missed() -> None:
    """It works from 8 to 17 on weekdays, two studies an hour."""
    last_at = datetime(2026, 2, 27, 16, 30, tzinfo=UTC)  # a Friday
    first = datetime(2026, 1, 26, 0, 0, tzinfo=UTC)
    hours = (first + HOUR * number for number in range(33 * 24))
    open_hours = tuple((at, 2) for at in hours if at.weekday() < 5 and 8 <= at.hour < 17)
    source = Source("CT1", last_at, tuple(each for each in open_hours if each[0] <= last_at))
    monday = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    assert missed_studies(source, monday) == pytest.approx(1.0), "half an hour of Friday"
    assert missed_studies(source, monday + 5 * HOUR) == pytest.approx(11.0)


@given(st.integers(0, 40 * 24), st.integers(0, 59), st.integers(2, 5))
def test_what_is_missed_only_grows_and_never_beyond_a_week(
    hours: int, minutes: int, weeks: int
) -> None:
    source = steady(NOW, weeks)
    later = NOW + HOUR * hours + timedelta(minutes=minutes)
    missed = missed_studies(source, later)
    assert 0.0 <= missed <= missed_studies(source, later + HOUR) <= 168.0 + 1e-6


def test_only_the_hours_that_count_are_counted() -> None:
    expected = ExpectedSource("CT1", 4.0, 7, 19, (Weekday.MON, Weekday.TUE))
    friday = datetime(2026, 2, 27, 18, 0, tzinfo=UTC)
    assert silent_hours(expected, friday, NOW) == 24.0
    tuesday = datetime(2026, 3, 3, 17, 30, tzinfo=UTC)
    assert silent_hours(expected, tuesday, NOW) == 1.5
    assert silent_hours(expected, NOW, NOW) == 0.0


def test_the_hours_are_those_of_the_clock_on_the_wall() -> None:
    east = timezone(timedelta(hours=8))
    morning = ExpectedSource("CT1", 1.0, 8, 12)
    at_six = datetime(2026, 3, 4, 6, 0, tzinfo=east)
    assert silent_hours(morning, at_six.astimezone(UTC), at_six + 3 * HOUR) == 1.0


@given(st.integers(0, 23), st.integers(1, 24), st.integers(-500, 5000))
def test_hours_that_count_are_no_more_than_went_by(begin: int, end: int, minutes: int) -> None:
    if begin >= end:
        with pytest.raises(ValueError, match="from_hour"):
            ExpectedSource("CT1", 1.0, begin, end)
        return
    expected = ExpectedSource("CT1", 1.0, begin, end)
    went_by = timedelta(minutes=minutes)
    silent = silent_hours(expected, NOW - went_by, NOW)
    assert 0.0 <= silent <= max(went_by / HOUR, 0.0)
