"""How the results of a series came to a destination for the first time, and when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.models import DeliveryRow, SeriesRow
from storage.statements import in_batches


@dataclass(frozen=True)
class FirstWay:
    """What an analysis left for one destination. `stored_at`, `committed_at`: of the last one."""

    series_key: str
    last_received_at: datetime
    analysed_at: datetime
    stored_at: datetime | None
    committed_at: datetime | None
    all_stored: bool
    all_committed: bool


def series_committed(
    session: Session, destination: str, sop_instance_uids: Collection[str], at: datetime
) -> set[str]:
    """Keys of the series of those objects that a report which came `at` then told of first."""
    found: set[str] = set()
    for uids in in_batches(sop_instance_uids):
        told = select(DeliveryRow.series_key).where(
            DeliveryRow.destination == destination,
            DeliveryRow.sop_instance_uid.in_(uids),
            DeliveryRow.committed_at == at,
        )
        found |= set(session.scalars(told.distinct()))
    return found


def first_way(session: Session, series_key: str, destination: str) -> FirstWay | None:
    """None where nothing of its last analysis goes there, or was sent again by hand since."""
    series = session.get(SeriesRow, series_key)
    if series is None or series.ended_at is None or series.last_received_at > series.ended_at:
        return None
    delivery = DeliveryRow
    statement = select(
        func.count(),
        func.count(delivery.stored_at),
        func.count(delivery.committed_at),
        func.max(delivery.stored_at),
        func.max(delivery.committed_at),
    ).where(
        delivery.series_key == series_key,
        delivery.destination == destination,
        delivery.created_at == series.ended_at,
    )
    objects, stored, committed, stored_at, committed_at = session.execute(statement).one()
    if not objects:
        return None
    return FirstWay(
        series_key=series_key,
        last_received_at=series.last_received_at,
        analysed_at=series.ended_at,
        stored_at=stored_at,
        committed_at=committed_at,
        all_stored=stored == objects,
        all_committed=committed == objects,
    )
