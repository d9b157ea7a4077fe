"""A database taken to another place: every table, every row as it stands, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData, Table, delete, select, text

from storage.columns import Base
from storage.database import Database
from storage.errors import MoveError
from storage.models import DeliveryRow, JobRow
from storage.move import move_rows
from storage.nodes import all_nodes, join
from storage.queries import series_detail
from support.storage_samples import (
    NOW,
    SERIES,
    analyse,
    association,
    instance,
    queue,
    receive,
    result,
)

FORMER = '[{"rule": "modality", "value": "CT", "limit": "CT", "verdict": "pass", "more": [1, "é"]}]'


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Database]:
    """A database of which most tables have rows, as SQLite."""
    from storage.index import open_association

    opened = Database.open(f"sqlite:///{tmp_path}/source.db")
    with opened.write() as session:
        join(session, "n" * 32, "host", False, NOW)
        open_association(session, association("a1"))
    receive(opened, instance(1), instance(2), instance(2, content="other"))
    queue(opened)
    analyse(opened, [result(str(number)) for number in range(5)])
    yield opened
    opened.close()


@pytest.fixture
def target(empty_url: str) -> Iterator[Database]:
    opened = Database.open(empty_url)
    yield opened
    opened.close()


def counts(database: Database) -> dict[str, int]:
    with database.read() as session:
        return {
            each.name: len(session.execute(select(each)).all())
            for each in Base.metadata.sorted_tables
        }


def test_every_table_is_moved_with_every_row(source: Database, target: Database) -> None:
    before = counts(source)
    moved = move_rows(source, target)
    assert moved == before == counts(target)
    assert moved["delivery"] == 5
    assert moved["job"] == moved["instance"] == 2
    with source.read() as old, target.read() as new:
        assert series_detail(new, SERIES) == series_detail(old, SERIES)
        assert [each.node_id for each in all_nodes(new)] == ["n" * 32]
        assert all_nodes(old) == (), "no node begins on it any more"


def test_the_numbers_of_jobs_and_deliveries_go_on(source: Database, target: Database) -> None:
    move_rows(source, target)
    receive(target, instance(3))
    queue(target, "d2")
    analyse(target, [result("next")])
    with target.read() as session:
        for table, name in ((JobRow, "job_id"), (DeliveryRow, "delivery_id")):
            numbers = list(session.scalars(select(getattr(table, name)).order_by(name)))
            assert numbers == sorted(set(numbers))
            assert numbers == list(range(1, len(numbers) + 1))


def test_a_row_of_a_former_release_stays_as_it_was_written(
    source: Database, target: Database
) -> None:
    with source.write() as session:
        session.execute(text("UPDATE series SET reasons = :kept"), {"kept": FORMER})
    move_rows(source, target)
    with target.read() as session:
        kept = session.scalar(text("SELECT CAST(reasons AS TEXT) FROM series"))
    assert '"more"' in str(kept)
    assert "é" in str(kept)


def test_a_target_with_rows_is_refused_and_left_alone(source: Database, target: Database) -> None:
    receive(target, instance(1, "1.2.3"))
    before = counts(target)
    with pytest.raises(MoveError, match=r"is not empty: it has rows in .*series"):
        move_rows(source, target)
    assert counts(target) == before
    with pytest.raises(MoveError, match="is not empty"):
        move_rows(source, source)


def test_a_row_that_is_not_taken_leaves_the_target_empty(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a count that differs: here a row is lost on the way."""
    from storage import move

    original = move._copy

    def lossy(rows: object, session: object, of: Table) -> None:
        original(rows, session, of)  # type: ignore[arg-type]
        if of.name == "delivery":
            session.execute(delete(of).where(of.c.delivery_id == 1))  # type: ignore[attr-defined]

    monkeypatch.setattr(move, "_copy", lossy)
    with pytest.raises(MoveError, match="delivery: 4 rows of 5 arrived"):
        move_rows(source, target)
    assert set(counts(target).values()) == {0}


def test_text_that_the_target_does_not_take_is_told_without_it(
    source: Database, target: Database, system: str
) -> None:
    """PostgreSQL keeps no NUL, which SQLite does: the table is named, no row is lost silently."""
    with source.write() as session:
        session.execute(text("UPDATE association SET called_ae_title = 'SECRET' || char(0)"))
    if system == "sqlite":
        move_rows(source, target)
        return
    with pytest.raises(MoveError, match="association: a row cannot be taken over") as told:
        move_rows(source, target)
    assert "SECRET" not in str(told.value)
    assert set(counts(target).values()) == {0}


@pytest.mark.filterwarnings("ignore:.*expression-based index")  # which is not read back
def test_the_tables_of_the_models_are_all_there_are(target: Database) -> None:
    """So that nothing of a later schema is left behind."""
    with target.read() as session:
        found = MetaData()
        found.reflect(session.connection())
    assert set(found.tables) - {"alembic_version"} == set(Base.metadata.tables)
