"""The picture of a day: each series in its hour, and nothing beside the picture."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dicomnode.web.chart import KINDS, chart
from storage.recent import EndedSeries
from storage.records import SeriesState
from support.seen import AT


def ended(state: SeriesState, minutes: int) -> EndedSeries:
    at = AT - timedelta(minutes=minutes)
    return EndedSeries(state, at, at, "CT1", 300, ())


def test_each_hour_is_a_column_and_the_highest_fills_the_picture() -> None:
    series = [ended(SeriesState.ANALYSED, 5), ended(SeriesState.FAILED, 6)]
    series.append(ended(SeriesState.SKIPPED, 60))
    made = chart(series, AT)
    assert made.most == 2
    assert made.words == (
        "Series of the last 24 hours: 1 analysed, 1 skipped, 1 failed; at most 2 in an hour."
    )
    last = [bar for bar in made.bars if bar.x > made.width * 23 / 24]
    assert {(bar.kind, bar.y, bar.height) for bar in last} == {
        ("analysed", 60.0, 60.0),
        ("failed", 0.0, 60.0),
    }
    assert made.ticks == ("15:00", "21:00", "03:00", "09:00")


def test_of_an_empty_day_nothing_is_drawn() -> None:
    assert chart([], AT).bars == ()


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 3000)), max_size=60))
def test_what_is_drawn_lies_in_the_picture_and_counts_the_day(
    found: list[tuple[SeriesState, int]],
) -> None:
    made = chart([ended(state, minutes) for state, minutes in found], AT)
    assert all(bar.x >= 0 and bar.x + bar.width <= made.width for bar in made.bars)
    assert all(bar.y >= -0.1 and bar.y + bar.height <= made.height + 0.2 for bar in made.bars)
    day = [state for state, minutes in found if minutes <= 23 * 60 + 30]
    counted: Counter[str] = Counter()
    for bar in made.bars:
        counted[bar.kind] += round(bar.height / made.height * made.most)
    assert counted == Counter(state.value for state in day)
