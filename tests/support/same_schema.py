"""New SQLite databases by the statements that the migrations left in the first one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, inspect, text

from storage import schema
from storage.models import SCHEMA_REVISION

_migrate = schema._migrate
_statements: list[str] = []


def begin(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schema, "_migrate", _as_before)


@contextmanager
def suspended() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "_migrate", _migrate)
        yield


def _as_before(connection: Connection) -> None:
    if connection.dialect.name != "sqlite" or inspect(connection).get_table_names():
        _migrate(connection)
    elif _statements:
        for each in _statements:
            connection.exec_driver_sql(each)
    else:
        _migrate(connection)
        _statements.extend(_that_made(connection))


def _that_made(connection: Connection) -> Iterator[str]:
    """Tables before their indexes, then the revision, the one row of a new database."""
    made = "SELECT sql FROM sqlite_master WHERE sql > '' AND name NOT LIKE 'sqlite_%'"
    yield from connection.scalars(text(f"{made} ORDER BY type = 'index', rowid"))
    yield f"INSERT INTO alembic_version VALUES ('{SCHEMA_REVISION}')"  # noqa: S608
