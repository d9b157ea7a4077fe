"""The database: SQLite in one file, or PostgreSQL, chosen by the URL alone."""

from __future__ import annotations

import json
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from storage.errors import DatabaseUnavailableError, DatabaseUrlError
from storage.outage import is_outage
from storage.schema import prepare, revision_of, step_back

BUSY_TIMEOUT_SECONDS = 30
"""How long a writer waits for its turn; no write transaction spans inference or the network."""

CONNECT_TIMEOUT_SECONDS = 10

_IDLE_SECONDS = 30
"""The server ends a write transaction in which nothing is asked for so long: who was stopped, or
cut off, amid one holds up nobody for longer. None waits for anything but the database."""

_LOST_SERVER = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
}
"""A server whose cable is pulled says no word: by itself TCP would wait for it up to two hours."""


class Database:
    """Transactions on one database; safe for threads, and for children after a fork."""

    def __init__(self, engine: Engine) -> None:
        """Use `Database.open` or `open_later`, which also bring the schema up to date."""
        self._engine = engine
        self._prepared = False
        self._preparing = threading.Lock()
        self._reading = engine.execution_options(**_READING[engine.dialect.name])

    @classmethod
    def open(cls, url: str) -> Self:
        """Open, create or migrate the database at an SQLAlchemy URL.

        `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://user@host/name`.

        Raises:
            DatabaseUrlError
            DatabaseUnavailableError
            SchemaTooNewError
            OSError: the folder of an SQLite file cannot be made.
        """
        database = cls.open_later(url)
        try:
            with database._named_faults():
                database._prepare()
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def open_later(cls, url: str) -> Self:
        """As `open`, for who must start while the database is away: it does not ask for it yet.

        The first transaction that reaches the database brings its schema up to date, and fails as
        `open` would; so does each until one has.

        Raises:
            DatabaseUrlError
        """
        return cls(_engine(checked_url(url)))

    @property
    def url(self) -> str:
        """As `shown_url`."""
        return _shown(self._engine.url)

    @property
    def serves(self) -> bool:
        """Whether a server has it, and no file: others may work on it, from other machines."""
        return self._engine.dialect.name == "postgresql"

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, rolled back on any exception.

        Raises:
            DatabaseUnavailableError: nothing was written, or, if the connection broke during the
                commit, perhaps all of it; every write of storage may be repeated.
        """
        with self._named_faults():
            self._prepare_at_last()
            with Session(self._engine) as session, session.begin():
                yield session

    @contextmanager
    def write_lightly(self) -> Iterator[Session]:
        """As `write`, of what may be lost by a crash of the database: PostgreSQL answers before it
        is on its disk. Whatever is written by `write` later is on disk with all that came before.
        On SQLite as `write`.

        Raises:
            DatabaseUnavailableError: as `write`.
        """
        with self.write() as session:
            if self.serves:  # of this transaction alone: behind a pooler there is nothing else
                session.execute(text("SET LOCAL synchronous_commit TO off"))
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view that blocks no writer; the database refuses writes in it.

        Raises:
            DatabaseUnavailableError
        """
        with self._named_faults():
            self._prepare_at_last()
            with Session(self._reading) as session, session.begin():
                yield session

    def step_back(self, revision: str) -> None:
        """To the schema of an earlier release; this object is of no use afterwards.

        Raises:
            SchemaTooNewError
            UnknownRevisionError
            DatabaseUnavailableError
        """
        with self._named_faults():
            step_back(self._engine, revision)

    def close(self) -> None:
        """Close the idle connections."""
        self._engine.dispose()

    def _prepare_at_last(self) -> None:
        """What was opened later may have been waited for: its folder too."""
        try:
            self._prepare()
        except OSError as error:
            raise DatabaseUnavailableError(self.url, error.strerror or "no file") from error

    def _prepare(self) -> None:
        if self._prepared:
            return
        with self._preparing:
            if not self._prepared:
                prepare(self._engine)
                if self._engine.dialect.name == "sqlite":
                    event.listen(self._engine, "do_connect", _connect_to_what_is_there)
                self._prepared = True

    @contextmanager
    def _named_faults(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InternalError, InterfaceError) as error:
            if not is_outage(error):
                raise
            raise DatabaseUnavailableError(self.url, _why(error)) from error
        except PoolTimeoutError as error:
            raise DatabaseUnavailableError(self.url, "too many transactions at once") from error


def is_missing(url: str) -> bool:
    """Whether the file of an SQLite database is not there; False for a database on a server.

    Raises:
        DatabaseUrlError
    """
    parsed = checked_url(url)
    return parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file()


def check_answers(url: str) -> str | None:
    """See that a database answers; nothing is made or migrated. Its schema; None: it has none yet.

    Raises:
        DatabaseUrlError, DatabaseUnavailableError
    """
    database = Database.open_later(url)
    try:
        with database._named_faults(), database._reading.connect() as connection:
            return revision_of(connection)
    finally:
        database.close()


_READING: dict[str, dict[str, Any]] = {
    "sqlite": {"sqlite_reading": True},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def _why(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())


def checked_url(url: str) -> URL:
    """The URL with the driver that is used.

    Raises:
        DatabaseUrlError: it cannot be used; the text shows none of it.
    """
    try:
        parsed = make_url(url)
        system = parsed.get_backend_name()
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        raise DatabaseUrlError("the database URL cannot be read") from None
    if system not in _READING:
        raise DatabaseUrlError(f"{system} is not supported: use sqlite or postgresql")
    if system == "sqlite" and (parsed.database or ":memory:").startswith((":memory:", "file:")):
        raise DatabaseUrlError("a database in memory is lost with its process: name a file")
    return parsed.set(drivername="postgresql+psycopg") if system == "postgresql" else parsed


def shown_url(url: str) -> str:
    """Without the password, and without parameters: a password may stand among them.

    Raises:
        DatabaseUrlError
    """
    return _shown(checked_url(url))


def _shown(url: URL) -> str:
    return url.set(query={}).render_as_string(hide_password=True)


def _engine(url: URL) -> Engine:
    """Parameters stay out of error texts: an accession number leads to a patient."""
    sqlite = url.get_backend_name() == "sqlite"
    connect = {"timeout": BUSY_TIMEOUT_SECONDS} if sqlite else _postgresql_connect(url)
    try:
        engine = create_engine(
            url,
            connect_args=connect,
            hide_parameters=True,
            pool_pre_ping=not sqlite,
            json_serializer=partial(json.dumps, allow_nan=False, ensure_ascii=False),
        )
    except ModuleNotFoundError as error:
        raise DatabaseUrlError(
            f"{error.name} is not installed: install dicomnode[postgresql]"
        ) from error
    if sqlite:
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _begin_postgresql)
    _ENGINES.add(engine)
    return engine


def _postgresql_connect(url: URL) -> dict[str, object]:
    """No statement is prepared on the server: behind a pooler the next transaction may have another
    session there."""
    defaults: dict[str, object] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": "dicomnode",
    }
    defaults |= _LOST_SERVER
    given = {key: value for key, value in defaults.items() if key not in url.query}
    return given | {"prepare_threshold": None}


def _connect_to_what_is_there(
    _dialect: object, _entry: object, arguments: list[Any], options: dict[str, Any]
) -> None:
    """A file that is moved away under its users is not made anew, empty, in its place."""
    arguments[0] = Path(arguments[0]).as_uri() + "?mode=rw"
    options["uri"] = True


def _set_up_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; _begin_sqlite does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its lock at once: one that reads first and then writes would fail as busy
    when another has written in between, without waiting (SQLITE_BUSY_SNAPSHOT)."""
    reading = connection.get_execution_options().get("sqlite_reading", False)
    connection.exec_driver_sql(f"PRAGMA query_only={int(reading)}")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    """For this transaction alone: a session may be another's behind a pooler."""
    if not connection.get_execution_options().get("postgresql_readonly", False):
        text = f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'"
        connection.exec_driver_sql(text)


_ENGINES: weakref.WeakSet[Engine] = weakref.WeakSet()
_LEFT_TO_PARENT: list[object] = []


def _leave_to_parent() -> None:
    """A connection belongs to the process that opened it; a forked child opens its own.

    The child keeps the parent's connections alive unused, as closing one would, with SQLite,
    end the parent's WAL and, with PostgreSQL, its session.
    """
    for engine in list(_ENGINES):
        _LEFT_TO_PARENT.append(engine.pool)
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_leave_to_parent)  # once: a hook can never be taken back
