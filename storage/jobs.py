"""Jobs: claimed under a lease, fenced by a token, parked when they kill their workers.

A claim draws a new token. Every later write of the worker asks for that token, so a worker that
lost its lease can change nothing, however late it wakes up.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    false,
    func,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.orm import Session

from storage.decided import RETRACTED, Reason, Verdict
from storage.errors import LeaseLostError
from storage.models import IS_OPEN_JOB, DeliveryRow, JobRow, ResultRow, SeriesRow
from storage.placing import has_memory, is_for, may_claim, readable
from storage.records import (
    RETRACTION_KIND,
    DeliveryState,
    Job,
    JobKind,
    JobState,
    SeriesState,
)
from storage.statements import lock_series, shared_fields

WORKER_LOST = "worker_lost"
"""Rule of the reason that a series fails with when its job lost its worker too often."""

DEADLINE = "deadline"
"""Rule of that reason where it was the deadline each time, or the last time."""

SUPERSEDED = "superseded"
"""Error of a job or a delivery that a late instance made pointless."""

_Row = TypeVar("_Row", JobRow, DeliveryRow)

FREE: dict[str, Any] = {"lease_token": None, "lease_until": None}

OPEN_JOBS = (JobState.QUEUED, JobState.RUNNING)


def claim(
    session: Session,
    kinds: Collection[JobKind],
    owner: str,
    now: datetime,
    lease: timedelta,
    *,
    max_attempts: int = 3,
    capabilities: Collection[str] = ("",),
    memory_bytes: int | None = None,
    equipment_digest: str | None = None,
) -> Job | None:
    """Take the most urgent due job, or one whose lease ran out; None when there is none.

    `owner` is "node_id/role/pid/…": what is bound to another node is passed over, and what asks for
    more than `capabilities` and `memory_bytes` (None: any), or for another equipment (None: any).
    A job begun already `max_attempts`
    times and never ended is parked instead, and its series fails with the rule `worker_lost`, or
    with `deadline` where it took too long, in this transaction.
    """
    _park_exhausted(session, kinds, now, max_attempts)
    which = (
        due(kinds, now),
        JobRow.attempt + 0 < max_attempts,  # SQLite would go by the index of attempts
        *has_memory(memory_bytes),
        *is_for(equipment_digest),
        may_claim(JobRow, owner),
        *(() if JobKind.FETCH in kinds else (readable(JobRow.series_key, owner),)),
    )
    job_id = session.scalar(_most_urgent(which, capabilities))
    return None if job_id is None else _take(session, job_id, owner, now, lease)


def _most_urgent(
    which: Sequence[ColumnElement[bool]], capabilities: Collection[str]
) -> Select[int]:
    """Of each capability the first one, by an index: before it may stand a hundred thousand that
    ask for another. Locks these, for as long as a claim lasts; others pass them over."""
    order = (JobRow.priority, JobRow.created_at, JobRow.job_id)
    firsts = [
        select(*order)
        .where(*which, JobRow.capability == name)
        .order_by(*order)
        .limit(1)
        .with_for_update(skip_locked=True)
        .cte(f"able_{number}")
        for number, name in enumerate(sorted(set(capabilities)))
    ]
    every = union_all(*(select(each) for each in firsts)).subquery()
    by = (every.c.priority, every.c.created_at, every.c.job_id)
    return select(every.c.job_id).order_by(*by).limit(1)


def free(session: Session, series_key: str, now: datetime, ended_as: str | None = None) -> bool:
    """Take the open jobs of a series from whoever works on them; whether an analysis ran.

    They wait again, without an attempt counted, or with `ended_as` they are done: its error. Locks
    those that only wait, too: a claim of one at this moment comes before, and is undone, or sees
    what the caller wrote of the series.
    """
    statement = (
        select(JobRow)
        .where(JobRow.series_key == series_key, JobRow.state.in_(OPEN_JOBS))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    ran = False
    for job in session.scalars(statement).all():
        running = job.state is JobState.RUNNING
        ran |= running and job.kind is JobKind.ANALYSE
        again = {"state": JobState.QUEUED, "attempt": job.attempt - running, "owner": None}
        done = {"state": JobState.DONE, "ended_at": now, "error": ended_as}
        _assign(job, FREE | (again if ended_as is None else done))
    session.flush()
    return ran


def renew(session: Session, job: Job, now: datetime, lease: timedelta) -> bool:
    """Prolong the lease to `now + lease`; False when it is lost: stop working on it."""
    statement = update(JobRow).where(_held(job)).values(lease_until=now + lease)
    return session.scalar(statement.returning(JobRow.job_id)) is not None


def finish(session: Session, job: Job, now: datetime, error: str | None = None) -> None:
    """End the job as done; `error` notes why it brought nothing.

    Raises:
        LeaseLostError
    """
    _write(session, job, state=JobState.DONE, ended_at=now, error=error)


def fail(session: Session, job: Job, now: datetime, error: str) -> None:
    """End the job as failed: another attempt would end the same.

    Raises:
        LeaseLostError
    """
    _write(session, job, state=JobState.FAILED, ended_at=now, error=error)


def put_back(
    session: Session,
    job: Job,
    not_before: datetime,
    count_attempt: bool,
    error: str | None = None,
) -> None:
    """Queue the job again, due at `not_before`; without `count_attempt` this one was none.

    `error`: why it came to nothing this time.

    Raises:
        LeaseLostError
    """
    attempt = job.attempt if count_attempt else job.attempt - 1
    values = {"not_before": not_before, "attempt": attempt, "owner": None, "error": error}
    _write(session, job, state=JobState.QUEUED, **values)


def wait(session: Session, job: Job, not_before: datetime, error: str | None = None) -> None:
    """As `put_back`, of one that was looked at and lacks something: none of its attempts counts, as
    it kills nobody who looks at it.

    Raises:
        LeaseLostError
    """
    values = {"not_before": not_before, "attempt": 0, "owner": None, "error": error}
    _write(session, job, state=JobState.QUEUED, **values)


def over_deadline(key: str, seconds: float) -> str:
    """`error` of a job that took longer than the setting `key` allows."""
    return f"{DEADLINE}: longer than {key} = {seconds:g}"


def held_revision(session: Session, job: Job) -> int | None:
    """The series' revision when the job was claimed.

    Raises:
        LeaseLostError
    """
    revisions = session.scalars(select(JobRow.series_revision).where(_held(job))).all()
    if not revisions:
        raise LeaseLostError(_name(job))
    return revisions[0]


def awaits(series: SeriesRow, input_digest: str) -> bool:
    """Whether the series still waits for the analysis of just this input."""
    return series.state is SeriesState.QUEUED and series.input_digest == input_digest


def still_awaited(session: Session, job: Job) -> bool:
    """Whether an ANALYSE job is still of use: False once instances came after its decision, or when
    it was taken from its worker."""
    series = session.get(SeriesRow, job.series_key)
    held = session.scalar(select(JobRow.job_id).where(_held(job)))
    return held is not None and series is not None and awaits(series, job.input_digest)


def hand_back_owned(session: Session, owner_prefix: str, now: datetime) -> int:
    """Make what dead workers held claimable at once; returns how many jobs and deliveries.

    `owner_prefix` is compared character by character: end it with "/" so that process 12 is not
    taken for process 123. The attempts stay counted.
    """
    freed = FREE | {"owner": None, "not_before": now}
    jobs = _owned(session, JobRow, JobState.RUNNING, owner_prefix)
    deliveries = _owned(session, DeliveryRow, DeliveryState.SENDING, owner_prefix)
    for job in jobs:
        _assign(job, freed | {"state": JobState.QUEUED})
    for delivery in deliveries:
        _assign(delivery, freed | {"state": DeliveryState.WAITING})
    session.flush()
    return len(jobs) + len(deliveries)


def withhold(session: Session, series_key: str) -> None:
    """Give up what has not arrived of a series that was decided anew: it is about an older input.

    Also what is being sent, refused, failed or dropped: it would wait again after a broken
    association, or when an administrator retries it, and go out after its successor. A retraction
    goes out all the same: what it withdraws has been sent.
    """
    retractions = select(ResultRow.sop_instance_uid).where(
        ResultRow.series_key == series_key,
        ResultRow.kind == RETRACTION_KIND,
    )
    statement = update(DeliveryRow).where(
        DeliveryRow.series_key == series_key,
        DeliveryRow.state.not_in((DeliveryState.STORED, DeliveryState.COMMITTED)),
        DeliveryRow.error.is_distinct_from(RETRACTED),
        DeliveryRow.sop_instance_uid.not_in(retractions),
    )
    session.execute(statement.values(state=DeliveryState.ABANDONED, error=SUPERSEDED, **FREE))


def due(kinds: Collection[JobKind], now: datetime) -> ColumnElement[bool]:
    """Jobs that a worker may claim: those that wait, and those whose lease ran out."""
    queued = and_(JobRow.state == JobState.QUEUED, JobRow.not_before <= now)
    lost = and_(JobRow.state == JobState.RUNNING, JobRow.lease_until <= now)
    return and_(IS_OPEN_JOB, JobRow.kind.in_(kinds), or_(queued, lost), ~is_on_hold())


def is_on_hold() -> ColumnElement[bool]:
    """No EXISTS, for which PostgreSQL may look through all series at each claim, and no IS NULL, of
    which it expects next to nothing, and then reads the queue in no order."""
    of_job = (SeriesRow.series_key == JobRow.series_key, SeriesRow.on_hold_since.is_not(None))
    found = select(true()).where(*of_job).limit(1).scalar_subquery()
    return func.coalesce(found, false())


def _held(job: Job) -> ColumnElement[bool]:
    return and_(
        JobRow.job_id == job.job_id,
        JobRow.lease_token == job.lease_token,
        JobRow.state == JobState.RUNNING,
    )


def _write(session: Session, job: Job, **values: object) -> None:
    statement = update(JobRow).where(_held(job)).values(**(FREE | values))
    if session.scalar(statement.returning(JobRow.job_id)) is None:
        raise LeaseLostError(_name(job))


def _name(job: Job) -> str:
    return f"job {job.job_id} ({job.kind}), attempt {job.attempt}"


def _take(session: Session, job_id: int, owner: str, now: datetime, lease: timedelta) -> Job | None:
    """None when its series was put on hold just before.

    The series' revision is read before the worker reads the instances: an instance that comes
    in between makes the worker's decision look outdated, never the other way round.
    """
    revision = (
        select(SeriesRow.revision)
        .where(SeriesRow.series_key == JobRow.series_key)
        .scalar_subquery()
    )
    statement = (
        update(JobRow)
        .where(JobRow.job_id == job_id, ~is_on_hold())
        .values(
            state=JobState.RUNNING,
            attempt=JobRow.attempt + 1,
            owner=owner,
            lease_token=secrets.token_hex(16),
            lease_until=now + lease,
            started_at=now,
            series_revision=revision,
            error=None,
        )
        .returning(JobRow)
    )
    taken = session.scalars(statement, execution_options={"populate_existing": True})
    row = taken.one_or_none()
    return None if row is None else Job(**shared_fields(Job, row))


def _park_exhausted(
    session: Session, kinds: Collection[JobKind], now: datetime, max_attempts: int
) -> None:
    exhausted = and_(due(kinds, now), JobRow.attempt >= max_attempts)
    found = select(JobRow.series_key, JobRow.job_id).where(exhausted)
    few = sorted((key, job_id) for key, job_id in session.execute(found))  # of many jobs
    for series_uid, job_id in few:
        series = lock_series(session, series_uid)
        statement = (
            update(JobRow)
            .where(JobRow.job_id == job_id, exhausted)
            .values(
                state=JobState.PARKED,
                ended_at=now,
                error=func.coalesce(JobRow.error, WORKER_LOST),
                **FREE,
            )
            .returning(JobRow)
        )
        job = session.scalar(statement)
        if job is not None:
            _fail_series(session, series, job, now, max_attempts)
    session.flush()


def _fail_series(
    session: Session, series: SeriesRow, job: JobRow, now: datetime, max_attempts: int
) -> None:
    """A job that parks is the only one that would end its series, unless it was superseded."""
    if job.kind is JobKind.ANALYSE and not awaits(series, job.input_digest):
        return
    series.state = SeriesState.FAILED
    series.ended_at = now
    series.reasons = (*series.reasons, _why_parked(job, max_attempts))
    withhold(session, series.series_key)


def _why_parked(job: JobRow, max_attempts: int) -> Reason:
    parts = (job.error or "").partition(": ")
    if parts[0] == DEADLINE:
        value = f"{parts[2]}, {job.attempt} times"
        return Reason(DEADLINE, value, None, Verdict.FAIL)
    return Reason(WORKER_LOST, job.attempt, max_attempts, Verdict.FAIL)


def _owned(
    session: Session, table: type[_Row], state: JobState | DeliveryState, prefix: str
) -> Sequence[_Row]:
    """Locked in the order of series, as whoever locks several does."""
    statement = (
        select(table)
        .where(table.state == state, func.substr(table.owner, 1, len(prefix)) == prefix)
        .order_by(table.series_key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.scalars(statement).all()


def _assign(row: JobRow | DeliveryRow, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)
