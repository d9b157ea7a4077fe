"""Undoing the decision on a series; what it was stays readable in its history."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from storage.decided import FormerDecision
from storage.enqueue import ensure_assess, supersede_analyses
from storage.models import SeriesRow
from storage.records import SeriesState
from storage.statements import lock_series, shared_fields


def reopen(session: Session, series: SeriesRow, now: datetime) -> None:
    """For a late instance, or another choice in its study. The caller queues an ASSESS job."""
    series.history = (*series.history, FormerDecision(**shared_fields(FormerDecision, series)))
    series.state = SeriesState.RECEIVING
    series.decided_at = series.ended_at = None
    series.input_digest = series.completeness = series.analysis = None
    series.reasons = ()
    supersede_analyses(session, series.series_key, now)


def reopen_ended(session: Session, series_key: str, now: datetime) -> bool:
    """Have a series that has ended decided on anew; False when it is open or has no files.

    Who asks for it wants it analysed, whatever a person has cancelled before.
    """
    series = lock_series(session, series_key)
    if series.ended_at is None or series.removed_at is not None:
        return False
    series.cancelled_at = None
    reopen(session, series, now)
    session.flush()
    ensure_assess(session, series_key, series.priority, now)
    return True


def retry_failed(session: Session, series_key: str, now: datetime) -> bool:
    """Have a series that failed, or was cancelled, decided on anew, with all its attempts; False
    when it is none."""
    series = lock_series(session, series_key)
    failed = series.state is SeriesState.FAILED or series.cancelled_at is not None
    return failed and reopen_ended(session, series_key, now)
