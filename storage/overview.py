"""What is asked of the database about a node as a whole, every few seconds: by an index each.

The conditions of the partial indexes stand as text: as parameters no index would fit them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, select, text
from sqlalchemy.orm import Session

from storage.canary_runs import CANARY_AE_TITLE
from storage.columns import UtcDateTime, of_node
from storage.decided import failed_rules
from storage.jobs import due
from storage.models import (
    IS_OPEN_DELIVERY,
    IS_OPEN_JOB,
    PARKED_DELIVERY,
    REMOVABLE,
    DeliveryRow,
    JobRow,
    ResultRow,
    SeriesRow,
)
from storage.operating_tables import CanaryRunRow, RefusalRow
from storage.overview_records import (
    AwaitedPromises,
    CanaryRun,
    DeadRows,
    FailedSeries,
    NeedsWaiting,
    OpenDeliveries,
    OpenJobs,
    ParkedDeliveries,
    Refused,
    RunningJob,
    Source,
    Strain,
    Waiting,
)
from storage.records import JobKind, JobState, Needs, SeriesState
from storage.refusals import ASSOCIATION, INSTANCE
from storage.statements import shared_fields

_MOST = 1000
"""Rows of failed series, refusals or waiting jobs that are read: enough to tell what goes wrong."""


def open_deliveries(session: Session) -> tuple[OpenDeliveries, ...]:
    """What is on its way, by destination."""
    free = case((SeriesRow.on_hold_since.is_(None), DeliveryRow.created_at))
    counted = (
        select(
            DeliveryRow.destination,
            func.count(),
            func.min(free, type_=DeliveryRow.created_at.type),
            func.count().filter(_held()),
        )
        .join(SeriesRow, SeriesRow.series_key == DeliveryRow.series_key)
        .where(IS_OPEN_DELIVERY)
        .group_by(DeliveryRow.destination)
        .order_by(DeliveryRow.destination)
    )
    return tuple(
        OpenDeliveries(name, count, oldest, held, _last_error(session, name))
        for name, count, oldest, held in session.execute(counted)
    )


def _held() -> ColumnElement[bool]:
    """As `outbox.hold_deliveries` leaves them."""
    return DeliveryRow.first_tried_at.is_(None) & DeliveryRow.status.is_not(None)


def _last_error(session: Session, destination: str) -> str | None:
    told = (DeliveryRow.destination == destination, DeliveryRow.error.is_not(None))
    return session.scalar(
        select(DeliveryRow.error)
        .where(IS_OPEN_DELIVERY, *told)
        .order_by(DeliveryRow.priority, DeliveryRow.created_at, DeliveryRow.delivery_id)
        .limit(1)
    )


def parked_deliveries(session: Session) -> tuple[ParkedDeliveries, ...]:
    """What was refused or given up, by destination, state and kind of result."""
    by = (DeliveryRow.destination, DeliveryRow.state, ResultRow.kind)
    newest = (
        select(*by, func.count().label("count"), func.max(DeliveryRow.delivery_id).label("newest"))
        .join(ResultRow, ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid)
        .where(text(f"delivery.{PARKED_DELIVERY}"))
        .group_by(*by)
        .subquery()
    )
    found = (
        select(
            newest.c.destination,
            newest.c.state,
            newest.c.kind,
            newest.c.count,
            DeliveryRow.error,
            DeliveryRow.series_key,
        )
        .join(DeliveryRow, DeliveryRow.delivery_id == newest.c.newest)
        .order_by(newest.c.destination, newest.c.state, newest.c.kind)
    )
    return tuple(
        ParkedDeliveries(name, state.value, *rest) for name, state, *rest in session.execute(found)
    )


def awaited_promises(session: Session) -> tuple[AwaitedPromises, ...]:
    """What is stored and not promised yet, by destination."""
    counted = (
        select(DeliveryRow.destination, func.count(), func.min(DeliveryRow.stored_at))
        .where(DeliveryRow.confirm_at.is_not(None))
        .group_by(DeliveryRow.destination)
        .order_by(DeliveryRow.destination)
    )
    found = session.execute(counted)
    return tuple(AwaitedPromises(name, count, at) for name, count, at in found if at)


def open_jobs(session: Session, now: datetime) -> tuple[OpenJobs, ...]:
    """Jobs that wait or run at `now`, by kind; what is on hold does not wait."""
    due_at = case(
        (JobRow.created_at > JobRow.not_before, JobRow.created_at), else_=JobRow.not_before
    )
    queued = JobRow.state == JobState.QUEUED
    due = queued & (JobRow.not_before <= now) & SeriesRow.on_hold_since.is_(None)
    counted = (
        select(
            JobRow.kind,
            func.count().filter(queued),
            func.count().filter(JobRow.state == JobState.RUNNING),
            func.min(case((due, due_at)), type_=JobRow.created_at.type),
        )
        .join(SeriesRow, SeriesRow.series_key == JobRow.series_key)
        .where(IS_OPEN_JOB)
        .group_by(JobRow.kind)
        .order_by(JobRow.kind)
    )
    return tuple(OpenJobs(*row) for row in session.execute(counted))


def analyses_by_needs(session: Session, now: datetime) -> tuple[NeedsWaiting, ...]:
    """Analyses that could be begun at `now`, by what they ask of a worker: of the first thousand in
    the order of claims, among which are those that nobody claims."""
    order = (JobRow.priority, JobRow.created_at, JobRow.job_id)
    which = (due((JobKind.ANALYSE,), now), JobRow.state == JobState.QUEUED)
    asked = (JobRow.capability, JobRow.memory_bytes)
    times = (JobRow.created_at, JobRow.not_before)
    found: dict[Needs, list[datetime]] = {}
    for name, size, *both in session.execute(
        select(*asked, *times).where(*which).order_by(*order).limit(_MOST)
    ):
        found.setdefault(Needs(name, size), []).append(max(both))
    return tuple(NeedsWaiting(needs, len(since), min(since)) for needs, since in found.items())


def waiting_analyses(
    session: Session, capabilities: Collection[str], now: datetime, most: int
) -> Waiting:
    """Of the first `most` in the order of claims, as there may be a million: those that no node
    alone must do."""
    order = (JobRow.priority, JobRow.created_at, JobRow.job_id)
    which = (due((JobKind.ANALYSE,), now), JobRow.node_id.is_(None))
    first: list[Any] = []
    for name in set(capabilities):  # each by the index, among a million that ask for another
        able = select(*order, JobRow.not_before).where(*which, JobRow.capability == name)
        first += session.execute(able.order_by(*order).limit(most)).all()
    since = [max(each.created_at, each.not_before) for each in sorted(first)[:most]]
    oldest = min(since, default=now)
    return Waiting(len(since), max(0.0, (now - oldest).total_seconds()))


def running_jobs(session: Session) -> tuple[RunningJob, ...]:
    """Jobs that somebody holds, or held when it died."""
    found = (
        select(
            JobRow.series_key,
            JobRow.kind,
            JobRow.attempt,
            JobRow.started_at,
            JobRow.lease_until,
            JobRow.owner,
        )
        .where(IS_OPEN_JOB, JobRow.state == JobState.RUNNING)
        .order_by(JobRow.started_at)
    )
    rows = session.execute(found)
    return tuple(
        RunningJob(key, kind, attempt, at, until, owner or "")
        for key, kind, attempt, at, until, owner in rows
        if at and until
    )


def failed_series(session: Session, since: datetime) -> tuple[FailedSeries, ...]:
    """Series that failed since then, newest first."""
    found = (
        select(SeriesRow.series_key, SeriesRow.reasons, SeriesRow.ended_at)
        .where(text(REMOVABLE), SeriesRow.ended_at >= since, SeriesRow.state == SeriesState.FAILED)
        .order_by(SeriesRow.ended_at.desc())
        .limit(_MOST)
    )
    rows = session.execute(found)
    return tuple(FailedSeries(key, tuple(failed_rules(why)), at) for key, why, at in rows if at)


def series_counts(session: Session, since: datetime) -> dict[SeriesState, int]:
    """How many series last received an instance since then, by their state."""
    counts = {state: _count(session, state, since) for state in SeriesState}
    return {state: count for state, count in counts.items() if count}


def _count(session: Session, state: SeriesState, since: datetime) -> int:
    """One state at a time: all at once, SQLite would look through the index of every series."""
    which = (SeriesRow.state == state, SeriesRow.last_received_at >= since)
    return session.scalar(select(func.count()).select_from(SeriesRow).where(*which)) or 0


def sources(session: Session, since: datetime) -> tuple[Source, ...]:
    """Who sent series since then, by AE title; not the canary, which is no scanner."""
    first = func.min(SeriesRow.first_received_at)
    studies = (
        select(
            SeriesRow.calling_ae_title.label("name"),
            _hour(session, first).label("hour"),
            func.max(SeriesRow.last_received_at).label("last"),
        )
        .where(SeriesRow.last_received_at >= since, SeriesRow.calling_ae_title != CANARY_AE_TITLE)
        .group_by(SeriesRow.calling_ae_title, SeriesRow.study_instance_uid)
        .subquery()
    )
    by = (studies.c.name, studies.c.hour)
    counted = select(*by, func.count(), func.max(studies.c.last)).group_by(*by).order_by(*by)
    hours: defaultdict[str, list[tuple[datetime, int]]] = defaultdict(list)
    last: dict[str, datetime] = {}
    for name, hour, count, last_at in session.execute(counted):
        hours[name].append((hour, count))
        last[name] = max(last_at, last.get(name, last_at))
    return tuple(Source(name, last[name], tuple(hours[name])) for name in sorted(hours))


def _hour(session: Session, at: Any) -> ColumnElement[datetime]:
    """The full hour that a moment is in, which the database tells: there may be 100,000 moments."""
    if session.get_bind().dialect.name == "postgresql":
        return func.date_trunc("hour", at, "UTC", type_=UtcDateTime())
    return func.strftime("%Y-%m-%d %H:00:00.000000", at, type_=UtcDateTime())


def newest_arrival(session: Session) -> datetime | None:
    """When the last instance came, by the clock of who received it."""
    return session.scalar(select(func.max(SeriesRow.last_received_at)))


def recent_refusals(session: Session, since: datetime) -> tuple[Refused, ...]:
    """What was refused since then, newest first; of each kind by itself: a scan of the network
    must not hide that a scanner's images are refused."""
    newest = (
        select(RefusalRow)
        .where(RefusalRow.last_at >= since)
        .order_by(RefusalRow.last_at.desc())
        .limit(_MOST)
    )
    rows = [
        row
        for kind in (ASSOCIATION, INSTANCE)
        for row in session.scalars(newest.where(RefusalRow.kind == kind))
    ]
    rows.sort(key=lambda row: row.last_at, reverse=True)
    return tuple(Refused(**shared_fields(Refused, row)) for row in rows)


def last_canary_runs(session: Session, node_id: str = "") -> tuple[CanaryRun, ...]:
    """Of a node the last, the last that ended, the last that passed; newest first, each once."""
    own = select(CanaryRunRow).where(of_node(CanaryRunRow.node_id, node_id))
    newest = own.order_by(CanaryRunRow.run_id.desc()).limit(1)
    ended = newest.where(CanaryRunRow.ended_at.is_not(None))
    passed = newest.where(CanaryRunRow.passed.is_(True))
    found = map(session.scalar, (newest, ended, passed))
    rows = {row.run_id: row for row in found if row is not None}
    return tuple(CanaryRun(**shared_fields(CanaryRun, row)) for row in rows.values())


_DEAD_ROWS = text("""SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables
    WHERE relname IN ('job', 'delivery', 'series') ORDER BY relname""")
_OLDEST = text("""SELECT max(extract(epoch FROM clock_timestamp() - xact_start))
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'""")


def database_strain(session: Session) -> Strain:
    """Of a PostgreSQL; of SQLite nothing. Dead rows stay while a transaction is open that may still
    see them."""
    if session.get_bind().dialect.name != "postgresql":
        return Strain()
    dead = tuple(DeadRows(*row) for row in session.execute(_DEAD_ROWS))
    return Strain(dead, float(session.scalar(_OLDEST) or 0.0))
