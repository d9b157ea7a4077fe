"""The nodes that work on this database: its rows name files that lie in their data directories.

One, or several that share it: each says from time to time that it lives, and one that has not for
long is lost to the others until it says so again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.instances import series_folder
from storage.models import NodeRow, ResultRow, SeriesRow
from storage.overview_records import Node
from storage.placing import place_what_is_open
from storage.statements import insert_into, shared_fields


def all_nodes(session: Session) -> tuple[Node, ...]:
    """As they joined; none: the database belonged to none yet, or was moved elsewhere."""
    rows = session.scalars(select(NodeRow).order_by(NodeRow.joined_at, NodeRow.node_id))
    return tuple(Node(**shared_fields(Node, row)) for row in rows)


def join(session: Session, node_id: str, name: str, shares: bool, now: datetime) -> None:
    """The node begins to work on this database. Of one that shares it what is open is bound to it,
    as far as nobody else has the files."""
    here = {"name": name, "shares": shares, "heard_at": now, "left_at": None}
    statement = insert_into(session, NodeRow).values(node_id=node_id, joined_at=now, **here)
    session.execute(statement.on_conflict_do_update(index_elements=["node_id"], set_=here))
    if shares:
        place_what_is_open(session, node_id)


def tell_alive(session: Session, node_id: str, now: datetime) -> None:
    """Again and again, while a node runs that shares the database."""
    alive = update(NodeRow).where(NodeRow.node_id == node_id)
    session.execute(alive.values(heard_at=now, left_at=None, shares=True))


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
