"""Which series may be computed before it is decided upon, and until when that is of use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.jobs import due
from storage.models import JobRow, SeriesRow
from storage.records import OPEN_SERIES, JobKind, SeriesState


@dataclass(frozen=True)
class OpenSeries:
    """A series for which instances may still come; `revision` changes when one does."""

    series_key: str
    revision: int


def newest_quiet(
    session: Session, since: datetime, until: datetime, least: int
) -> OpenSeries | None:
    """The CT series whose last instance came last between both times, with at least so many.

    None where there is none that nobody has put on hold.
    """
    statement = (
        select(SeriesRow.series_key, SeriesRow.revision)
        .where(
            SeriesRow.state == SeriesState.RECEIVING,
            SeriesRow.last_received_at.between(since, until),
            SeriesRow.instance_count >= least,
            SeriesRow.modality == "CT",
            SeriesRow.on_hold_since.is_(None),
        )
        .order_by(SeriesRow.last_received_at.desc(), SeriesRow.series_key)
        .limit(1)
    )
    row = session.execute(statement).first()
    return None if row is None else OpenSeries(row.series_key, row.revision)


def still_of_use(session: Session, series: OpenSeries, now: datetime) -> bool:
    """Whether nothing has come since, the series waits or is to be analysed, and no other is."""
    found = session.get(SeriesRow, series.series_key)
    if found is None or found.revision != series.revision or found.on_hold_since is not None:
        return False
    others = select(JobRow.job_id).where(
        due((JobKind.ANALYSE,), now), JobRow.series_key != series.series_key
    )
    return found.state in OPEN_SERIES and session.scalar(others.limit(1)) is None
