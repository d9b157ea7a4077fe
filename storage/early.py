"""Which series may be computed before it is decided upon, and until when that is of use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.jobs import due
from storage.models import AssociationRow, InstanceRow, JobRow, SeriesRow
from storage.placing import readable
from storage.records import OPEN_SERIES, JobKind, SeriesState

_QUIET = timedelta(seconds=0.5)
"""Silence after which a series may be whole, once the associations that brought it have ended."""

_OPEN_QUIET = timedelta(seconds=1.5)
"""While one is open: longer than it takes until what it brings is in the index, many at a time."""

_INTERVALS = 3
"""So many times the usual silence between two instances is one, too."""


@dataclass(frozen=True)
class OpenSeries:
    """A series for which instances may still come; `revision` changes when one does.

    `arriving`: an association that brought some of them is open.
    """

    series_key: str
    revision: int
    instances: int
    receiving: bool
    arriving: bool
    first_received_at: datetime
    last_received_at: datetime

    @property
    def interval(self) -> timedelta:
        """From one instance to the next, on average."""
        return (self.last_received_at - self.first_received_at) / max(1, self.instances - 1)

    def seems_whole(self, now: datetime) -> bool:
        """Whether nothing has come for longer than between its instances so far."""
        least = _OPEN_QUIET if self.arriving else _QUIET
        return now - self.last_received_at >= max(least, _INTERVALS * self.interval)


def open_series(
    session: Session, since: datetime, least: int, node_id: str = ""
) -> list[OpenSeries]:
    """The CT series that a node can read of which something came since, with at least so many
    instances.

    The one of the last instance first; none that a person has put on hold.
    """
    statement = (
        select(SeriesRow)
        .where(
            SeriesRow.state == SeriesState.RECEIVING,
            SeriesRow.last_received_at >= since,
            SeriesRow.instance_count >= least,
            SeriesRow.modality == "CT",
            SeriesRow.on_hold_since.is_(None),
            readable(SeriesRow.series_key, node_id),
        )
        .order_by(SeriesRow.last_received_at.desc(), SeriesRow.series_key)
    )
    return [_open(session, row) for row in session.scalars(statement)]


def _open(session: Session, row: SeriesRow) -> OpenSeries:
    bringing = (
        select(AssociationRow.association_id)
        .join(InstanceRow, InstanceRow.association_id == AssociationRow.association_id)
        .where(InstanceRow.series_key == row.series_key, AssociationRow.ended_at.is_(None))
    )
    return OpenSeries(
        series_key=row.series_key,
        revision=row.revision,
        instances=row.instance_count,
        receiving=row.state == SeriesState.RECEIVING,
        arriving=session.scalar(bringing.limit(1)) is not None,
        first_received_at=row.first_received_at,
        last_received_at=row.last_received_at,
    )


def while_of_use(session: Session, series_key: str, now: datetime) -> OpenSeries | None:
    """The series as it is now, while it waits or is to be analysed, and no other is."""
    found = session.get(SeriesRow, series_key)
    if found is None or found.state not in OPEN_SERIES or found.on_hold_since is not None:
        return None
    others = select(JobRow.job_id).where(
        due((JobKind.ANALYSE,), now), JobRow.series_key != series_key
    )
    return _open(session, found) if session.scalar(others.limit(1)) is None else None
