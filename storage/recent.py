"""What became of series lately: for who looks at a node as a whole, and not at a patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from storage.decided import failed_rules
from storage.models import REMOVABLE, SeriesRow
from storage.records import SeriesState

_MOST = 2000
"""Rows that are read: of a day, in most hospitals."""


@dataclass(frozen=True)
class EndedSeries:
    """`rules`: why it was skipped, or failed."""

    state: SeriesState
    ended_at: datetime
    last_received_at: datetime
    calling_ae_title: str
    instance_count: int
    rules: tuple[str, ...]


def ended_series(session: Session, since: datetime) -> Sequence[EndedSeries]:
    """Series that were skipped, analysed or failed since then, newest first."""
    row = SeriesRow
    columns = (
        row.state,
        row.ended_at,
        row.last_received_at,
        row.calling_ae_title,
        row.instance_count,
        row.reasons,
    )
    found = (
        select(*columns)
        .where(text(REMOVABLE), row.ended_at >= since)
        .order_by(row.ended_at.desc())
        .limit(_MOST)
    )
    return tuple(
        EndedSeries(state, ended_at, last_at, caller, count, tuple(failed_rules(reasons)))
        for state, ended_at, last_at, caller, count, reasons in session.execute(found)
        if ended_at is not None
    )
