"""What a person does with one series of the queue: hold it, let it go, cancel it, put it first.

Each takes effect whatever a process is at: work that must not go on loses its token, writes nothing
any more, and ends when its process looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from storage import jobs
from storage.decided import Reason, Verdict, with_later
from storage.enqueue import wake_assess
from storage.models import DeliveryRow, JobRow
from storage.records import ON_THEIR_WAY, OPEN_SERIES, DeliveryState, SeriesState
from storage.statements import lock_series
from storage.study import lock_study_of, reconsider

CANCELLED = "cancelled"
"""Rule of the reason that a series is skipped with since a person does not want it analysed."""


@dataclass(frozen=True)
class Held:
    """What a hold met: whether an analysis ran, and how many objects are just being sent."""

    analysis_stopped: bool
    being_sent: int


@dataclass(frozen=True)
class Cancelled:
    """`reconsidered`: series of its study that had given way to it, and are decided on anew."""

    analysis_stopped: bool
    reconsidered: tuple[str, ...]


@dataclass(frozen=True)
class Moved:
    """What goes first now."""

    jobs: int
    deliveries: int


def cancelled_reason(at: datetime) -> Reason:
    """Why a series is skipped that a person cancelled."""
    return Reason(CANCELLED, f"by a person, {at:%Y-%m-%d %H:%M} UTC", None, Verdict.FAIL)


def hold(session: Session, series_key: str, now: datetime) -> Held | None:
    """Nothing of the series is assessed, analysed or sent until it is let go; None if it is so.

    What is just being sent arrives; what withdraws results is sent all the same.
    """
    series = lock_series(session, series_key)
    if series.on_hold_since is not None:
        return None
    series.on_hold_since = now
    session.flush()
    sending = (DeliveryRow.series_key == series_key, DeliveryRow.state == DeliveryState.SENDING)
    count = session.scalar(select(func.count()).where(*sending)) or 0
    return Held(jobs.free(session, series_key, now), count)


def let_go(session: Session, series_key: str, now: datetime) -> bool:
    """Undo `hold`; False when the series is not on hold."""
    series = lock_series(session, series_key)
    if series.on_hold_since is None:
        return False
    series.on_hold_since = None
    session.flush()
    wake_assess(session, [series_key], now)
    return True


def cancel(session: Session, series_key: str, now: datetime, study_rule: str) -> Cancelled | None:
    """A series that waits for its decision or its analysis is skipped; None when it does not.

    `study_rule`: of the reason by which others of its study gave way to it: they get their turn.
    """
    lock_study_of(session, series_key)
    series = lock_series(session, series_key)
    if series.state not in OPEN_SERIES:
        return None
    ran = jobs.free(session, series_key, now, ended_as=CANCELLED)
    series.state, series.on_hold_since = SeriesState.SKIPPED, None
    series.cancelled_at = series.ended_at = now
    series.decided_at = series.decided_at or now
    series.reasons = with_later(series.reasons, [cancelled_reason(now)])
    jobs.withhold(session, series_key)
    session.flush()
    return Cancelled(ran, reconsider(session, series_key, study_rule, now))


def put_first(session: Session, series_key: str) -> Moved | None:
    """Before all that waits, STAT too; None when nothing of the series waits."""
    series = lock_series(session, series_key)
    values = {"priority": min(0, *_most_urgent(session)) - 1}
    open_jobs = (JobRow.series_key == series_key, JobRow.state.in_(jobs.OPEN_JOBS))
    going = (DeliveryRow.series_key == series_key, DeliveryRow.state.in_(ON_THEIR_WAY))
    of_jobs = update(JobRow).where(*open_jobs).values(values).returning(JobRow.job_id)
    to_go = update(DeliveryRow).where(*going).values(values).returning(DeliveryRow.delivery_id)
    moved = Moved(len(session.scalars(of_jobs).all()), len(session.scalars(to_go).all()))
    if not (moved.jobs or moved.deliveries):
        return None
    series.priority = values["priority"]  # of what is still to come of it, too
    return moved


def _most_urgent(session: Session) -> tuple[int, int]:
    """Of the jobs and of the deliveries."""
    job = select(func.min(JobRow.priority)).where(JobRow.state.in_(jobs.OPEN_JOBS))
    delivery = select(func.min(DeliveryRow.priority)).where(DeliveryRow.state.in_(ON_THEIR_WAY))
    return session.scalar(job) or 0, session.scalar(delivery) or 0
