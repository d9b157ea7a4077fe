"""A fresh database for each test, on SQLite and on a PostgreSQL that the tests start themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import Database
from support.postgresql import PostgresqlServer, postgresql_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(system: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table; with SQLite not even a file."""
    if system == "sqlite":
        yield f"sqlite:///{tmp_path}/data/node.db"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    with server.empty_database() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "node.db"
    Database.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def database_url(system: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with the newest schema and no rows."""
    if system == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copy(template, tmp_path / "node.db")
        yield f"sqlite:///{tmp_path}/node.db"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    with server.migrated_database() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database.open(database_url)
    yield opened
    opened.close()
