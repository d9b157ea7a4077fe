"""A thread beside the work prolongs the lease of its job, and sees when it is another's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from dicomnode.held_lease import HeldLease, looking
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.jobs import claim
from storage.models import JobRow
from storage.records import JobKind
from support.clock import StandingClock
from support.storage_samples import LEASE, NOW, receive, seconds, take


class Held:
    def __init__(self, database: Database) -> None:
        self.database, self.clock = database, StandingClock(NOW)
        job = take(database, JobKind.ASSESS)
        self.lease = HeldLease(database, job, LEASE, self.clock)

    def look(self, after: float) -> None:
        self.clock.move(after)
        self.lease.look(self.clock.seconds())

    def until(self) -> object:
        with self.database.read() as session:
            return session.scalar(select(JobRow.lease_until))


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    with closing(Database.open(f"sqlite:///{tmp_path}/node.db")) as database:
        receive(database)
        yield Held(database)


def test_it_is_prolonged_when_a_third_has_passed(held: Held) -> None:
    third = LEASE.total_seconds() / 3
    held.look(third)
    assert held.until() == NOW + LEASE
    held.look(1)
    assert held.until() == NOW + seconds(third + 1) + LEASE


def test_that_it_is_anothers_is_seen_once_and_nothing_is_written(held: Held) -> None:
    late = NOW + LEASE + seconds(1)
    with held.database.write() as session:
        assert claim(session, [JobKind.ASSESS], "other/", late, LEASE) is not None
    held.look(LEASE.total_seconds() + 1)
    lost_at = held.lease.lost_at
    assert lost_at is not None
    held.look(LEASE.total_seconds())
    assert held.lease.lost_at == lost_at
    assert held.until() == late + LEASE


def test_it_goes_on_over_an_outage(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_database: Database) -> None:
        raise DatabaseUnavailableError("url", "away")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", away)
        held.look(LEASE.total_seconds() / 3 + 1)
    assert held.lease.lost_at is None
    held.look(LEASE.total_seconds() / 3 + 1)
    assert held.until() == held.clock.now() + LEASE


def test_the_thread_looks_while_the_work_goes_on_and_no_longer() -> None:
    looked = threading.Event()
    with looking(looked.set):
        assert looked.wait(10)
    looked.clear()
    assert "lease" not in {each.name for each in threading.enumerate()}
    assert not looked.is_set()
