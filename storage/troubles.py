"""The troubles of each node, each from when it was first seen until it is over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from storage.columns import of_node
from storage.operating_tables import TroubleRow
from storage.overview_records import TroubleRecord
from storage.statements import shared_fields


def unfinished_troubles(
    session: Session, over_since: datetime, node_id: str = ""
) -> tuple[TroubleRecord, ...]:
    """Those of a node, or of all, that last, and those that were over since then, oldest first."""
    lasting = or_(TroubleRow.over_at.is_(None), TroubleRow.over_at >= over_since)
    own = of_node(TroubleRow.node_id, node_id)
    rows = session.scalars(select(TroubleRow).where(own, lasting).order_by(TroubleRow.trouble_id))
    return tuple(_record(row) for row in rows)


def _record(row: TroubleRow) -> TroubleRecord:
    ways = {
        "told": frozenset(row.told.split()),
        "told_over": frozenset(row.told_over.split()),
    }
    return TroubleRecord(**shared_fields(TroubleRecord, row) | ways)


def put_troubles(session: Session, records: Iterable[TroubleRecord], node_id: str = "") -> None:
    """Enter those of a node, or what became of them: each is known by its name and when it was
    first seen."""
    for record in records:
        same = (
            of_node(TroubleRow.node_id, node_id),
            TroubleRow.name == record.name,
            TroubleRow.first_seen_at == record.first_seen_at,
        )
        values = {
            "severity": record.severity,
            "text": record.text,
            "remedy": record.remedy,
            "since": record.since,
            "last_seen_at": record.last_seen_at,
            "over_at": record.over_at,
            "told": " ".join(sorted(record.told)),
            "told_over": " ".join(sorted(record.told_over)),
        }
        changed = update(TroubleRow).where(*same).values(values).returning(TroubleRow.trouble_id)
        if session.scalar(changed) is None:
            key = {"name": record.name, "first_seen_at": record.first_seen_at}
            session.add(TroubleRow(**key, **values, node_id=node_id))
            session.flush()


def remove_troubles(session: Session, over_before: datetime) -> None:
    """Forget those that were over before then."""
    session.execute(delete(TroubleRow).where(TroubleRow.over_at < over_before))
