"""What the command line reads: series, their jobs, results and deliveries. It writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, String, and_, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from storage.canary_runs import CANARY_AE_TITLE
from storage.conflicts import claims_of, conflicts_of
from storage.decided import OWN_RESULT
from storage.endings import ends_with
from storage.jobs import is_on_hold
from storage.models import (
    IS_OPEN_JOB,
    AssociationRow,
    DeliveryRow,
    InstanceRow,
    JobRow,
    ResultRow,
    SeriesRow,
)
from storage.outbox import arrived, delivery_record, result_record
from storage.records import (
    ON_THEIR_WAY,
    Association,
    DeliveryRecord,
    DeliveryState,
    JobKind,
    JobRecord,
    JobState,
    ResultRecord,
    SeriesDetail,
    SeriesRecord,
    SeriesState,
)
from storage.statements import in_batches, shared_fields

_UNDELIVERED = (*ON_THEIR_WAY, DeliveryState.REFUSED, DeliveryState.FAILED)

COUNTED = 10_000
"""Series that are counted by their states, the newest."""

AHEAD = 1000
"""Analyses that are numbered in the order of claims."""


@dataclass(frozen=True)
class Wanted:
    """Which series; None: whichever. `since`, `before`: of the last instance, before excluded.

    `source`: a calling AE title. `undelivered`: with results that are on their way or parked.
    Without `own_results` those are left out that this product made, the canary among them.
    """

    states: Collection[SeriesState] | None = None
    since: datetime | None = None
    before: datetime | None = None
    source: str | None = None
    accession_number: str | None = None
    undelivered: bool = False
    own_results: bool = True


def list_series(
    session: Session, wanted: Wanted = Wanted(), limit: int = 50
) -> tuple[SeriesRecord, ...]:
    """Those that last received an instance, newest first."""
    newest = select(SeriesRow).order_by(SeriesRow.last_received_at.desc(), SeriesRow.series_key)
    rows = session.scalars(newest.where(*_which(wanted)).limit(limit))
    return tuple(series_record(row) for row in rows)


def count_series(
    session: Session, wanted: Wanted = Wanted(), most: int = COUNTED
) -> dict[SeriesState, int]:
    """How many there are in each state, among the newest `most`: there may be a million."""
    newest = select(SeriesRow.state).order_by(SeriesRow.last_received_at.desc())
    some = newest.where(*_which(wanted)).limit(most).subquery()
    rows = session.execute(select(some.c.state, func.count()).group_by(some.c.state))
    return {state: count for state, count in rows}  # noqa: C416 - rows


def _which(wanted: Wanted) -> list[ColumnElement[bool]]:
    last, delivery = SeriesRow.last_received_at, DeliveryRow
    which: list[ColumnElement[bool]] = []
    if wanted.states is not None:
        which.append(SeriesRow.state.in_(wanted.states))
    if wanted.since is not None:
        which.append(last >= wanted.since)
    if wanted.before is not None:
        which.append(last < wanted.before)
    if wanted.source is not None:
        which.append(SeriesRow.calling_ae_title == wanted.source)
    if wanted.accession_number is not None:
        which.append(SeriesRow.accession_number == wanted.accession_number)
    if wanted.undelivered:
        going = (delivery.series_key == SeriesRow.series_key, delivery.state.in_(_UNDELIVERED))
        which.append(select(delivery.delivery_id).where(*going).exists())
    if not wanted.own_results:
        which += [~_own_result(), SeriesRow.calling_ae_title != CANARY_AE_TITLE]
    return which


def _own_result() -> ColumnElement[bool]:
    """Skipped by that rule. It is kept in each decision, with the value 0 of a series that passes:
    the database is asked for the text, as PostgreSQL orders the keys or as SQLite keeps them. None
    is of modality CT, which leaves few to be asked."""
    kept = cast(SeriesRow.reasons, String)
    named = kept.contains(f'"{OWN_RESULT}"')
    passed = [kept.contains(f'"{OWN_RESULT}", {rest},') for rest in _PASSED]
    skipped = (SeriesRow.state == SeriesState.SKIPPED, SeriesRow.modality != "CT")
    return and_(*skipped, named, ~or_(*passed))


_PASSED = ('"value": 0', '"limit": 0, "value": 0')


def find_series(session: Session, text: str) -> tuple[str, ...]:
    """Keys of the series, newest first, that `text` may mean; more than one is ambiguous.

    The first of these that finds any: a whole key or Series Instance UID; a whole Study Instance
    UID or accession number; the ending of a key or Series Instance UID; that of a Study Instance
    UID. "…" before an ending is passed over.
    """
    wanted = text.strip().removeprefix("…")
    if not wanted:
        return ()
    if found := find_exactly(session, wanted):
        return found
    ended = select(SeriesRow.series_key).where(*ends_with(wanted))
    part = aliased(SeriesRow)  # its UID ends as that of the series, whose key is its UID
    parts = select(part.series_key).where(part.series_instance_uid.in_(ended))
    if found := _newest(session, SeriesRow.series_key.in_(ended.union(parts))):
        return found
    return _newest(session, SeriesRow.study_instance_uid.endswith(wanted, autoescape=True))


def find_exactly(session: Session, text: str) -> tuple[str, ...]:
    """As `find_series`, by what is named whole."""
    key, series = SeriesRow.series_key, SeriesRow.series_instance_uid
    whole = (SeriesRow.study_instance_uid == text) | (SeriesRow.accession_number == text)
    return _newest(session, (key == text) | (series == text)) or _newest(session, whole)


def _newest(session: Session, which: ColumnElement[bool]) -> tuple[str, ...]:
    key = SeriesRow.series_key
    order = (SeriesRow.last_received_at.desc(), key)
    return tuple(session.scalars(select(key).where(which).order_by(*order)))


def series_detail(session: Session, series_key: str) -> SeriesDetail | None:
    """All that is known of one series, each list in the order in which it came about."""
    row = session.get(SeriesRow, series_key)
    if row is None:
        return None
    return SeriesDetail(
        series=series_record(row),
        associations=_associations(session, series_key),
        jobs=_jobs(session, JobRow.series_key == series_key),
        deliveries=_deliveries(session, DeliveryRow.series_key == series_key),
        results=_results(session, ResultRow.series_key == series_key),
        conflicts=conflicts_of(session, series_key),
        claims=claims_of(session, series_key),
    )


def study_of(session: Session, series_key: str) -> str:
    """Study Instance UID of a series; empty where there is no such series."""
    study = select(SeriesRow.study_instance_uid).where(SeriesRow.series_key == series_key)
    return session.scalar(study) or ""


def instances_by_association(session: Session, series_key: str) -> dict[str, int]:
    """How many instances of a series each association brought first."""
    statement = (
        select(InstanceRow.association_id, func.count())
        .where(InstanceRow.series_key == series_key)
        .group_by(InstanceRow.association_id)
    )
    return {uid or "": count for uid, count in session.execute(statement)}


def analyses_ahead(session: Session) -> dict[str, int]:
    """Of each series that waits for a worker: how many analyses are before its own; of the first
    AHEAD alone, as there may be a million."""
    waiting = (
        select(JobRow.series_key)
        .where(
            IS_OPEN_JOB,
            JobRow.kind == JobKind.ANALYSE,
            JobRow.state == JobState.QUEUED,
            ~is_on_hold(),
        )
        .order_by(JobRow.priority, JobRow.created_at, JobRow.job_id)
        .limit(AHEAD)
    )
    return {key: number for number, key in enumerate(session.scalars(waiting))}


def details_of(session: Session, records: Sequence[SeriesRecord]) -> tuple[SeriesDetail, ...]:
    """What a list tells of series beside their rows: jobs, deliveries and results."""
    keys = [each.series_key for each in records]
    jobs: dict[str, list[JobRecord]] = {}
    results: dict[str, list[ResultRecord]] = {}
    for some in in_batches(keys):
        for job in _jobs(session, JobRow.series_key.in_(some)):
            jobs.setdefault(job.series_key, []).append(job)
        for result in _results(session, ResultRow.series_key.in_(some)):
            results.setdefault(result.series_key, []).append(result)
    deliveries = deliveries_of(session, keys)
    return tuple(
        SeriesDetail(
            series=each,
            jobs=tuple(jobs.get(each.series_key, ())),
            deliveries=tuple(deliveries.get(each.series_key, ())),
            results=tuple(results.get(each.series_key, ())),
        )
        for each in records
    )


def delivery_counts(session: Session, series_keys: Iterable[str]) -> dict[str, tuple[int, int]]:
    """For each series that has deliveries: how many are delivered, and how many there are."""
    delivered = func.count().filter(arrived())
    statement = (
        select(DeliveryRow.series_key, delivered, func.count())
        .where(DeliveryRow.series_key.in_(list(series_keys)))
        .group_by(DeliveryRow.series_key)
    )
    return {uid: (done, total) for uid, done, total in session.execute(statement)}


def deliveries_of(session: Session, series_keys: Sequence[str]) -> dict[str, list[DeliveryRecord]]:
    """The deliveries of each series that has any."""
    found: dict[str, list[DeliveryRecord]] = {}
    for keys in in_batches(series_keys):
        for each in _deliveries(session, DeliveryRow.series_key.in_(keys)):
            found.setdefault(each.result.series_key, []).append(each)
    return found


def series_record(row: SeriesRow) -> SeriesRecord:
    """A row as a record."""
    return SeriesRecord(**shared_fields(SeriesRecord, row))


def _associations(session: Session, series_uid: str) -> tuple[Association, ...]:
    bringing = select(InstanceRow.association_id).where(InstanceRow.series_key == series_uid)
    statement = (
        select(AssociationRow)
        .where(AssociationRow.association_id.in_(bringing))
        .order_by(AssociationRow.opened_at, AssociationRow.association_id)
    )
    return tuple(
        Association(**shared_fields(Association, row), end=row.ending)
        for row in session.scalars(statement)
    )


def _jobs(session: Session, which: ColumnElement[bool]) -> tuple[JobRecord, ...]:
    statement = select(JobRow).where(which).order_by(JobRow.created_at, JobRow.job_id)
    return tuple(JobRecord(**shared_fields(JobRecord, row)) for row in session.scalars(statement))


def _results(session: Session, which: ColumnElement[bool]) -> tuple[ResultRecord, ...]:
    statement = select(ResultRow).where(which).order_by(ResultRow.created_at, ResultRow.ordinal)
    return tuple(result_record(row) for row in session.scalars(statement))


def _deliveries(session: Session, which: ColumnElement[bool]) -> tuple[DeliveryRecord, ...]:
    statement = (
        select(DeliveryRow, ResultRow)
        .join(ResultRow, ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid)
        .where(which)
        .order_by(DeliveryRow.created_at, ResultRow.ordinal, DeliveryRow.destination)
    )
    return tuple(delivery_record(*row) for row in session.execute(statement))
