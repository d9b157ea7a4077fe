"""Where work is done: what one node alone can read, that one alone may claim.

Only where nodes share the database: a node that has it alone may do whatever there is to do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    String,
    and_,
    case,
    false,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from storage.models import (
    IS_OPEN_DELIVERY,
    IS_OPEN_JOB,
    DeliveryRow,
    InstanceRow,
    JobRow,
    Leased,
    NodeRow,
    ResultRow,
)
from storage.overview_records import node_of
from storage.records import JobKind, ResultRecord
from storage.statements import in_batches

LOST = select(NodeRow.node_id).where(NodeRow.left_at.is_not(None))
"""Ids of the nodes that are not heard of."""

_SHARED = select(NodeRow.node_id).where(NodeRow.shares).exists()


def place_of_series(series_key: Any) -> ColumnElement[Any]:
    """For a new job: the node that has the first instance of a series that is not sealed, one that
    is heard of before one that is not; NULL where everyone can read all of it."""
    first = (
        select(InstanceRow.node_id)
        .join(NodeRow, NodeRow.node_id == InstanceRow.node_id)
        .where(InstanceRow.series_key == series_key, InstanceRow.object_name.is_(None))
        .order_by(NodeRow.left_at.is_not(None), InstanceRow.received_at, InstanceRow.node_id)
        .limit(1)
    )
    return case((_SHARED, first.scalar_subquery()))


def place_of_result(result: ResultRecord) -> ColumnElement[Any]:
    """For a new delivery: the node that alone has the object; NULL where everyone can read it."""
    sealed = result.object_name is not None or not result.node_id
    return case((_SHARED, literal(None if sealed else result.node_id, String())))


def readable(series_key: Any, owner: str) -> ColumnElement[bool]:
    """Whether the node of `owner`, "node_id/…", can read all of a series: what lies on the disk of
    another, and is not sealed, it cannot. A scalar, as PostgreSQL would read all instances at once
    for an EXISTS."""
    elsewhere = select(false()).where(
        InstanceRow.series_key == series_key,
        InstanceRow.object_name.is_(None),
        InstanceRow.node_id.not_in(("", node_of(owner))),
    )
    return case(
        (_SHARED, func.coalesce(elsewhere.limit(1).scalar_subquery(), true())), else_=true()
    )


def asks_no_more(
    capabilities: Collection[str], memory_bytes: int | None
) -> tuple[ColumnElement[bool], ...]:
    """Jobs that a worker which has these may claim; `memory_bytes`: None for any."""
    return (JobRow.capability.in_(capabilities), *has_memory(memory_bytes))


def has_memory(memory_bytes: int | None) -> tuple[ColumnElement[bool], ...]:
    """Jobs that ask for no more; None: any."""
    return () if memory_bytes is None else (JobRow.memory_bytes <= memory_bytes,)


_ASKED_FOR = select(NodeRow.equipment_digest).where(
    NodeRow.shares, NodeRow.receives, NodeRow.left_at.is_(None), NodeRow.equipment_digest != ""
)
"""Digests of the equipment with which nodes that are heard of decide."""


def is_for(equipment_digest: str | None) -> tuple[ColumnElement[bool], ...]:
    """Analyses for a worker with this equipment: that of the node that decided. What no node would
    ask for any more, as all of them have other models since, goes to one that has those. None: of
    a node that has the database alone, for which whatever it has is right."""
    if equipment_digest is None:
        return ()
    theirs, ours = JobRow.model_digest, literal(equipment_digest, String())
    return (or_(theirs == ours, and_(theirs.not_in(_ASKED_FOR), ours.in_(_ASKED_FOR))),)


def may_claim(table: type[Leased], owner: str) -> ColumnElement[bool]:
    """What is bound to no node, or to that of `owner`, "node_id/role/pid/…"."""
    return or_(table.node_id.is_(None), table.node_id == node_of(owner))


def place_anew(session: Session, sop_instance_uids: Sequence[str]) -> None:
    """Open jobs of the series of these instances, which were bound to a node that is lost."""
    for uids in in_batches(sop_instance_uids):
        keys = select(InstanceRow.series_key).where(InstanceRow.sop_instance_uid.in_(uids))
        bound = (IS_OPEN_JOB, JobRow.node_id.in_(LOST), JobRow.series_key.in_(keys))
        place = place_of_series(JobRow.series_key)
        session.execute(
            update(JobRow).where(*bound).values(node_id=place),
            execution_options={"synchronize_session": False},
        )


def place_what_is_open(session: Session, node_id: str) -> None:
    """Bind to this node what was entered before it shared the database, and what it alone has."""
    own = (InstanceRow.node_id == node_id, InstanceRow.object_name.is_(None))
    series = select(InstanceRow.series_key).where(*own)
    waiting = (IS_OPEN_JOB, JobRow.kind != JobKind.FETCH, JobRow.node_id.is_(None))
    jobs = (*waiting, JobRow.series_key.in_(series))
    session.execute(update(JobRow).where(*jobs).values(node_id=node_id))
    results = select(ResultRow.sop_instance_uid).where(
        ResultRow.node_id == node_id, ResultRow.object_name.is_(None)
    )
    deliveries = (
        IS_OPEN_DELIVERY,
        DeliveryRow.node_id.is_(None),
        DeliveryRow.sop_instance_uid.in_(results),
    )
    session.execute(update(DeliveryRow).where(*deliveries).values(node_id=node_id))
