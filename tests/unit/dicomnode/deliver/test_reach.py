"""Whether a destination can be reached, and how much it may be sent."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest

from dicomnode.decisions.retry import RetryPolicy
from dicomnode.deliver.reach import Reach
from support.clock import StandingClock
from support.storage_samples import NOW


def granted(reach: Reach, wanted: int = 5) -> int:
    with reach.entered(wanted) as number:
        return number


def test_one_of_many_tries_a_destination_that_is_away() -> None:
    clock = StandingClock(NOW)
    reach = Reach(RetryPolicy(jitter_share=0), 0, clock)
    with reach.entered(5) as first, reach.entered(5) as second:
        assert (first, second) == (5, 5)
    assert reach.is_away() == (clock.now().replace(second=10), True)
    assert granted(reach) == 0
    clock.move(10)
    with reach.entered(5) as probing, reach.entered(5) as beside:
        assert (probing, beside) == (5, 0)
        until, news = reach.is_away()
        assert ((until - clock.now()).total_seconds(), news) == (20, False)
    for _ in range(5):
        until, _ = reach.is_away()
    assert (until - clock.now()).total_seconds() == 30
    assert reach.works()
    assert not reach.works()
    assert granted(reach) == 5


@pytest.mark.parametrize(("asked", "seconds"), [(5.0, 10), (500.0, 500)])
def test_a_destination_that_asks_for_patience_gets_it(asked: float, seconds: float) -> None:
    clock = StandingClock(NOW)
    reach = Reach(RetryPolicy(jitter_share=0), 0, clock)
    until, _ = reach.is_away(asked)
    assert (until - clock.now()).total_seconds() == seconds
    clock.move(seconds - 1)
    assert granted(reach) == 0
    clock.move(1)
    assert granted(reach) == 5


class SetClock(StandingClock):
    """One that somebody sets back by so much."""

    back = timedelta(0)

    def now(self) -> datetime:
        return super().now() - self.back


def test_a_clock_that_is_set_back_keeps_no_destination_waiting() -> None:
    clock = SetClock(NOW)
    reach = Reach(RetryPolicy(jitter_share=0), 0, clock)
    reach.is_away()
    clock.back = timedelta(days=1)
    clock.move(9)
    assert granted(reach) == 0
    clock.move(1)
    assert granted(reach) == 5


def test_a_refusal_of_all_is_believed_when_it_is_said_at_another_object() -> None:
    reach = Reach(RetryPolicy(), 0, StandingClock(NOW))
    assert not reach.refused_another("2.25.1")
    assert not reach.refused_another("2.25.1")
    assert reach.refused_another("2.25.2")
    reach.works()
    assert not reach.refused_another("2.25.1")


def test_who_began_before_it_was_away_ends_no_try_of_another() -> None:
    clock = StandingClock(NOW)
    reach = Reach(RetryPolicy(), 0, clock)
    with ExitStack() as early, ExitStack() as trying:
        early.enter_context(reach.entered(5))
        reach.is_away()
        clock.move(60)
        assert trying.enter_context(reach.entered(5)) == 5
        early.close()
        assert granted(reach) == 0
        reach.works()  # what is tried arrives: the others need not wait for the rest of it
        assert granted(reach) == 5


def test_two_broken_associations_in_a_row_are_one_too_many() -> None:
    reach = Reach(RetryPolicy(), 0, StandingClock(NOW))
    assert not reach.breaks()
    reach.works()
    assert not reach.breaks()
    assert reach.breaks()


def test_no_more_than_so_many_objects_in_any_minute() -> None:
    clock = StandingClock(NOW)
    reach = Reach(RetryPolicy(), 10, clock)
    assert granted(reach, 6) == 6
    reach.give_back(2)
    clock.move(30)
    assert granted(reach, 64) == 6
    assert granted(reach, 64) == 0
    clock.move(30)
    assert granted(reach, 64) == 4
    clock.move(29)
    assert granted(reach, 64) == 0
    clock.move(1)
    assert granted(reach, 64) == 6
