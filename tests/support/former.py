"""Data directories that former releases left, on the database that a test wants."""

from __future__ import annotations

import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, Table, create_engine, func, insert, select

# before Python 3.11.4 there are no filters; from 3.12 on one has to be chosen
FILTER: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
FOLDER = Path(__file__).parents[1] / "data" / "former"


def unpack(revision: str, folder: Path) -> None:
    """The data directory of the schema `revision`, its database a file of SQLite."""
    with tarfile.open(FOLDER / f"schema-{revision}.tar.xz") as archive:
        archive.extractall(folder, **FILTER)  # noqa: S202 - our own


def upgrade(connection: Connection, revision: str) -> None:
    """The schema as it was at a revision."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "storage:migrations")
    command.upgrade(config, revision)


def move_to_postgresql(folder: Path, revision: str, url: str) -> None:
    """The rows of the data directory into the empty database at `url`, under the same schema."""
    file, server = folder / "node.sqlite3", create_engine(url.replace("postgresql:", _DRIVER))
    source = create_engine(f"sqlite:///{file}")
    with server.begin() as there, source.connect() as here:
        upgrade(there, revision)
        known = MetaData()
        known.reflect(there)
        for table in known.sorted_tables:
            if table.name != "alembic_version":
                _copy(table, here, there)
    for engine in (server, source):
        engine.dispose()
    for each in folder.glob("node.sqlite3*"):
        each.unlink()


_DRIVER = "postgresql+psycopg:"


def _copy(table: Table, here: Connection, there: Connection) -> None:
    rows = [
        {name: _in_utc(value) for name, value in row.items()}
        for row in here.execute(select(table)).mappings()
    ]
    if not rows:
        return
    there.execute(insert(table), rows)
    numbered = table.autoincrement_column
    if numbered is not None:  # the next number comes after those that are there
        sequence = func.pg_get_serial_sequence(table.name, numbered.name)
        last = select(func.max(numbered)).scalar_subquery()
        there.execute(select(func.setval(sequence, last)))


def _in_utc(value: Any) -> Any:
    """SQLite knows no time zones: its times are UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
