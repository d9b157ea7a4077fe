"""Statements that the two database systems spell each in its own way, and row to record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from storage.columns import Base, UtcDateTime
from storage.models import InstanceRow, SeriesRow
from storage.records import StoredInstance

_Value = TypeVar("_Value")
Insert = postgresql.Insert | sqlite.Insert


def insert_into(session: Session, table: type[Base]) -> Insert:
    """An INSERT that can bear ON CONFLICT. Its `rowcount` tells nothing; ask for RETURNING."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def lock_series(session: Session, series_key: str) -> SeriesRow:
    """The series' row as it is now, locked until the transaction ends.

    FOR NO KEY UPDATE on PostgreSQL, so that rows that refer to it may be inserted meanwhile; on
    SQLite a write transaction is alone anyway. The row must be there; series are never removed.
    """
    statement = (
        select(SeriesRow)
        .where(SeriesRow.series_key == series_key)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return session.scalars(statement).one()


def moment(session: Session) -> datetime:
    """Now, by the clock of the database; on SQLite that is this machine's."""
    if session.get_bind().dialect.name == "postgresql":
        told: datetime = session.scalars(select(func.clock_timestamp(type_=UtcDateTime()))).one()
        return told
    return datetime.now(UTC)


_FLIGHT_RECORDS = 0x666C69676874  # "flight": the key of an advisory lock of this product alone


def lock_flight_records(session: Session) -> None:
    """One transaction at a time from here to its end; on SQLite a writer is alone anyway.

    The last record cannot be locked itself: whoever waited for it would get one that is no more
    the last.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_FLIGHT_RECORDS)))


def in_batches(values: Iterable[_Value], size: int = 1000) -> Iterator[list[_Value]]:
    """Lists of at most `size`: a statement bears 32,766 values on SQLite, 65,535 on PostgreSQL."""
    rest = iter(values)
    while batch := list(islice(rest, size)):
        yield batch


Place = tuple[datetime, str]
"""Where a walk through series has come to: a time of theirs, and their key."""


def behind(place: Place, time: Any, key: Any) -> ColumnElement[bool]:
    """What a walk in the order of these columns comes to after a place."""
    return or_(time > place[0], and_(time == place[0], key > place[1]))


def shared_fields(record: type, row: object) -> dict[str, Any]:
    """The values of `row` that `record`, a dataclass, has a field of the same name for."""
    names = (each.name for each in fields(record))
    return {name: getattr(row, name) for name in names if hasattr(row, name)}


def stored_instance(row: InstanceRow) -> StoredInstance:
    """The record of a row."""
    values = shared_fields(StoredInstance, row)
    return StoredInstance(**(values | {"association_id": row.association_id or ""}))
