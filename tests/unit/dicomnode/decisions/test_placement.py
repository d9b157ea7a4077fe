"""How many workers are placed: within bounds, for what waits, and not all at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.placement import Bounds, Standing, workers_to_place
from storage.overview_records import Waiting

COUNTS = st.integers(0, 200)
SECONDS = st.floats(0, 1e7)
LONG = 1e9


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    most = draw(st.integers(1, 100))
    return Bounds(draw(st.integers(0, most)), most, draw(st.floats(1, 3600)))


STANDING = st.builds(Standing, COUNTS, SECONDS)
WAITING = st.builds(Waiting, COUNTS, SECONDS)


@given(STANDING, WAITING, bounds())
def test_there_are_never_fewer_than_the_least_nor_more_than_the_most(
    standing: Standing, waiting: Waiting, within: Bounds
) -> None:
    more = workers_to_place(standing, waiting, within)
    assert more >= 0
    assert standing.count + more >= within.least
    assert standing.count + more <= max(within.most, standing.count)


@given(STANDING, WAITING, bounds())
def test_beyond_the_least_there_are_no_more_than_series_wait_and_at_most_twice_as_many(
    standing: Standing, waiting: Waiting, within: Bounds
) -> None:
    more = workers_to_place(standing, waiting, within)
    missing = max(0, within.least - standing.count)
    assert more <= max(missing, waiting.count)
    assert more <= max(missing, standing.count, 1)


@given(STANDING, WAITING, bounds(), SECONDS, COUNTS)
def test_the_longer_and_the_more_wait_the_more_are_placed(
    standing: Standing, waiting: Waiting, within: Bounds, longer: float, further: int
) -> None:
    worse = Waiting(waiting.count + further, waiting.oldest_seconds + longer)
    assert workers_to_place(standing, worse, within) >= workers_to_place(standing, waiting, within)


@given(st.integers(1, 100), WAITING, COUNTS)
def test_a_fixed_number_is_filled_up_and_never_more(
    number: int, waiting: Waiting, standing: int
) -> None:
    more = workers_to_place(Standing(standing, LONG), waiting, Bounds(number, number))
    assert more == max(0, number - standing)


@given(bounds(), COUNTS)
def test_while_nothing_waits_for_too_long_nothing_is_placed_beyond_the_least(
    within: Bounds, count: int
) -> None:
    waiting = Waiting(count, within.patience_seconds)
    assert workers_to_place(Standing(within.least, LONG), waiting, within) == 0


@given(bounds())
def test_a_queue_that_stays_long_gets_all_that_may_be_in_few_steps(within: Bounds) -> None:
    """Each time that the last had time to begin."""
    standing, steps, waiting = 0, 0, Waiting(200, LONG)
    while more := workers_to_place(Standing(standing, LONG), waiting, within):
        standing, steps = standing + more, steps + 1
    assert standing == within.most
    assert steps <= 8, "it doubles"


def test_those_that_were_placed_last_are_given_time() -> None:
    waiting, within = Waiting(50, LONG), Bounds(1, 8, 60.0)
    assert workers_to_place(Standing(1, 59.0), waiting, within) == 0
    assert workers_to_place(Standing(1, 60.0), waiting, within) == 1
    assert workers_to_place(Standing(2, 60.0), waiting, within) == 2
    assert workers_to_place(Standing(6, 60.0), waiting, within) == 2


@pytest.mark.parametrize(("least", "most"), [(2, 1), (-1, 1), (0, 0)])
def test_bounds_that_hold_no_number_are_refused(least: int, most: int) -> None:
    with pytest.raises(ValueError, match="worker"):
        Bounds(least, most)
