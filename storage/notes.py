"""Which CT series were not analysed and have not been told of yet.

The rows tell it: a series that ended as skipped or failed, and no note since. So a node that dies
between the decision and its note makes up for it when it is back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session, aliased

from storage.jobs import SUPERSEDED
from storage.models import DeliveryRow, ResultRow, SeriesRow
from storage.outbox import DestinationsOf, enter_results, result_record
from storage.placing import readable
from storage.records import NOTE_KIND, DeliveryState, ResultRecord, SeriesRecord, SeriesState
from storage.study import lock_study_of, of_one_study, series_of_study

NOT_ANALYSED = (SeriesState.SKIPPED, SeriesState.FAILED)


def ended_without_analysis(
    session: Session, modality: str, after: datetime, until: datetime, node_id: str = ""
) -> tuple[str, ...]:
    """Keys of series that a node can read, skipped or failed after a time and until another, oldest
    first; those whose files retention has removed are left out, and what a campaign had sent."""
    statement = (
        select(SeriesRow.series_key)
        .where(
            SeriesRow.ended_at.is_not(None),
            SeriesRow.removed_at.is_(None),
            SeriesRow.ended_at > after,
            SeriesRow.ended_at <= until,
            SeriesRow.state.in_(NOT_ANALYSED),
            SeriesRow.modality == modality,
            readable(SeriesRow.series_key, node_id),
            SeriesRow.only_to.is_(None),
        )
        .order_by(SeriesRow.ended_at, SeriesRow.series_key)
    )
    return tuple(session.scalars(statement))


def notes_of(session: Session, series_keys: Sequence[str]) -> tuple[ResultRecord, ...]:
    """The notes that were entered for these series, oldest first."""
    statement = (
        select(ResultRow)
        .where(ResultRow.kind == NOTE_KIND, ResultRow.series_key.in_(series_keys))
        .order_by(ResultRow.created_at, ResultRow.ordinal)
    )
    return tuple(result_record(row) for row in session.scalars(statement))


def enter_note(
    session: Session,
    noted_series: Sequence[SeriesRecord],
    results: Sequence[ResultRecord],
    destinations: DestinationsOf,
    now: datetime,
    *,
    whole_study: bool,
) -> bool:
    """Put a note into the outbox, if what it tells still holds; False when it does not.

    `noted_series`: as they were when the note was built; with `whole_study` they are all of their
    study and modality. The note belongs to the series that `results` name.
    """
    first = noted_series[0]
    lock_study_of(session, first.series_key)
    now_there = {each.series_key: each for each in series_of_study(session, first.series_key)}
    if whole_study and len(now_there) != len(noted_series):
        return False
    if any(now_there.get(each.series_key) != each for each in noted_series):
        return False
    enter_results(session, results, destinations, first.priority, now)
    return True


def sent_and_outdated(
    session: Session, since: datetime | None, *, whole_study: bool
) -> tuple[str, ...]:
    """Series with a note that a destination has, or may have, and that no longer holds.

    A note on a whole study ends to hold when any series of it is analysed, one on a series when
    that very series is. `since`: only where that happened after it. A note that was withdrawn is
    among them still.
    """
    noted, other = aliased(SeriesRow), aliased(SeriesRow)
    of_noted = of_one_study(noted, other) if whole_study else other.series_key == noted.series_key
    statement = (
        select(noted.series_key)
        .distinct()
        .join(ResultRow, ResultRow.series_key == noted.series_key)
        .join(DeliveryRow, DeliveryRow.sop_instance_uid == ResultRow.sop_instance_uid)
        .join(other, of_noted)
        .where(
            ResultRow.kind == NOTE_KIND,
            DeliveryRow.attempt > 0,
            other.state == SeriesState.ANALYSED,
            other.ended_at >= ResultRow.created_at,
        )
        .order_by(noted.series_key)
    )
    if since is not None:
        statement = statement.where(other.ended_at > since)
    return tuple(session.scalars(statement))


def withhold_outdated(session: Session) -> int:
    """Give up what waits of notes on studies of which a series is analysed after all; how many."""
    noted, other = aliased(SeriesRow), aliased(SeriesRow)
    analysed = (
        select(other.series_key)
        .where(
            of_one_study(noted, other),
            other.state == SeriesState.ANALYSED,
            other.ended_at >= ResultRow.created_at,
        )
        .exists()
    )
    outdated = (
        select(ResultRow.sop_instance_uid)
        .join(noted, noted.series_key == ResultRow.series_key)
        .where(ResultRow.kind == NOTE_KIND, analysed)
    )
    statement = (
        update(DeliveryRow)
        .where(_waiting(), DeliveryRow.sop_instance_uid.in_(outdated))
        .values(state=DeliveryState.ABANDONED, error=SUPERSEDED)
        .returning(DeliveryRow.delivery_id)
    )
    return len(session.scalars(statement).all()) if _any_waits(session) else 0


def _waiting() -> ColumnElement[bool]:
    return DeliveryRow.state == DeliveryState.WAITING


def _any_waits(session: Session) -> bool:
    """Most of the time nothing does, and the larger question need not be asked."""
    waiting = (
        select(func.count())
        .select_from(DeliveryRow)
        .join(ResultRow, ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid)
        .where(_waiting(), ResultRow.kind == NOTE_KIND)
    )
    return bool(session.scalar(waiting))
