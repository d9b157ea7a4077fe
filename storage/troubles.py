"""The troubles of the node, each from when it was first seen until it is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from storage.operating_tables import TroubleRow


@dataclass(frozen=True)
class TroubleRecord:
    """One trouble, and who was told of it.

    `since`: when it began, as far as is known. `told`, `told_over`: the ways by which somebody was
    told that it had begun, and that it was over. `over_at`: None while it lasts.
    """

    name: str
    severity: str
    text: str
    remedy: str
    since: datetime
    first_seen_at: datetime
    last_seen_at: datetime
    over_at: datetime | None = None
    told: frozenset[str] = frozenset()
    told_over: frozenset[str] = frozenset()


def unfinished_troubles(session: Session, over_since: datetime) -> tuple[TroubleRecord, ...]:
    """Those that last, and those that were over since then, oldest first."""
    lasting = or_(TroubleRow.over_at.is_(None), TroubleRow.over_at >= over_since)
    rows = session.scalars(select(TroubleRow).where(lasting).order_by(TroubleRow.trouble_id))
    return tuple(
        TroubleRecord(
            row.name,
            row.severity,
            row.text,
            row.remedy,
            row.since,
            row.first_seen_at,
            row.last_seen_at,
            row.over_at,
            frozenset(row.told.split()),
            frozenset(row.told_over.split()),
        )
        for row in rows
    )


def put_troubles(session: Session, records: Iterable[TroubleRecord]) -> None:
    """Enter them, or what became of them: one is known by its name and when it was first seen."""
    for record in records:
        same = (
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
            session.add(TroubleRow(**key, **values))
            session.flush()


def remove_troubles(session: Session, over_before: datetime) -> None:
    """Forget those that were over before then."""
    session.execute(delete(TroubleRow).where(TroubleRow.over_at < over_before))
