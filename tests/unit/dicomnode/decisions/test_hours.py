"""Hours of a day, over midnight too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.hours import Hours

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


@given(st.integers(0, 24), st.integers(0, 24))
def test_there_are_as_many_as_they_say_and_they_begin_within_a_day(first: int, last: int) -> None:
    hours = Hours.parsed(f"{first}-{last}")
    times = [MIDNIGHT + timedelta(hours=hour, minutes=30) for hour in range(24)]
    assert sum(hours.has(each) for each in times) == hours.count
    for each in times:
        begin = hours.begin_after(each)
        assert each < begin <= each + timedelta(days=1)
        assert hours.has(begin)


@pytest.mark.parametrize(
    ("hour", "minute", "inside"),
    [
        *((21, 59, False), (22, 0, True), (23, 59, True)),
        *((0, 0, True), (5, 59, True), (6, 0, False), (12, 0, False)),
    ],
)
def test_a_night_goes_over_midnight(hour: int, minute: int, inside: bool) -> None:
    night, at = Hours.parsed("22-6"), MIDNIGHT.replace(hour=hour, minute=minute)
    assert night.has(at) is inside
    begin = MIDNIGHT.replace(hour=22)
    assert night.begin_after(at) == begin + timedelta(days=hour >= 22)


@pytest.mark.parametrize("wrong", ["", "22", "22-", "-6", "22-25", "22-6-7", "22:00-6:00", "a-b"])
def test_what_is_no_span_is_refused_with_what_would_be_one(wrong: str) -> None:
    with pytest.raises(ValueError, match="as 22-6"):
        Hours.parsed(wrong)
