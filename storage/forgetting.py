"""A lost node that never comes back is forgotten: nobody waits for it any more.

Its row stays, and no longer tells of a node that shares the database: so what it alone had counts
as lost still, is asked of the archive, and is taken from whoever sends it again. One that comes
back all the same joins anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from storage.damage import STORE_NODE
from storage.jobs import FREE
from storage.models import (
    IS_OPEN_DELIVERY,
    DeliveryRow,
    InstanceRow,
    NodeRow,
    RemovalRow,
    ResultRow,
    SeriesRow,
)
from storage.operating_tables import TroubleRow
from storage.overview_records import ID_SHOWN, Node
from storage.records import OPEN_SERIES, DeliveryState
from storage.statements import shared_fields

FORGOTTEN = "it lay on the disk of a node that was forgotten"
"""Error of a delivery whose object nobody can read any more."""


@dataclass(frozen=True)
class LeftBehind:
    """What lies on the disk of a node alone, and in no object of the store.

    `open_series`: those that wait for its instances; `ended_series`: those that are decided, and
    cannot be analysed again without them; `results`: result objects; `unsent`: deliveries of them
    that no destination has, withdrawals among them.
    """

    open_series: int
    ended_series: int
    instances: int
    results: int
    unsent: int


def nodes_called(session: Session, name: str) -> tuple[Node, ...]:
    """Those of this name, of this id or of one that begins so, that are not forgotten; several
    machines may have borne one name after the other."""
    called = NodeRow.name == name
    if len(name) >= ID_SHOWN:
        called |= NodeRow.node_id.startswith(name, autoescape=True)
    rows = session.scalars(select(NodeRow).where(called).order_by(NodeRow.joined_at))
    found = (Node(**shared_fields(Node, row)) for row in rows)
    return tuple(each for each in found if not each.forgotten)


def left_behind(session: Session, node_id: str) -> LeftBehind:
    """By the rows as they are now; it reads those of all instances."""
    only_there = (InstanceRow.node_id == node_id, InstanceRow.object_name.is_(None))

    def series(which: ColumnElement[bool]) -> ColumnElement[int]:
        return func.count(InstanceRow.series_key.distinct()).filter(which)

    is_open = SeriesRow.state.in_(OPEN_SERIES)
    counted = (
        select(series(is_open), series(~is_open), func.count())
        .select_from(InstanceRow)
        .join(SeriesRow, SeriesRow.series_key == InstanceRow.series_key)
        .where(*only_there)
    )
    results = (ResultRow.node_id == node_id, ResultRow.object_name.is_(None))
    return LeftBehind(
        *session.execute(counted).one(),
        results=_count(session, ResultRow, *results),
        unsent=_count(session, DeliveryRow, *_unsent(node_id)),
    )


@dataclass(frozen=True)
class Unreadable:
    """What of a series lay on one node alone that is forgotten, and is not here again: instances,
    and deliveries that were given up with it. `forgotten`: by a person; else the node goes on, and
    its disk has them no more."""

    name: str
    instances: int
    unsent: int
    forgotten: bool


def unreadable(session: Session, series_key: str) -> tuple[Unreadable, ...]:
    """By node, as they joined; of objects that cannot be read `storage.damage` tells."""
    a_node = NodeRow.node_id != STORE_NODE
    no_more = (a_node, NodeRow.left_at.is_not(None), NodeRow.shares.is_(False))
    found = []
    for node in session.scalars(select(NodeRow).where(*no_more).order_by(NodeRow.joined_at)).all():
        alone = (InstanceRow.node_id == node.node_id, InstanceRow.object_name.is_(None))
        instances = _count(session, InstanceRow, InstanceRow.series_key == series_key, *alone)
        lost = (DeliveryRow.node_id == node.node_id, DeliveryRow.error == FORGOTTEN)
        unsent = _count(session, DeliveryRow, DeliveryRow.series_key == series_key, *lost)
        if instances or unsent:
            by_person = node.workers > 0 or node.joined_at != node.left_at
            found.append(Unreadable(node.name or node.node_id, instances, unsent, by_person))
    return tuple(found)


def forget(session: Session, node_id: str) -> bool:
    """False where it is heard of again, or is forgotten already."""
    lost = (NodeRow.node_id == node_id, NodeRow.left_at.is_not(None), NodeRow.shares)
    forgotten = update(NodeRow).where(*lost).values(shares=False).returning(NodeRow.node_id)
    if session.scalar(forgotten) is None:
        return False
    failed = FREE | {"state": DeliveryState.FAILED, "error": FORGOTTEN}
    session.execute(update(DeliveryRow).where(*_unsent(node_id)).values(failed))
    session.execute(delete(RemovalRow).where(RemovalRow.node_id == node_id))
    session.execute(delete(TroubleRow).where(TroubleRow.node_id == node_id))
    return True


def _unsent(node_id: str) -> tuple[Any, ...]:
    return IS_OPEN_DELIVERY, DeliveryRow.node_id == node_id


def _count(session: Session, table: type[Any], *which: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(*which)) or 0
