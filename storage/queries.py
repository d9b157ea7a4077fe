"""What the command line reads: series, their jobs, results and deliveries. It writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from itertools import islice

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from storage.conflicts import claims_of, conflicts_of
from storage.decided import OWN_RESULT, failed_rules
from storage.models import (
    AssociationRow,
    DeliveryRow,
    InstanceRow,
    JobRow,
    ResultRow,
    SeriesRow,
)
from storage.outbox import arrived, delivery_record, result_record
from storage.records import (
    Association,
    DeliveryRecord,
    JobRecord,
    JobState,
    ResultRecord,
    SeriesDetail,
    SeriesRecord,
    SeriesState,
)
from storage.statements import in_batches, shared_fields

_READ_AT_ONCE = 200
"""Rows: a list asks for a few of many."""


def list_series(
    session: Session,
    states: Collection[SeriesState] | None = None,
    limit: int = 50,
    *,
    own_results: bool = True,
) -> tuple[SeriesRecord, ...]:
    """The series that last received an instance, newest first; only those in `states` if given.

    Without `own_results` those are left out that this product made.
    """
    newest = select(SeriesRow).order_by(SeriesRow.last_received_at.desc(), SeriesRow.series_key)
    wanted = newest if states is None else newest.where(SeriesRow.state.in_(states))
    with closing(session.scalars(wanted, execution_options={"yield_per": _READ_AT_ONCE})) as rows:
        shown = (row for row in rows if own_results or OWN_RESULT not in failed_rules(row.reasons))
        return tuple(series_record(row) for row in islice(shown, limit))


def find_series(session: Session, text: str) -> tuple[str, ...]:
    """Keys of the series, newest first, that `text` may mean; more than one is ambiguous.

    The first of these that finds any: a whole key or Series Instance UID; a whole Study Instance
    UID or accession number; the ending of a key or Series Instance UID; that of a Study Instance
    UID.
    """
    wanted = text.strip()
    if not wanted:
        return ()
    key, series = SeriesRow.series_key, SeriesRow.series_instance_uid
    study = SeriesRow.study_instance_uid
    ways: tuple[ColumnElement[bool], ...] = (
        (key == wanted) | (series == wanted),
        (study == wanted) | (SeriesRow.accession_number == wanted),
        key.endswith(wanted, autoescape=True) | series.endswith(wanted, autoescape=True),
        study.endswith(wanted, autoescape=True),
    )
    for way in ways:
        statement = select(key).where(way).order_by(SeriesRow.last_received_at.desc(), key)
        if found := tuple(session.scalars(statement)):
            return found
    return ()


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
        results=_results(session, series_key),
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


def running_jobs(session: Session) -> tuple[JobRecord, ...]:
    """The jobs that a worker holds now, or held when it died and its lease has not run out."""
    return _jobs(session, JobRow.state == JobState.RUNNING)


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


def _results(session: Session, series_uid: str) -> tuple[ResultRecord, ...]:
    statement = (
        select(ResultRow)
        .where(ResultRow.series_key == series_uid)
        .order_by(ResultRow.created_at, ResultRow.ordinal)
    )
    return tuple(result_record(row) for row in session.scalars(statement))


def _deliveries(session: Session, which: ColumnElement[bool]) -> tuple[DeliveryRecord, ...]:
    statement = (
        select(DeliveryRow, ResultRow)
        .join(ResultRow, ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid)
        .where(which)
        .order_by(DeliveryRow.created_at, ResultRow.ordinal, DeliveryRow.destination)
    )
    return tuple(delivery_record(*row) for row in session.execute(statement))
