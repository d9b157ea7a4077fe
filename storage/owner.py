"""Whose database this is: its rows name files that lie in one node's data directory."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.instances import series_folder
from storage.models import OwnerRow, ResultRow, SeriesRow
from storage.statements import insert_into


def find_owner(session: Session) -> str | None:
    """The id of the node that the database belongs to; None if it belonged to none yet."""
    return session.scalars(select(OwnerRow.node_id)).one_or_none()


def owner_of(session: Session, node_id: str) -> str:
    """The id of the node that the database belongs to; `node_id` if it belonged to none yet."""
    statement = insert_into(session, OwnerRow).values(slot=1, node_id=node_id)
    session.execute(statement.on_conflict_do_nothing())
    return session.scalars(select(OwnerRow.node_id)).one()


def folders_without_series(session: Session, result_folders: Iterable[str]) -> tuple[str, ...]:
    """Which of these folders of results no row accounts for, in order.

    The row of a series is there before its first result, and is never removed: so the rows are
    not those that the results were made with.
    """
    folders = set(result_folders)
    if not folders:
        return ()
    for key in session.scalars(select(SeriesRow.series_key)):
        folders.discard(series_folder(key))
    if folders:
        for path in session.scalars(select(ResultRow.path)):
            folders.discard(path.rpartition("/")[0])
    return tuple(sorted(folders))
