"""Which faults of the two drivers are outages: of the real drivers where they can be made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.outage import is_outage


def of_postgresql(state: str | None) -> OperationalError:
    error = psycopg.OperationalError("told")
    error.sqlstate = state
    return OperationalError("SELECT", {}, error)


@pytest.mark.parametrize(
    "state",
    [None, "08006", "28P01", "3D000", "40001", "40P01", "53100", "53300", "55P03", "57P01"],
)
def test_of_postgresql_outages(state: str | None) -> None:
    assert is_outage(of_postgresql(state))


@pytest.mark.parametrize("state", ["54001", "XX001", "25P02"])
def test_of_postgresql_faults(state: str) -> None:
    assert not is_outage(of_postgresql(state))


def test_a_lost_connection_is_an_outage_whatever_it_says() -> None:
    error = of_postgresql("54001")
    error.connection_invalidated = True
    assert is_outage(error)


def test_a_server_that_is_read_only_for_now_is_an_outage() -> None:
    error = psycopg.InternalError("read-only")
    error.sqlstate = "25006"
    assert is_outage(InternalError("INSERT", {}, error))


def test_a_statement_that_cannot_work_is_a_fault(database: Database) -> None:
    with pytest.raises(DBAPIError), database.read() as session:
        session.execute(text("SELECT no_such_column FROM series"))


def test_a_locked_sqlite_is_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.database.BUSY_TIMEOUT_SECONDS", 0)
    url = tmp_path / "node.sqlite3"
    with (
        closing(Database.open(f"sqlite:///{url}")) as database,
        closing(sqlite3.connect(url)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailableError, match="locked"), database.write() as session:
            session.execute(text("SELECT 1"))


def test_a_folder_in_place_of_sqlite_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "node.sqlite3").mkdir()
    with pytest.raises(DatabaseUnavailableError, match="unable to open"):
        Database.open(f"sqlite:///{tmp_path}/node.sqlite3")
