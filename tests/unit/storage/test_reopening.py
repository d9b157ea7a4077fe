"""A series that has ended is decided on anew, when somebody asks for it."""

from __future__ import annotations

from storage.database import Database
from storage.queries import series_detail
from storage.records import JobKind, JobState, SeriesState
from storage.reopening import reopen_ended
from support.storage_samples import NOW, SERIES, analyse, queue, receive, result, seconds


def reopened(database: Database, second: float = 5) -> bool:
    with database.write() as session:
        return reopen_ended(session, SERIES, NOW + seconds(second))


def test_an_analysed_series_waits_for_a_decision_and_keeps_what_it_has(database: Database) -> None:
    receive(database)
    queue(database)
    analyse(database)
    assert reopened(database)
    with database.read() as session:
        detail = series_detail(session, SERIES)
    assert detail is not None
    assert detail.series.state is SeriesState.RECEIVING
    assert [each.state for each in detail.series.history] == ["analysed"]
    assert len(detail.results) == 2
    waiting = [each for each in detail.jobs if each.state is JobState.QUEUED]
    assert [each.kind for each in waiting] == [JobKind.ASSESS]


def test_the_same_input_and_another_model_is_another_analysis(database: Database) -> None:
    receive(database)
    queue(database)
    analyse(database)
    assert reopened(database)
    queue(database, now=NOW + seconds(6), model="m2")
    analyse(database, [result("newer")], now=NOW + seconds(7))
    with database.read() as session:
        detail = series_detail(session, SERIES)
    assert detail is not None
    assert detail.series.state is SeriesState.ANALYSED
    analyses = [each for each in detail.jobs if each.kind is JobKind.ANALYSE]
    assert [each.state for each in analyses] == [JobState.DONE, JobState.DONE]


def test_an_open_series_is_left_as_it_is(database: Database) -> None:
    receive(database)
    assert not reopened(database)
    queue(database)
    assert not reopened(database)
