"""Opening, migrating and the two kinds of transaction, on both systems."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, func, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from storage.database import Database, shown_url
from storage.errors import DatabaseUnavailableError, DatabaseUrlError, SchemaTooNewError
from storage.index import open_association
from storage.models import SCHEMA_REVISION, AssociationRow, SeriesRow
from storage.statements import lock_series
from storage.tables import METADATA
from support.storage_samples import NOW, SERIES, association, instance, receive
from support.wait import PATIENCE_SECONDS, SLOWER

pytestmark = pytest.mark.usefixtures("real_migrations")


def raw_engine(url: str) -> Engine:
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"))


def count_associations(session: Session) -> int:
    return session.scalars(select(func.count()).select_from(AssociationRow)).one()


def test_the_revision_that_opening_asks_for_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


BY_EXPRESSION = "ix_series_ending"
NOT_READ_BACK = "ignore:.*expression-based index"
"""SQLAlchemy reads no expression of SQLite back, and of PostgreSQL none with its collation."""


def is_read_back(_object: object, name: str | None, *_rest: object) -> bool:
    return name != BY_EXPRESSION


@pytest.mark.filterwarnings(NOT_READ_BACK)
def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    engine = raw_engine(database_url)
    with engine.connect() as connection:
        opts = {"compare_type": True, "include_object": is_read_back}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def made_by(engine: Engine) -> str:
    """The index of an expression, as the database itself spells it."""
    asked = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE name = :name",
        "postgresql": "SELECT indexdef FROM pg_indexes WHERE indexname = :name",
    }[engine.dialect.name]
    with engine.connect() as connection:
        return str(connection.scalar(text(asked), {"name": BY_EXPRESSION}))


def condition(dialect_options: dict[str, Any]) -> list[str]:
    return [str(value) for key, value in dialect_options.items() if key.endswith("_where")]


def constraints_of(engine: Engine) -> dict[str, Any]:
    """What compare_metadata passes over: CHECKs, and the condition of partial indexes."""
    inspector = inspect(engine)
    return {
        table: (
            sorted((c["name"] or "", c["sqltext"]) for c in inspector.get_check_constraints(table)),
            sorted(
                (i["name"] or "", i["unique"], condition(i.get("dialect_options", {})))
                for i in inspector.get_indexes(table)
            ),
            sorted(c["name"] or "" for c in inspector.get_foreign_keys(table)),
            inspector.get_pk_constraint(table)["name"],
        )
        for table in METADATA.tables
    }


@pytest.mark.filterwarnings(NOT_READ_BACK)
def test_checks_and_partial_indexes_are_those_of_the_models(
    database_url: str, empty_url: str
) -> None:
    migrated, modelled = raw_engine(database_url), raw_engine(empty_url)
    if modelled.url.database and modelled.dialect.name == "sqlite":
        Path(modelled.url.database).parent.mkdir()
    METADATA.create_all(modelled)
    found = constraints_of(migrated)
    assert found == constraints_of(modelled)
    assert made_by(migrated) == made_by(modelled)
    assert sum(len(checks) for checks, *_ in found.values()) == 17
    migrated.dispose()
    modelled.dispose()


def test_an_unknown_state_is_refused_by_the_database(database: Database) -> None:
    receive(database)
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text("UPDATE series SET state = 'lost'"))


def _open_and_wait(url: str, barrier: Any) -> None:
    barrier.wait(PATIENCE_SECONDS)
    database = Database.open(url)
    with database.write() as session:
        open_association(session, association(f"a{os.getpid()}"))
    database.close()


def test_processes_that_open_a_new_database_at_once_all_succeed(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    children = [context.Process(target=_open_and_wait, args=(empty_url, barrier)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE_SECONDS)
    assert [child.exitcode for child in children] == [0, 0, 0]
    database = Database.open(empty_url)
    with database.read() as session:
        assert count_associations(session) == 3
    database.close()


def test_opening_a_current_database_is_cheap(database_url: str) -> None:
    Database.open(database_url).close()
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        Database.open(database_url).close()
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.05 * SLOWER


def test_a_database_of_a_later_release_is_left_alone(empty_url: str) -> None:
    database = Database.open(empty_url)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(SchemaTooNewError, match=f"9999.*{SCHEMA_REVISION}"):
        Database.open(empty_url)


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    def break_off() -> None:
        with database.write() as session:
            open_association(session, association())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    with database.read() as session:
        assert count_associations(session) == 0


def test_a_read_transaction_cannot_write(database: Database) -> None:
    with pytest.raises((DatabaseUnavailableError, DBAPIError)), database.read() as session:
        open_association(session, association())
    with database.write() as session:  # the connection is fit for writing again
        open_association(session, association())


def test_a_reader_keeps_its_view_and_blocks_no_writer(database: Database) -> None:
    with database.read() as reading:
        assert count_associations(reading) == 0
        with database.write() as writing:
            open_association(writing, association())
        assert count_associations(reading) == 0
    with database.read() as reading:
        assert count_associations(reading) == 1


def test_writers_that_read_first_all_get_through(database: Database) -> None:
    """On SQLite a transaction that reads and then writes would else fail as busy at once."""

    def add_ten(name: str) -> None:
        for number in range(10):
            with database.write() as session:
                count_associations(session)
                open_association(session, association(f"{name}-{number}"))

    threads = [threading.Thread(target=add_ten, args=(str(each),)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert count_associations(session) == 40


@pytest.mark.parametrize("system", ["postgresql"], indirect=True)
def test_who_is_stopped_amid_a_write_holds_up_nobody_for_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(database, instance(1))
    monkeypatch.setattr("storage.database._IDLE_SECONDS", 0.2)

    def stopped() -> None:
        with database.write() as session:
            lock_series(session, SERIES)
            with database.write() as other:
                lock_series(other, SERIES)  # waits until the first is ended

    with pytest.raises(DatabaseUnavailableError, match="idle-in-transaction"):
        stopped()


def test_a_forked_child_opens_connections_of_its_own(database: Database) -> None:
    receive(database)
    child = os.fork()
    if child == 0:
        try:
            with database.write() as session:
                open_association(session, association("child"))
            os._exit(0)
        finally:
            os._exit(1)
    with database.write() as session:
        open_association(session, association("parent"))
    assert os.waitpid(child, 0)[1] == 0
    with database.read() as session:
        assert count_associations(session) == 3  # with the one that receive() added


def test_times_come_back_aware_and_in_utc(database: Database) -> None:
    in_vienna = NOW.astimezone(timezone(timedelta(hours=1))).replace(microsecond=1)
    receive(database, instance(1, received_at=in_vienna))
    with database.read() as session:
        found = session.scalars(select(SeriesRow.first_received_at)).one()
    assert found == in_vienna
    assert found.utcoffset() == timedelta(0)


def test_a_naive_time_is_refused(database: Database) -> None:
    naive = datetime(2025, 3, 1)  # noqa: DTZ001  # what is to be refused
    with pytest.raises(StatementError, match="no time zone"):
        receive(database, instance(1, received_at=naive))


def test_sqlite_is_set_to_survive_a_power_cut(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/node.db")
    with database.write() as session:
        values = [
            session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    database.close()
    assert values == ["wal", 2, 1, 30_000]  # 2: FULL


def test_a_url_is_shown_without_what_may_be_a_password() -> None:
    url = "postgresql://node:secret@pacs/node?password=secret&sslmode=require"
    database = Database.open_later(url)
    assert database.url == shown_url(url) == "postgresql+psycopg://node:***@pacs/node"


def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError) as caught:
        Database.open(f"postgresql://node:secret-word@/node?host={tmp_path}")
    assert str(tmp_path) in str(caught.value)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://host/name",
        "secret-word",
        "postgresql://node@host:secret-word/name",
        "sqlite:///file:x?uri=1",
    ],
)
def test_a_url_that_cannot_serve_is_refused(url: str) -> None:
    with pytest.raises(DatabaseUrlError) as caught:
        Database.open(url)
    assert "secret-word" not in str(caught.value)


def test_errors_do_not_tell_values_of_rows(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught, database.write() as session:
        session.execute(
            text("INSERT INTO job (kind, error) VALUES ('assess', :patient)"),
            {"patient": "DOE^JANE"},
        )
    assert "hidden" in str(caught.value)
    assert caught.value.hide_parameters


def test_a_file_that_is_moved_away_is_not_made_anew_in_its_place(tmp_path: Path) -> None:
    """Else whoever puts it back would find an empty one there, and the node would go on with it."""
    file = tmp_path / "a folder" / "node #1.db"
    database = Database.open(f"sqlite:///{file}")
    database.close()
    file.rename(tmp_path / "away")
    for transaction in (database.read, database.write):
        with (
            pytest.raises(DatabaseUnavailableError, match="unable to open"),
            transaction() as session,
        ):
            count_associations(session)
    assert not file.exists()
    (tmp_path / "away").rename(file)
    with database.read() as session:
        assert count_associations(session) == 0
    database.close()
