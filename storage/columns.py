"""What the columns of the tables are made of: times, records as JSON, indexes over few of many."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Enum,
    Index,
    MetaData,
    String,
    TypeDecorator,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from storage.campaign_records import CampaignState, FoundState, WindowState
from storage.decided import JsonObject
from storage.records import (
    AssociationEnd,
    ConflictState,
    DeliveryState,
    FileKind,
    JobKind,
    JobState,
    SeriesState,
)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times in, aware times in UTC out, on SQLite too (which knows no time zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """
        Raises:
            ValueError: a naive time: nobody could say which moment it means.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def _enumeration(kind: type[StrEnum], name: str) -> Enum:
    """A text column with a CHECK that allows the values of `kind` alone."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


JSON_VALUE = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Records(TypeDecorator[Any]):
    """A record, a tuple of them, or None as JSON: by its `as_json`, and `read` makes it anew."""

    impl = JSON_VALUE
    cache_ok = True

    def __init__(self, read: Callable[[JsonObject], Any]) -> None:
        super().__init__()
        self.read = read

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        if isinstance(value, tuple):
            return [each.as_json() for each in value]
        return None if value is None else value.as_json()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        if isinstance(value, list):
            return tuple(self.read(each) for each in value)
        return None if value is None else self.read(value)


def plain_type(column: Column[Any]) -> TypeEngine[Any]:
    """The type of a column, but of records as the JSON that is kept of them."""
    return JSON_VALUE if isinstance(column.type, Records) else column.type


class Base(DeclarativeBase):
    """Constraints get stable names, so that a migration can name what it changes."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads it as a plain class attribute
        datetime: UtcDateTime(),
        dict[str, Any]: JSON_VALUE,
        AssociationEnd: _enumeration(AssociationEnd, "ending"),
        SeriesState: _enumeration(SeriesState, "state"),
        JobKind: _enumeration(JobKind, "kind"),
        JobState: _enumeration(JobState, "state"),
        ConflictState: _enumeration(ConflictState, "state"),
        DeliveryState: _enumeration(DeliveryState, "state"),
        FileKind: _enumeration(FileKind, "kind"),
        CampaignState: _enumeration(CampaignState, "state"),
        WindowState: _enumeration(WindowState, "state"),
        FoundState: _enumeration(FoundState, "state"),
    }


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over the rows of which `where` is true: few of many."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


LONGEST_ENDING = 24
"""Characters."""


class Ending(FunctionElement[str]):
    """The last characters of a text, the last one first, in the order of their bytes: beside each
    other stand those that end alike. SQLite has no word for it."""

    type = String()
    inherit_cache = True


@compiles(Ending)
def _ending(element: Ending, compiler: Any, **options: Any) -> str:
    of = compiler.process(element.clauses, **options)
    last = (f"substr({of}, -{number}, 1)" for number in range(1, LONGEST_ENDING + 1))
    return f"({' || '.join(last)})"


@compiles(Ending, "postgresql")
def _ending_postgresql(element: Ending, compiler: Any, **options: Any) -> str:
    of = compiler.process(element.clauses, **options)
    return f'reverse("right"({of}, {LONGEST_ENDING})) COLLATE "C"'


class OfOneNode:
    """Columns of what lies on the disk of one node, or is told of it. `node_id` is empty where none
    has said whose."""

    node_id: Mapped[str] = mapped_column(server_default="")


class Sealable(OfOneNode):
    """Of what may be in the object store too, at an offset in bytes, for every node to read."""

    object_name: Mapped[str | None]
    object_offset: Mapped[int | None] = mapped_column(BigInteger)


def of_node(column: Any, node_id: str) -> ColumnElement[bool]:
    """What is of a node, or of one that was not named; all, where none is asked for."""
    return column.in_(("", node_id)) if node_id else true()
