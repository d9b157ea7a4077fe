"""Campaigns and their windows."""

from __future__ import annotations

from datetime import date

from storage import campaign_series, campaigns
from storage.campaign_records import CampaignState, FoundState, WindowState
from storage.database import Database
from support.campaigns import ask_for, campaign, find
from support.storage_samples import NOW, SERIES, seconds

FIRST, LAST = date(2025, 2, 3), date(2025, 2, 20)


def test_a_campaign_has_windows_that_are_asked_for_in_turn(database: Database) -> None:
    made = campaign(database, first=FIRST, last=LAST)
    number = made.campaign_id
    with database.write() as session:
        first = campaigns.next_window(session, number)
        assert first is not None
        halves = [(FIRST, date(2025, 2, 5), 0, 9), (date(2025, 2, 6), first.last, 0, 9)]
        halved = (session, number, first.window_id, WindowState.HALVED, 100, "", halves)
        assert campaigns.end_window(*halved)
        assert not campaigns.end_window(*halved)  # by another runner, late
        second = campaigns.next_window(session, number)
    assert second is not None
    assert (second.first, second.last, second.end) == (*halves[0][:2], 9)
    with database.read() as session:
        states = [each.state for each in campaigns.windows_of(session, number)]
    assert sorted(states) == [WindowState.HALVED, *[WindowState.OPEN] * 4]


def test_names_differ_and_a_campaign_can_be_removed(database: Database) -> None:
    made = campaign(database)
    find(database, made, SERIES)
    with database.write() as session:
        assert not campaigns.create(session, "c1", {}, "", "", (), NOW)
        campaigns.remove(session, made.campaign_id)
        assert campaigns.every(session) == ()
        assert campaigns.create(session, "c1", {}, "", "", (), NOW)


def test_a_runner_says_what_it_waits_for_and_hears_what_to_do(database: Database) -> None:
    made = campaign(database)
    with database.write() as session:
        assert campaigns.state_of(session, made) is CampaignState.READY
        assert campaigns.pause(session, made.campaign_id) is CampaignState.PAUSED
        assert campaigns.state_of(session, made) is CampaignState.PAUSED
        campaigns.say(session, made.campaign_id, "the night", NOW + seconds(5))
        found = campaigns.find(session, "c1")
    assert found is not None
    assert (found.waits_for, found.heard_at) == ("the night", NOW + seconds(5))


def test_what_a_campaign_is_told_in_each_state(database: Database) -> None:
    """The whole table: what `pause`, `resume` and `end` make of it."""
    ready, paused, done = CampaignState.READY, CampaignState.PAUSED, CampaignState.DONE
    way = {ready: (), paused: (campaigns.pause,), done: (campaigns.end,)}
    becomes = {
        campaigns.pause: {ready: paused, paused: paused, done: done},
        campaigns.resume: {ready: ready, paused: ready, done: ready},
        campaigns.end: {ready: done, paused: paused, done: done},
    }
    for act, table in becomes.items():
        for before, after in table.items():
            made = campaign(database, name=f"{act.__name__} {before}")
            with database.write() as session:
                for turn in (*way[before], act):
                    turn(session, made.campaign_id)
            with database.read() as session:
                assert campaigns.state_of(session, made) is after, (act.__name__, before)


def test_one_that_was_done_asks_once_more_and_one_that_was_paused_does_not(
    database: Database,
) -> None:
    number = campaign(database).campaign_id
    with database.write() as session:
        window = campaigns.next_window(session, number)
        assert window is not None
        campaigns.end_window(session, number, window.window_id, WindowState.CAPPED, 9, "short")
        campaigns.pause(session, number)
        assert not campaigns.resume(session, number)
        assert campaigns.next_window(session, number) is None
        assert campaigns.end(session, number)
        assert campaigns.resume(session, number)
        assert campaigns.next_window(session, number) == window


def test_who_works_on_one_that_was_removed_touches_no_other_of_its_number_and_name(
    database: Database,
) -> None:
    """SQLite gives the number of the last row again."""
    first = campaign(database)
    with database.write() as session:
        assert campaigns.keep(session, first)
        campaigns.remove(session, first.campaign_id)
        later = NOW + seconds(1)
        assert campaigns.create(session, "c1", first.plan, "", "", (), later)
        assert campaigns.state_of(session, first) is None
        assert not campaigns.keep(session, first)


def test_what_is_left_and_how_far_it_is(database: Database) -> None:
    made = campaign(database)
    number = made.campaign_id
    claimed = ask_for(database, made, SERIES)
    with database.write() as session:
        assert not campaigns.nothing_left(session, number)
        window = campaigns.next_window(session, number)
        assert window is not None
        campaigns.end_window(session, number, window.window_id, WindowState.ASKED, 1)
        campaign_series.pulled(session, claimed, 120, NOW)
        assert not campaigns.nothing_left(session, number)
        assert campaigns.series_by_state(session, number) == {FoundState.PULLED: (1, 120, 0)}
        assert campaigns.pulled_since(session, number, NOW - seconds(1)) == (120, NOW)
        assert campaigns.pulled_since(session, number, NOW) == (0, None)
        assert campaigns.ended_since(session, number, NOW - seconds(1)) == (0, None)
