"""The time that is left, by what is the limit."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.campaign.outlook import Done, Outlook, outlook
from dicomnode.decisions.campaign.pace import Limit
from dicomnode.decisions.campaign.plan import Plan

DAY = date(2026, 3, 1)
PLAN = Plan("pacs", "pacs", DAY, DAY)
HOUR = 3600.0


def test_nothing_left_takes_no_time() -> None:
    assert outlook(PLAN, Done(days_asked=7, fallen=3, ended=2, images=400)).left == timedelta(0)


@pytest.mark.parametrize(
    "done", [Done(), Done(days_open=7), Done(found=3), Done(days_asked=7, wanted=3, images=900)]
)
def test_nothing_is_told_before_it_was_measured(done: Done) -> None:
    known = done == Done()
    assert (outlook(PLAN, done).left is None) != known


def test_the_slower_of_archive_and_workers_is_the_limit() -> None:
    measured = Done(
        days_asked=7, wanted=10, ended=10, images=2000, images_lately=1000, lately_seconds=HOUR
    )
    many = Done(**(vars(measured) | {"ended_lately": 20}))
    few = Done(**(vars(measured) | {"ended_lately": 1}))
    assert outlook(PLAN, many) == Outlook(
        timedelta(seconds=3600),  # 10 series of 100 images, 1000 images an hour
        Limit.RATE,
        "as fast as series come, at most 10 images a second",
    )
    slow = outlook(PLAN, few)
    assert (slow.left, slow.limit) == (timedelta(hours=10), Limit.WORKERS)


def test_a_third_of_the_day_takes_three_times_as_long() -> None:
    done = Done(
        days_asked=1,
        wanted=1,
        ended=1,
        images=200,
        images_lately=100,
        ended_lately=1000,
        lately_seconds=100,
    )
    night = Plan("pacs", "pacs", DAY, DAY, from_hour=22, to_hour=6)
    all_day, by_night = outlook(PLAN, done).left, outlook(night, done).left
    assert all_day is not None
    assert by_night == 3 * all_day


def test_what_is_not_known_yet_is_expected_to_be_alike() -> None:
    """Half of the days are asked for, a quarter of what was found is wanted."""
    done = Done(
        days_asked=10,
        days_open=10,
        fallen=60,
        ended=20,
        images=2000,
        images_lately=100,
        ended_lately=20,
        lately_seconds=100,
    )
    seen = outlook(PLAN, done)
    assert seen.left == timedelta(seconds=2000)  # 20 series of 100 images at one a second
    assert seen.estimated


counts = st.integers(0, 10**6)


@given(
    st.builds(
        Done,
        days_asked=st.floats(0, 10**4),
        days_open=st.floats(0, 10**4),
        found=counts,
        fallen=counts,
        wanted=counts,
        pulled=counts,
        ended=counts,
        images=counts,
        images_lately=counts,
        ended_lately=counts,
        lately_seconds=st.floats(0, HOUR),
    )
)
def test_it_is_never_negative_and_never_fails(done: Done) -> None:
    left = outlook(PLAN, done).left
    assert left is None or left >= timedelta(0)
