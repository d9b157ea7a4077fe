"""What a lost node alone had is asked for again, by whichever node takes the job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from dicomnode.config.settings import Settings
from dicomnode.errors import PeerCause, PeerError
from dicomnode.pull.fetcher import Fetcher
from dicomnode.pull.steps import Known, SeriesPulled
from storage import jobs
from storage.database import Database
from storage.index import record_instances
from storage.lost_nodes import lose_silent, send_for, series_to_send_for
from storage.models import JobRow
from storage.nodes import tell_alive
from storage.records import JobKind, JobState
from support.clock import StandingClock
from support.several_nodes import A, B, at, share
from support.storage_samples import NOW, SERIES, STUDY, instance, receive, seconds

LATER = NOW + seconds(120)
Play = Callable[[Known], str]


class Bench:
    """Node A is lost with instances 1 and 2; B has 3, and takes the job. `plays`: what the archive
    does, and says when not all came."""

    def __init__(self, database: Database) -> None:
        self.database, self.stop, self.clock = database, threading.Event(), StandingClock(LATER)
        self.plays: list[Play] = []
        self.asked: list[tuple[str, str]] = []
        share(database)
        receive(database, *at(A, instance(1), instance(2)), *at(B, instance(3)))
        with database.write() as session:
            tell_alive(session, B, LATER)
            lose_silent(session, LATER - seconds(60), LATER)
            for key in series_to_send_for(session):
                send_for(session, key, LATER)
        self.fetcher = Fetcher(
            database, f"{B}/assessor/1/", Settings, self.stop, clock=self.clock, fetch=self.fetch
        )

    def fetch(
        self,
        _settings: Settings,
        _database: Database,
        study: str,
        series: str,
        _stop: threading.Event,
        known: Known,
    ) -> SeriesPulled:
        self.asked.append((study, series))
        problem = self.plays.pop(0)(known)
        return SeriesPulled(study, series, 3, 1, 2, 0, problem)

    def come(self, *numbers: int) -> str:
        again = (replace(instance(each), received_at=LATER) for each in numbers)
        with self.database.write() as session:
            record_instances(session, at(B, *again))
        return ""

    def job(self) -> tuple[JobState, int, str | None]:
        """State, attempts and why not all came."""
        columns = select(JobRow.state, JobRow.attempt, JobRow.error)
        with self.database.read() as session:
            state, attempt, error = session.execute(
                columns.where(JobRow.kind == JobKind.FETCH)
            ).one()
            return state, attempt, error


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with closing(Database.open(f"sqlite:///{tmp_path / 'node.sqlite3'}")) as database:
        yield Bench(database)


def test_what_is_lost_is_asked_for_and_nothing_else(bench: Bench) -> None:
    uids = {instance(each).sop_instance_uid for each in (1, 2, 3)}

    def play(known: Known) -> str:
        assert known(uids) == {instance(3).sop_instance_uid}
        bench.come(1, 2)
        assert known(uids) == uids
        return ""

    bench.plays = [play]
    assert bench.fetcher.fetch_one()
    assert bench.asked == [(STUDY, SERIES)]
    assert bench.job()[0] is JobState.DONE
    assert not bench.fetcher.fetch_one()


def test_what_does_not_come_is_asked_for_again_later(bench: Bench) -> None:
    bench.plays = [lambda _known: bench.come(1) or "answered 0xB000", lambda _known: bench.come(2)]
    assert bench.fetcher.fetch_one()
    assert bench.job() == (JobState.QUEUED, 1, "answered 0xB000")
    assert not bench.fetcher.fetch_one()
    bench.clock.move(30)
    assert bench.fetcher.fetch_one()
    assert bench.job()[0] is JobState.DONE


def test_an_archive_that_is_away_costs_no_attempt(bench: Bench) -> None:
    def away(_known: Known) -> str:
        raise PeerError("pacs cannot be reached", PeerCause.UNREACHABLE)

    bench.plays = [away]
    assert bench.fetcher.fetch_one()
    assert bench.job() == (JobState.QUEUED, 0, "pacs cannot be reached")


def test_what_is_here_again_by_itself_is_not_asked_for(bench: Bench) -> None:
    bench.come(1, 2)
    assert bench.fetcher.fetch_one()
    assert bench.asked == []
    assert bench.job()[0] is JobState.DONE


def test_whose_job_was_taken_by_another_meanwhile_writes_nothing(bench: Bench) -> None:
    def slept(_known: Known) -> str:
        with bench.database.write() as session:
            jobs.free(session, SERIES, LATER)
        bench.plays = [lambda _known: bench.come(1, 2)]
        assert bench.fetcher.fetch_one()
        return "too late"

    bench.plays = [slept]
    assert bench.fetcher.fetch_one()
    assert bench.job()[0] is JobState.DONE
