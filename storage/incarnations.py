"""One node, one host: which start of a node is heard of, and what an earlier one has no more.

Each start draws a word of its own, and each time the node says that it lives it adds a new one: the
mark in its row, "start/word". Who finds a mark that it never wrote is not the only one of its id.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from storage.models import IS_OPEN_DELIVERY, DeliveryRow, InstanceRow, NodeRow, ResultRow
from storage.overview_records import Node
from storage.statements import in_batches, shared_fields


def held(session: Session, node_id: str) -> Node | None:
    """The node of this id, for nobody else to write until the transaction ends."""
    row = session.get(NodeRow, node_id, populate_existing=True, with_for_update=True)
    return None if row is None else Node(**shared_fields(Node, row))


def sign(session: Session, node_id: str, mark: str) -> None:
    """What is heard of the node is said by the start that this mark is of."""
    session.execute(update(NodeRow).where(NodeRow.node_id == node_id).values(mark=mark))


def note_twice(session: Session, node_id: str, host: str, now: datetime) -> None:
    """Another host wanted to be this node too, and has ended."""
    told = {"twice_at": now, "twice_on": host}
    session.execute(update(NodeRow).where(NodeRow.node_id == node_id).values(**told))


@dataclass(frozen=True)
class Alone:
    """What lies on the disk of a node alone by the rows: path by SOP Instance UID."""

    instances: dict[str, str]
    results: dict[str, str]


def alone_on(session: Session, node_id: str) -> Alone:
    """All of it; what is in the object store is not."""

    def paths(table: type[InstanceRow] | type[ResultRow]) -> dict[str, str]:
        here = (table.node_id == node_id, table.object_name.is_(None))
        rows = session.execute(select(table.sop_instance_uid, table.path).where(*here))
        return {uid: path for uid, path in rows}  # noqa: C416 - rows

    return Alone(paths(InstanceRow), paths(ResultRow))


def give_up(
    session: Session,
    node_id: str,
    instances: Collection[str],
    results: Collection[str],
    now: datetime,
) -> str:
    """What is not on the disk of the node after all, by SOP Instance UID, is that of a lost one
    from now on, whose name is given: so it is sent for, and made anew, as that of any."""
    name = session.scalar(select(NodeRow.name).where(NodeRow.node_id == node_id)) or node_id
    former, called = uuid4().hex, f"{name} before {now:%Y-%m-%d %H:%M UTC}"
    lost = {"heard_at": now, "left_at": now, "shares": False, "workers": 0}
    session.add(NodeRow(node_id=former, name=called, joined_at=now, **lost))
    session.flush()
    gone = {"node_id": former}
    for some in in_batches(sorted(instances)):
        of_node = (InstanceRow.node_id == node_id, InstanceRow.sop_instance_uid.in_(some))
        session.execute(update(InstanceRow).where(*of_node).values(**gone))
    for some in in_batches(sorted(results)):
        made = (ResultRow.node_id == node_id, ResultRow.sop_instance_uid.in_(some))
        session.execute(update(ResultRow).where(*made).values(**gone))
        unsent = (IS_OPEN_DELIVERY, DeliveryRow.sop_instance_uid.in_(some))
        session.execute(update(DeliveryRow).where(*unsent).values(**gone))
    return called
