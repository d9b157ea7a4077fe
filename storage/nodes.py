"""The nodes that work on this database: its rows name files that lie in their data directories.

One, or several that share it: each says from time to time that it lives, and one that has not for
long is lost to the others until it says so again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from storage.instances import series_folder
from storage.models import NodeRow, ResultRow, SeriesRow
from storage.overview_records import Node
from storage.placing import place_what_is_open
from storage.statements import insert_into, shared_fields

DESTINATIONS = "destinations"
"""The part of a node's equipment that names those which it sends to: a list, as JSON."""


def all_nodes(session: Session) -> tuple[Node, ...]:
    """As they joined; none: the database belonged to none yet, or was moved elsewhere."""
    rows = session.scalars(select(NodeRow).order_by(NodeRow.joined_at, NodeRow.node_id))
    return tuple(Node(**shared_fields(Node, row)) for row in rows)


def find(session: Session, node_id: str) -> Node | None:
    """The node of this id, if the database knows it."""
    row = session.get(NodeRow, node_id, populate_existing=True)
    return None if row is None else Node(**shared_fields(Node, row))


def all_workers(session: Session) -> tuple[Node, ...] | None:
    """Of the nodes that are heard of those that analyse; None where none has ever joined."""
    known = all_nodes(session)
    found = tuple(each for each in known if each.workers and each.left_at is None)
    return found if known else None


def join(
    session: Session,
    node_id: str,
    name: str,
    shares: bool,
    now: datetime,
    workers: int = 1,
    receives: bool = True,
) -> None:
    """The node begins to work on this database. Of one that shares it what is open is bound to it,
    as far as nobody else has the files."""
    here = {"name": name, "shares": shares, "heard_at": now, "left_at": None}
    here |= {"workers": workers, "receives": receives, "twice_at": None, "twice_on": ""}
    statement = insert_into(session, NodeRow).values(node_id=node_id, joined_at=now, **here)
    session.execute(statement.on_conflict_do_update(index_elements=["node_id"], set_=here))
    if shares:
        place_what_is_open(session, node_id)


def tell_alive(
    session: Session, node_id: str, now: datetime, mark: str = "", *, shares: bool = True
) -> bool:
    """Again and again, while a node runs. False: it is not known there. `mark`: of the start that
    says so, and this word of it."""
    here = {"heard_at": now, "left_at": None, "shares": shares, "mark": mark}
    alive = update(NodeRow).where(NodeRow.node_id == node_id).values(**here)
    return session.scalar(alive.returning(NodeRow.node_id)) is not None


def tell_workers(
    session: Session, node_id: str, capabilities: Iterable[str], memory_bytes: int
) -> None:
    """What each worker of a node has, as one of them knows that has loaded its models."""
    told = {"capabilities": " ".join(sorted(capabilities)), "memory_bytes": memory_bytes}
    session.execute(update(NodeRow).where(NodeRow.node_id == node_id).values(**told))


def tell_equipment(
    session: Session, node_id: str, parts: Mapping[str, str], digest: str, *, receives: bool
) -> None:
    """With what a node decides, as its assessor knows; or, of a host of workers alone, what these
    have. Of the other kind of node nothing is written."""
    told = {"equipment": dict(parts), "equipment_digest": digest}
    which = (NodeRow.node_id == node_id, NodeRow.receives.is_(receives))
    session.execute(update(NodeRow).where(*which).values(**told))


def destinations_of_others(session: Session, node_id: str) -> frozenset[str] | None:
    """Names of those that the other nodes send to which share the database and are heard of; None:
    one of them has not told."""
    found: set[str] = set()
    for each in all_nodes(session):
        if each.node_id != node_id and each.left_at is None and each.receives and each.shares:
            told = (each.equipment or {}).get(DESTINATIONS)
            if told is None:
                return None
            found |= set(json.loads(told))
    return frozenset(found)


def leave(session: Session, node_id: str) -> None:
    """A host of workers alone ends: it kept nothing that another could want. What its processes
    held they have handed back."""
    alone = (NodeRow.node_id == node_id, NodeRow.receives.is_(False))
    session.execute(delete(NodeRow).where(*alone))


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
