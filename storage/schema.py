"""Brings a database to the schema of this code, once, however many processes open it at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from storage.direct_io import FILE_MODE
from storage.errors import SchemaTooNewError, UnknownRevisionError
from storage.folders import give_to_owner_of_folder, make_folder, sync_folder
from storage.models import SCHEMA_REVISION

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATION_LOCK = 7_402_118_530_264_417
"""Key of PostgreSQL's advisory lock; any number that no other program on the server uses."""


def prepare(engine: Engine) -> None:
    """Create or migrate the schema.

    SQLite: one process at a time even looks, as switching a new file to WAL fails at once, and
    does not wait, while another process reads it. PostgreSQL: an advisory lock for the migration.

    Raises:
        SchemaTooNewError
    """
    if engine.dialect.name == "sqlite":
        with _alone(Path(engine.url.database or "")):
            _migrate_if_needed(engine)
    else:
        _migrate_if_needed(engine)


def _migrate_if_needed(engine: Engine) -> None:
    with engine.connect() as connection:
        if revision_of(connection) == SCHEMA_REVISION:
            return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        _migrate(connection)


def revision_of(connection: Connection) -> str | None:
    """Of the schema that is there; None: of none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def step_back(engine: Engine, revision: str) -> None:
    """To the schema of an earlier release: what it does not know is lost. Not while a node runs.

    Raises:
        SchemaTooNewError: this release does not know the schema as it is.
        UnknownRevisionError: nor the one to go back to.
    """
    from alembic import command

    with engine.begin() as connection:
        config, known = _migrations(connection)
        found = revision_of(connection)
        _check_known(connection, found, known)
        earlier = sorted(each for each in known if each < (found or ""))
        if revision not in earlier:
            raise UnknownRevisionError(revision, found, tuple(earlier))
        command.downgrade(config, revision)


def _migrate(connection: Connection) -> None:
    """Upgrade inside the caller's transaction: a migration is there as a whole or not at all."""
    from alembic import command  # Alembic costs 0.1 s to import, and is needed once a release

    config, known = _migrations(connection)
    _check_known(connection, revision_of(connection), known)
    command.upgrade(config, "head")


def _migrations(connection: Connection) -> tuple[Config, set[str]]:
    """All that there are, by revision."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "storage:migrations")
    return config, {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}


def _check_known(connection: Connection, found: str | None, known: set[str]) -> None:
    if found is not None and found not in known:
        url = connection.engine.url.set(query={}).render_as_string(hide_password=True)
        raise SchemaTooNewError(url, found, SCHEMA_REVISION)


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Hold a lock beside the database file; the kernel frees it when its holder dies."""
    make_folder(database.parent)
    new = not database.exists()
    lock = os.open(f"{database}.migration-lock", os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        give_to_owner_of_folder(lock, database.parent)
        yield
        if new:
            _give_away(database)
            sync_folder(database.parent)
    finally:
        os.close(lock)


def _give_away(database: Path) -> None:
    """What root began is of the folder's owner, as all that lies there.

    By name: to close a descriptor of its own would free SQLite's locks on the file.
    """
    if os.geteuid() == 0:
        owner = database.parent.stat()
        for end in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                made = f"{database}{end}"
                os.chown(made, owner.st_uid, owner.st_gid, follow_symlinks=False)
