"""Objects of the store that are missing, or not what was written there, and what becomes of them.

Whoever reads one in vain enters it. A node that has a good copy of what was in it makes that its
own again, to be sealed anew (under the same name, where all of it is there); where nobody has, the
instances of a series that waits are those of a lost node: sent for from the archive, and taken from
whoever sends them. The entry stays until then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from storage.models import (
    IS_OPEN_DELIVERY,
    IS_OPEN_JOB,
    DeliveryRow,
    InstanceRow,
    JobRow,
    NodeRow,
    ResultRow,
    SeriesRow,
)
from storage.overview_records import DamagedObjects
from storage.records import OPEN_SERIES, ResultRecord, StoredInstance
from storage.retention import call_off
from storage.sealing import intend
from storage.statements import insert_into, lock_series, shared_fields, stored_instance
from storage.store_tables import DamagedObjectRow

STORE_NODE = "object store"
"""Stands for the node that alone had what was in an object, and lost it."""


@dataclass(frozen=True)
class DamagedObject:
    """As `DamagedObjectRow`."""

    object_name: str
    series_key: str
    why: str
    found_at: datetime
    last_found_at: datetime
    found_count: int
    lost_at: datetime | None


def note_damaged(
    session: Session, object_name: str, series_key: str, why: str, now: datetime
) -> bool:
    """Somebody read an object in vain. False where no row names it: it went, or was made anew,
    while it was read."""
    if not _names(session, object_name, series_key):
        return False
    new: dict[str, object] = {"object_name": object_name, "series_key": series_key, "why": why}
    new |= {"found_at": now, "last_found_at": now, "found_count": 1}
    entered = insert_into(session, DamagedObjectRow).values(new)
    again = {"last_found_at": now, "why": why, "found_count": DamagedObjectRow.found_count + 1}
    session.execute(entered.on_conflict_do_update(index_elements=["object_name"], set_=again))
    return True


def _names(session: Session, object_name: str, series_key: str) -> bool:
    return any(
        session.scalar(
            select(func.count()).where(
                table.series_key == series_key, table.object_name == object_name
            )
        )
        for table in (InstanceRow, ResultRow)
    )


def damaged_objects(session: Session, limit: int) -> tuple[DamagedObject, ...]:
    """Those found last come last."""
    rows = session.scalars(
        select(DamagedObjectRow).order_by(DamagedObjectRow.found_at).limit(limit)
    )
    return tuple(DamagedObject(**shared_fields(DamagedObject, row)) for row in rows)


def damaged_of_series(session: Session, series_key: str) -> tuple[DamagedObject, ...]:
    """Those of one series, as they were found."""
    of_series = select(DamagedObjectRow).where(DamagedObjectRow.series_key == series_key)
    rows = session.scalars(of_series.order_by(DamagedObjectRow.found_at))
    return tuple(DamagedObject(**shared_fields(DamagedObject, row)) for row in rows)


def damaged_summary(session: Session) -> DamagedObjects | None:
    """All of them in a few words; None where there are none."""
    first = session.scalar(select(DamagedObjectRow).order_by(DamagedObjectRow.found_at).limit(1))
    if first is None:
        return None
    row = DamagedObjectRow
    counted = select(func.count(), func.count(row.lost_at), func.sum(row.found_count))
    count, lost, found = session.execute(counted).one()
    return DamagedObjects(count, lost, int(found), first.series_key, first.why, first.found_at)


def _in_it(damaged: DamagedObject) -> tuple[ColumnElement[bool], ...]:
    """Instances that nobody can read because of it."""
    lost = InstanceRow.node_id == STORE_NODE
    named = InstanceRow.object_name == damaged.object_name
    return InstanceRow.series_key == damaged.series_key, or_(named, lost)


def instances_in(session: Session, damaged: DamagedObject) -> tuple[StoredInstance, ...]:
    """Instances that were in it, and are nowhere else as far as their rows say."""
    return tuple(map(stored_instance, session.scalars(select(InstanceRow).where(*_in_it(damaged)))))


def results_in(session: Session, damaged: DamagedObject) -> tuple[ResultRecord, ...]:
    """As `instances_in`."""
    rows = session.scalars(select(ResultRow).where(*_results(damaged)))
    return tuple(ResultRecord(**shared_fields(ResultRecord, row)) for row in rows)


def _results(damaged: DamagedObject) -> tuple[ColumnElement[bool], ...]:
    lost = ResultRow.node_id == STORE_NODE
    named = ResultRow.object_name == damaged.object_name
    return ResultRow.series_key == damaged.series_key, or_(named, lost)


def make_own(
    session: Session,
    damaged: DamagedObject,
    sizes: dict[str, int],
    node_id: str,
    is_there: Callable[[str], bool],
    now: datetime,
) -> int:
    """A node has good copies of instances that were in it, with so many bytes each, by path: they
    are in no object any more, and its own to be sealed. How many. `is_there`: none goes from its
    disk from now on."""
    rows = _locked(session, damaged)
    call_off(session, node_id, sizes)
    owned = 0
    for row in rows:
        if row.path in sizes and is_there(row.path):
            row.node_id, row.size_bytes = node_id, sizes[row.path]
            row.object_name = row.object_offset = None
            owned += 1
    session.flush()
    if owned:
        intend(session, damaged.object_name, now)
        waits = (IS_OPEN_JOB, JobRow.series_key == damaged.series_key, JobRow.not_before > now)
        session.execute(update(JobRow).where(*waits).values(not_before=now))
    return owned


def _locked(session: Session, damaged: DamagedObject) -> Sequence[InstanceRow]:
    """Instances before their series, as whoever records instances does."""
    rows = select(InstanceRow).where(*_in_it(damaged)).order_by(InstanceRow.sop_instance_uid)
    again = {"populate_existing": True}
    found = session.scalars(rows.with_for_update(), execution_options=again).all()
    lock_series(session, damaged.series_key)
    return found


def strike_damaged(session: Session, damaged: DamagedObject) -> None:
    """It is mended, or nobody wants it any more."""
    named = DamagedObjectRow.object_name == damaged.object_name
    session.execute(delete(DamagedObjectRow).where(named))


def lose_damaged(session: Session, damaged: DamagedObject, now: datetime) -> bool:
    """Nobody has a good copy: what a series that waits, or a delivery of it, lacks by it is as of a
    lost node. False where nothing waits for it."""
    rows, gone = _locked(session, damaged), 0
    lost = {"node_id": STORE_NODE, "object_name": None, "object_offset": None}
    if session.get_one(SeriesRow, damaged.series_key).state in OPEN_SERIES:
        for row in rows:
            row.node_id, row.object_name, row.object_offset = STORE_NODE, None, None
        gone += len(rows)
        session.flush()
    results = select(ResultRow.sop_instance_uid).where(*_results(damaged))
    unsent = (IS_OPEN_DELIVERY, DeliveryRow.sop_instance_uid.in_(results))
    waits = update(DeliveryRow).where(*unsent).values(node_id=STORE_NODE)
    if session.scalars(waits.returning(DeliveryRow.delivery_id)).all():
        made = update(ResultRow).where(*_results(damaged)).values(lost)
        gone += len(session.scalars(made.returning(ResultRow.sop_instance_uid)).all())
    if not gone:
        return False
    here = {"name": STORE_NODE, "heard_at": now, "left_at": now, "shares": False}
    node = insert_into(session, NodeRow).values(
        node_id=STORE_NODE, joined_at=now, workers=0, **here
    )
    session.execute(node.on_conflict_do_update(index_elements=["node_id"], set_=here))
    intend(session, damaged.object_name, now)
    named = DamagedObjectRow.object_name == damaged.object_name
    session.execute(update(DamagedObjectRow).where(named).values(lost_at=now))
    return True
