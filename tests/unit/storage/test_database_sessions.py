"""Between a node and PostgreSQL may sit a pooler that gives each transaction another session."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from storage.database import Database
from storage.jobs import claim
from storage.overview import database_strain
from storage.records import JobKind
from support.several_nodes import A, at, share
from support.sources import modules
from support.storage_samples import LEASE, NOW, instance, queue, receive

OF_A_SESSION = (
    *("pg_advisory_lock(", "pg_try_advisory_lock(", "pg_advisory_unlock", "LISTEN ", "SET SESSION"),
    *("WITH HOLD", "pg_export_snapshot", "session_replication_role"),
)


def test_no_source_names_what_outlives_a_transaction() -> None:
    found = [
        (name, word)
        for name, path in modules().items()
        if not name.startswith("storage.migrations.")
        for word in OF_A_SESSION
        if word in path.read_text("utf-8")
    ]
    assert found == []


@pytest.mark.parametrize("system", ["postgresql"], indirect=True)
def test_a_session_is_left_as_it_was(database: Database) -> None:
    share(database)
    for number in range(8):  # the driver prepares what comes for the sixth time
        receive(database, *at(A, instance(number)))
    queue(database, owner=f"{A}/w/1/")
    with database.write() as session:
        assert claim(session, [JobKind.ANALYSE], f"{A}/w/1/", NOW, LEASE) is not None
    with database.read() as session:
        left = {
            each: session.scalar(text(f"SELECT count(*) FROM {each}"))  # noqa: S608
            for each in ("pg_prepared_statements", "pg_listening_channels()", "pg_cursors")
        }
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert session.scalar(text(held)) == 0
    assert set(left.values()) == {0}


def test_a_transaction_that_is_open_for_long_is_seen(database: Database) -> None:
    with database.write() as session:
        session.execute(text("SELECT 1"))
        with database.read() as other:
            strain = database_strain(other)
    postgresql = database.serves
    assert (strain.transaction_seconds > 0) == postgresql
    assert {each.table for each in strain.dead_rows} == (
        {"delivery", "job", "series"} if postgresql else set()
    )
