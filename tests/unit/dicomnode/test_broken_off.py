"""A job that an outage of the database broke off costs no attempt, and waits for no lease."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.broken_off import BrokenOff
from storage import jobs
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.records import Job, JobKind
from support.storage_samples import LEASE, NOW, instance, receive, seconds


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/node.sqlite3")
    receive(opened, instance(1))
    yield opened
    opened.close()


def claimed(database: Database, later: float = 0.0) -> Job | None:
    with database.write() as session:
        return jobs.claim(session, [JobKind.ASSESS], "n/a/1/", NOW + seconds(later), LEASE)


def broken_off(database: Database) -> BrokenOff:
    job, made = claimed(database), BrokenOff(database)
    assert job is not None
    with pytest.raises(DatabaseUnavailableError), made.noted(job):
        raise DatabaseUnavailableError("url", "away")
    return made


def test_it_is_begun_anew_at_once(database: Database) -> None:
    broken = broken_off(database)
    assert claimed(database) is None
    broken.give_back(NOW)
    again = claimed(database)
    assert again is not None
    assert again.attempt == 1
    broken.give_back(NOW)
    assert claimed(database) is None, "it is given back once"


def test_what_is_anothers_by_now_stays_so(database: Database) -> None:
    broken = broken_off(database)
    after = LEASE.total_seconds()
    assert claimed(database, after) is not None
    broken.give_back(NOW + LEASE)
    assert claimed(database, after) is None


def test_it_is_kept_in_mind_until_the_database_is_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = broken_off(database)
    with monkeypatch.context() as away:
        away.setattr(jobs, "put_back", _away)
        with pytest.raises(DatabaseUnavailableError):
            broken.give_back(NOW)
    broken.give_back(NOW)
    assert claimed(database) is not None


def _away(*_arguments: object, **_named: object) -> None:
    raise DatabaseUnavailableError("url", "away")
