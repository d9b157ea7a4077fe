"""Nodes that are not heard of: what they held is free, and what they alone had is sent for again.

A node that comes back goes on with what is still its own: what it held, another may hold by now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from storage.decided import NodeLost
from storage.enqueue import enqueue_fetch
from storage.index import end_lost_associations
from storage.jobs import hand_back_owned
from storage.models import (
    IS_OPEN_DELIVERY,
    DeliveryRow,
    InstanceRow,
    JobRow,
    NodeRow,
    RemovalRow,
    ResultRow,
    SeriesRow,
)
from storage.placing import LOST, place_anew
from storage.records import OPEN_SERIES, RETRACTION_KIND, FileKind, JobKind
from storage.reopening import reopen_ended
from storage.statements import lock_series


@dataclass(frozen=True)
class Loss:
    """`freed`: jobs and deliveries that it held. `kept`: instances of which another has a copy.
    `receives`: it is no host of workers alone, of which nothing is missing."""

    name: str
    freed: int
    kept: int
    receives: bool = True


def lose_silent(session: Session, silent_since: datetime, now: datetime) -> tuple[Loss, ...]:
    """Whoever has not been heard of since then is lost; again, it changes nothing."""
    silent = (
        select(NodeRow)
        .where(NodeRow.shares, NodeRow.left_at.is_(None), NodeRow.heard_at < silent_since)
        .order_by(NodeRow.node_id)
        .with_for_update(skip_locked=True)
    )
    return tuple(_lose(session, row, now) for row in session.scalars(silent).all())


def _lose(session: Session, node: NodeRow, now: datetime) -> Loss:
    if not node.receives:
        return _strike(session, node, now)
    node.left_at = now
    session.flush()
    kept = _give_to_copies(session, node.node_id)
    freed = hand_back_owned(session, f"{node.node_id}/", now)
    end_lost_associations(session, node.node_id, now)
    return Loss(node.name or node.node_id, freed, kept)


def _strike(session: Session, node: NodeRow, now: datetime) -> Loss:
    """Of a host of workers alone: it is one of those that come and go, and joins again where it
    goes on."""
    freed = hand_back_owned(session, f"{node.node_id}/", now)
    session.delete(node)
    return Loss(node.name or node.node_id, freed, 0, receives=False)


def _give_to_copies(session: Session, node_id: str) -> int:
    """What came to another node too, which was about to remove it, is that node's from now on."""
    found = session.execute(
        select(InstanceRow.sop_instance_uid, RemovalRow.path, RemovalRow.node_id)
        .join(RemovalRow, RemovalRow.path == InstanceRow.path)
        .join(NodeRow, NodeRow.node_id == RemovalRow.node_id)
        .where(
            RemovalRow.kind == FileKind.INSTANCE,
            NodeRow.left_at.is_(None),
            InstanceRow.node_id == node_id,
            InstanceRow.object_name.is_(None),
        )
        .with_for_update(of=RemovalRow, skip_locked=True)
    ).all()
    for uid, path, holder in found:
        key = (RemovalRow.kind == FileKind.INSTANCE, RemovalRow.path == path)
        session.execute(delete(RemovalRow).where(*key, RemovalRow.node_id == holder))
        copied = update(InstanceRow).where(InstanceRow.sop_instance_uid == uid)
        session.execute(copied.values(node_id=holder))
    place_anew(session, [uid for uid, _, _ in found])
    return len(found)


def series_to_analyse_again(session: Session) -> tuple[str, ...]:
    """Series that ended, and whose results, or note, a lost node alone had and has not sent."""
    statement = (
        select(SeriesRow.series_key)
        .join(DeliveryRow, DeliveryRow.series_key == SeriesRow.series_key)
        .join(ResultRow, ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid)
        .where(
            IS_OPEN_DELIVERY,
            DeliveryRow.node_id.in_(LOST),
            ResultRow.kind != RETRACTION_KIND,
            SeriesRow.state.not_in(OPEN_SERIES),
        )
        .distinct()
        .order_by(SeriesRow.series_key)
    )
    return tuple(session.scalars(statement))


def analyse_again(session: Session, series_key: str, now: datetime) -> bool:
    """What is made anew bears the same UIDs: who has a part of it already gets it once more. The
    history tells why, and that no report comes after another by this."""
    if not reopen_ended(session, series_key, now):
        return False
    lost = (
        select(NodeRow.node_id, NodeRow.name)
        .join(DeliveryRow, DeliveryRow.node_id == NodeRow.node_id)
        .where(NodeRow.left_at.is_not(None), DeliveryRow.series_key == series_key)
        .distinct()
        .order_by(NodeRow.node_id)
    )
    entries = tuple(NodeLost(now, *row, 0) for row in session.execute(lost))
    series = lock_series(session, series_key)
    series.history = (*series.history, *entries)
    return True


def series_to_send_for(session: Session) -> tuple[str, ...]:
    """Open series of which a lost node alone has instances, and that nobody was told to have sent
    again since it is lost."""
    told = select(JobRow.job_id).where(
        JobRow.series_key == SeriesRow.series_key,
        JobRow.kind == JobKind.FETCH,
        JobRow.created_at >= NodeRow.left_at,
    )
    statement = (
        select(SeriesRow.series_key)
        .join(InstanceRow, InstanceRow.series_key == SeriesRow.series_key)
        .join(NodeRow, NodeRow.node_id == InstanceRow.node_id)
        .where(
            SeriesRow.state.in_(OPEN_SERIES),
            InstanceRow.object_name.is_(None),
            NodeRow.left_at.is_not(None),
            ~told.exists(),
        )
        .distinct()
        .order_by(SeriesRow.series_key)
    )
    return tuple(session.scalars(statement))


def send_for(session: Session, series_key: str, now: datetime) -> None:
    """Have one FETCH job for a series, which every node may claim; its history tells why."""
    series = lock_series(session, series_key)
    lost = (
        select(NodeRow.node_id, NodeRow.name, func.count())
        .join(InstanceRow, InstanceRow.node_id == NodeRow.node_id)
        .where(
            NodeRow.left_at.is_not(None),
            InstanceRow.series_key == series_key,
            InstanceRow.object_name.is_(None),
        )
        .group_by(NodeRow.node_id, NodeRow.name)
        .order_by(NodeRow.node_id)
    )
    entries = tuple(NodeLost(now, *row) for row in session.execute(lost))
    if entries:
        series.history = (*series.history, *entries)
        enqueue_fetch(session, series_key, series.priority, now)


def lost_instances(session: Session, series_key: str) -> tuple[str, ...]:
    """SOP Instance UIDs that lost nodes alone have, of a series; none: all of it can be read by
    now, or is sent again by whoever has it."""
    statement = select(InstanceRow.sop_instance_uid).where(
        InstanceRow.series_key == series_key,
        InstanceRow.object_name.is_(None),
        InstanceRow.node_id.in_(LOST),
    )
    return tuple(sorted(session.scalars(statement)))
