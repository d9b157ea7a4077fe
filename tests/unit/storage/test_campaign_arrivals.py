"""Whose a series is: the campaign's that asked for it, until anybody sends it by himself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage import campaign_series, jobs, notes, queries, study
from storage.campaign_arrivals import LAST
from storage.campaign_records import FoundState
from storage.database import Database
from storage.models import SeriesRow
from storage.outbox import to_each
from storage.records import JobKind, SeriesRecord, SeriesState, StoredInstance, Superseded
from storage.series import record_analysed
from support.campaigns import ARCHIVE, ask_for, campaign
from support.storage_samples import (
    NOW,
    SERIES,
    instance,
    queue,
    receive,
    result,
    seconds,
    take,
)


def sent(number: int, after: float = 1.0, sender: str = ARCHIVE) -> StoredInstance:
    """An instance that comes so many seconds after the campaign asked for its series."""
    made = instance(number, received_at=NOW + seconds(after))
    return replace(made, calling_ae_title=sender)


def series(database: Database) -> SeriesRecord:
    with database.read() as session:
        detail = queries.series_detail(session, SERIES)
    assert detail is not None
    return detail.series


def destinations(database: Database) -> set[str]:
    with database.read() as session:
        detail = queries.series_detail(session, SERIES)
    assert detail is not None
    return {each.destination for each in detail.deliveries}


def analysed(database: Database, only_to: str | None, after: float = 5.0) -> Superseded | None:
    """Analysed by a worker that took it for `only_to`, for the clinic's and the research's PACS."""
    queue(database, now=NOW + seconds(after - 1))
    job = take(database, JobKind.ANALYSE, NOW + seconds(after - 0.5))
    with database.write() as session:
        return record_analysed(
            session,
            job,
            ended_at=NOW + seconds(after),
            analysis={},
            results=[result("sc")],
            destinations=to_each("PACS", "RESEARCH"),
            only_to=only_to,
        )


@pytest.mark.parametrize("only_to", ["", "RESEARCH"])
def test_what_was_asked_for_is_the_campaigns_and_comes_last(
    database: Database, only_to: str
) -> None:
    ask_for(database, campaign(database, only_to=only_to), SERIES)
    receive(database, sent(1), sent(2))
    found = series(database)
    assert (found.only_to, found.priority) == (only_to, LAST)
    assert analysed(database, only_to) is None
    assert destinations(database) == ({only_to} - {""})


def test_without_a_campaign_nothing_is_as_of_one(database: Database) -> None:
    campaign(database)
    receive(database, sent(1))
    found = series(database)
    assert (found.only_to, found.priority) == (None, 1)
    assert analysed(database, None) is None
    assert destinations(database) == {"PACS", "RESEARCH"}


@pytest.mark.parametrize(
    "instance_sent",
    [sent(1, after=-1.0), sent(1, sender="SCANNER")],
    ids=["before it was asked for", "from another sender"],
)
def test_what_comes_by_itself_is_clinical_from_the_start(
    database: Database, instance_sent: StoredInstance
) -> None:
    ask_for(database, campaign(database), SERIES)
    receive(database, instance_sent, sent(2))
    assert series(database).only_to is None


@pytest.mark.parametrize("again", [sent(1, 4.0), sent(3, 4.0), sent(1, 1.5, "SCANNER")])
def test_a_sender_makes_it_clinical_while_the_campaign_has_it(
    database: Database, again: StoredInstance
) -> None:
    """The same instances again, or more of them: who sends waits for an answer."""
    claimed = ask_for(database, campaign(database), SERIES)
    receive(database, sent(1), sent(2))
    with database.write() as session:
        campaign_series.pulled(session, claimed, 2, NOW + seconds(2))
    receive(database, again)
    found = series(database)
    assert (found.only_to, found.priority) == (None, 1)
    job = take(database, JobKind.ASSESS, NOW + seconds(9))
    assert job.priority == 1
    with database.write() as session:
        jobs.put_back(session, job, NOW, count_attempt=False)
    assert analysed(database, None) is None
    assert destinations(database) == {"PACS", "RESEARCH"}


def test_what_was_analysed_for_the_campaign_is_decided_anew(database: Database) -> None:
    claimed = ask_for(database, campaign(database), SERIES)
    receive(database, sent(1), sent(2))
    with database.write() as session:
        campaign_series.pulled(session, claimed, 2, NOW + seconds(2))
    assert analysed(database, "") is None
    assert destinations(database) == set()
    receive(database, sent(1, 8.0))
    found = series(database)
    assert (found.state, found.only_to) == (SeriesState.RECEIVING, None)
    with database.write() as session:  # not settled while it is decided anew
        assert campaign_series.settle(session, claimed.campaign_id, NOW, 10) == 0
    assert analysed(database, None, 20.0) is None
    assert destinations(database) == {"PACS", "RESEARCH"}


def test_a_worker_that_took_it_for_the_campaigns_keeps_nothing(database: Database) -> None:
    claimed = ask_for(database, campaign(database), SERIES)
    receive(database, sent(1), sent(2))
    with database.write() as session:
        campaign_series.pulled(session, claimed, 2, NOW + seconds(2))
    queue(database, now=NOW + seconds(3))
    job = take(database, JobKind.ANALYSE, NOW + seconds(3))
    receive(database, sent(2, 4.0))
    with database.write() as session:
        outcome = record_analysed(
            session,
            job,
            ended_at=NOW + seconds(5),
            analysis={},
            results=[result("sc")],
            destinations=to_each(),
            only_to="",
        )
    assert isinstance(outcome, Superseded)
    assert take(database, JobKind.ANALYSE, NOW + seconds(6)).attempt == 1
    assert destinations(database) == set()


def test_after_its_files_are_gone_a_sender_begins_it_anew(database: Database) -> None:
    made = campaign(database)
    claimed = ask_for(database, made, SERIES)
    receive(database, sent(1), sent(2))
    with database.write() as session:
        campaign_series.pulled(session, claimed, 2, NOW + seconds(2))
    assert analysed(database, "") is None
    with database.write() as session:
        assert campaign_series.settle(session, made.campaign_id, NOW + seconds(6), 10) == 1
    receive(database, sent(1, 90.0), sent(2, 90.0))
    found = series(database)
    assert (found.state, found.only_to, found.instance_count) == (SeriesState.RECEIVING, None, 2)


def test_nobody_gets_a_note_and_no_clinical_series_gives_way(database: Database) -> None:
    ask_for(database, campaign(database), SERIES)
    receive(database, sent(1))
    other = "1.2.826.1.20"
    receive(database, instance(1, other))
    with database.read() as session:
        assert [each.series_key for each in study.series_of_study(session, other)] == [other]
        assert [each.series_key for each in study.series_of_study(session, SERIES)] == [SERIES]
    with database.write() as session:
        for key in (SERIES, other):
            row = session.get_one(SeriesRow, key)
            row.state, row.ended_at = SeriesState.SKIPPED, NOW
        session.flush()
        early, late = NOW - seconds(1), NOW + seconds(1)
        assert notes.ended_without_analysis(session, "CT", early, late) == (other,)


def test_states_of_the_campaign_are_not_touched_by_an_arrival(database: Database) -> None:
    made = campaign(database)
    ask_for(database, made, SERIES)
    receive(database, sent(1))
    with database.read() as session:
        (row,) = campaign_series.table_of(session, made.campaign_id)
    assert (row.state, row.clinical) == (FoundState.WANTED, False)
