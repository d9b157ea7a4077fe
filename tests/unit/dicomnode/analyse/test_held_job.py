"""What the thread beside a job does at each look, by a clock that the test moves."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from dicomnode.analyse.held_job import EXIT_DEADLINE, EXIT_LEASE_LOST, HeldJob
from dicomnode.config.sections import InferenceSettings
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.jobs import claim
from storage.models import JobRow
from storage.records import JobKind, JobState
from support.clock import StandingClock
from support.storage_samples import LEASE, NOW, instance, queue, receive, seconds, take

SETTINGS = InferenceSettings(lease_seconds=60, deadline_seconds=900)


class _Ended(BaseException):
    """In place of the end of the process."""


class Held:
    def __init__(self, folder: Path) -> None:
        self.database = Database.open(f"sqlite:///{folder}/node.db")
        self.clock = StandingClock(NOW)
        self.stop, self.unawaited = threading.Event(), threading.Event()
        job = take(self.database, JobKind.ANALYSE)
        self.held = HeldJob(self.database, job, SETTINGS, self.stop, self.unawaited, self.clock)

    def look(self, after: float) -> None:
        self.clock.move(after)
        self.held.look(self.clock.seconds())

    def row(self) -> JobRow:
        with self.database.read() as session:
            row = session.scalars(select(JobRow).where(JobRow.kind == JobKind.ANALYSE)).one()
            session.expunge(row)
        return row


@pytest.fixture(scope="module")
def queued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one series that waits to be analysed."""
    path = tmp_path_factory.mktemp("queued") / "node.db"
    database = Database.open(f"sqlite:///{path}")
    receive(database)
    queue(database)
    database.close()
    return path


@pytest.fixture
def held(queued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    def end(status: int) -> None:
        raise _Ended(status)

    monkeypatch.setattr(os, "_exit", end)
    shutil.copy(queued, tmp_path)
    made = Held(tmp_path)
    yield made
    made.database.close()


def test_the_lease_is_prolonged_after_a_third_of_it_and_not_before(held: Held) -> None:
    held.look(after=20)
    assert held.row().lease_until == NOW + LEASE
    held.look(after=1)
    assert held.row().lease_until == NOW + seconds(21) + LEASE
    held.look(after=19)
    assert held.row().lease_until == NOW + seconds(21) + LEASE


def test_a_lease_that_is_anothers_ends_the_process(held: Held) -> None:
    with held.database.write() as session:
        assert claim(session, [JobKind.ANALYSE], "other/", NOW + seconds(61), LEASE) is not None
    held.look(after=61)
    held.look(after=0.9)  # a job that has just ended is not held, either: its thread says so soon
    with pytest.raises(_Ended, match=str(EXIT_LEASE_LOST)):
        held.look(after=0.2)
    assert held.row().owner == "other/"


def test_a_database_that_is_away_ends_nothing(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_database: Database) -> None:
        raise DatabaseUnavailableError("url", "away")

    monkeypatch.setattr(Database, "write", away)
    monkeypatch.setattr(Database, "read", away)
    held.look(after=21)
    assert not held.unawaited.is_set()
    monkeypatch.undo()
    assert held.row().state is JobState.RUNNING


def test_a_job_over_its_deadline_is_put_back_and_says_so(held: Held) -> None:
    for _ in range(45):
        held.look(after=20)
    with pytest.raises(_Ended, match=str(EXIT_DEADLINE)):
        held.look(after=1)
    row = held.row()
    assert (row.state, row.attempt, row.not_before) == (JobState.QUEUED, 1, NOW + seconds(901))
    assert row.error == "deadline: longer than inference.deadline_seconds = 900"


def test_late_instances_are_noticed_within_a_second(held: Held) -> None:
    held.look(after=1.1)
    assert not held.unawaited.is_set()
    receive(held.database, instance(3, received_at=NOW + seconds(1)))
    held.look(after=0.5)
    assert not held.unawaited.is_set()
    held.look(after=0.6)
    assert held.unawaited.is_set()


def test_at_a_stop_the_job_has_four_seconds_and_its_attempt_counts_not(held: Held) -> None:
    held.stop.set()
    held.look(after=10)
    held.look(after=3.9)
    assert held.row().state is JobState.RUNNING
    with pytest.raises(_Ended, match="0"):
        held.look(after=0.2)
    row = held.row()
    assert (row.state, row.attempt, row.owner) == (JobState.QUEUED, 0, None)
