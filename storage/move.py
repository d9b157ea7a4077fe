"""Taking a whole database to another place: SQLite to PostgreSQL, or any to any other.

Every table of `storage.models`, whatever they are by then, row by row as it stands, in one
transaction on each side: of the source one consistent view, of the target all or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    FromClause,
    RowMapping,
    Table,
    column,
    delete,
    func,
    insert,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from storage.columns import plain_type
from storage.database import Database
from storage.errors import MoveError
from storage.models import NodeRow
from storage.tables import METADATA

_BATCH = 1000


def copy_rows(source: Database, target: Database) -> dict[str, int]:
    """Copy every row of `source` into `target`; how many there are now, by table.

    Raises:
        MoveError: `target` holds rows already, takes a row not as it stands, or counts others than
            `source` does; it is left as it was.
        DatabaseUnavailableError
    """
    copied: dict[str, int] = {}
    with source.read() as rows, target.write() as session:
        check_empty(session, target.url)
        if target.serves:  # it waits meanwhile for what the source has to count
            session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        tables = METADATA.sorted_tables  # a table after those that it refers to
        for each in tables:
            _copy(rows, session, each)
        for each in tables:
            copied[each.name] = _count(session, each)
            if copied[each.name] != (expected := _count(rows, each)):
                raise MoveError(f"{each.name}: {copied[each.name]} rows of {expected} arrived")
    return copied


def check_empty(session: Session, url: str) -> None:
    """`url`: how the error names the database.

    Raises:
        MoveError: some table holds rows.
    """
    taken = [each.name for each in METADATA.sorted_tables if _count(session, each)]
    if taken:
        raise MoveError(f"{url} is not empty: it has rows in {', '.join(taken)}")


def move_rows(source: Database, target: Database) -> dict[str, int]:
    """As `copy_rows`; no node begins on `source` from then on: it belongs to none.

    Raises:
        as `copy_rows`.
    """
    moved = copy_rows(source, target)
    with source.write() as session:
        session.execute(delete(NodeRow))
    return moved


def _copy(source: Session, target: Session, of: Table) -> None:
    plain = _plain(of)
    try:
        for batch in _batches(source, plain):
            target.execute(insert(plain), [dict(row) for row in batch])
        if target.get_bind().dialect.name == "postgresql":
            _go_on_counting(target, of)
    except SQLAlchemyError as error:
        why, _, _of_the_row = str(getattr(error, "orig", None) or type(error).__name__).partition(
            "\n"
        )
        raise MoveError(f"{of.name}: a row cannot be taken over: {why}") from error


def _batches(session: Session, of: FromClause) -> Iterator[Sequence[RowMapping]]:
    rows = session.execute(select(of), execution_options={"yield_per": _BATCH})
    return rows.mappings().partitions()


def _plain(of: Table) -> Any:
    """The table with its JSON as it stands, not as the records of today would write it."""
    return table(of.name, *(column(each.name, plain_type(each)) for each in of.columns))


def _count(session: Session, of: Table) -> int:
    return session.scalar(select(func.count(literal_column("*"))).select_from(of)) or 0


def _go_on_counting(session: Session, of: Table) -> None:
    """The sequence of a PostgreSQL table has not seen the numbers that were brought along."""
    counted = of.autoincrement_column
    if counted is None:
        return
    largest = session.scalar(select(func.max(counted))) or 0
    names = {"table": of.name, "column": counted.name}
    sequence = session.scalar(text("SELECT pg_get_serial_sequence(:table, :column)"), names)
    if sequence is not None:
        after = {"sequence": sequence, "next": largest + 1}
        session.execute(text("SELECT setval(:sequence, :next, false)"), after)
