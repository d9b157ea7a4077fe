"""The series of one study, of which one is chosen."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session, aliased

from storage.decided import Verdict
from storage.enqueue import ensure_assess
from storage.models import SeriesRow
from storage.queries import series_record
from storage.records import SeriesRecord, SeriesState
from storage.reopening import reopen
from storage.statements import lock_series


def series_of_study(session: Session, series_key: str) -> tuple[SeriesRecord, ...]:
    """The series of the same study, patient and modality as one, that one among them, by key.

    What a campaign had sent is another study than what was sent for an answer.
    """
    own, other = aliased(SeriesRow), aliased(SeriesRow)
    statement = (
        select(other)
        .join(own, of_one_study(own, other))
        .where(
            own.series_key == series_key,
            other.modality == own.modality,
            other.only_to.is_(None) == own.only_to.is_(None),
        )
        .order_by(other.series_key)
    )
    return tuple(series_record(row) for row in session.scalars(statement))


def of_one_study(one: type[SeriesRow], other: type[SeriesRow]) -> ColumnElement[bool]:
    """Whether two series are of one study and patient: two may share a Study Instance UID.

    Of what an earlier release entered only the study is known.
    """
    digests = (one.identity_digest, other.identity_digest)
    return and_(
        one.study_instance_uid == other.study_instance_uid,
        or_(digests[0] == digests[1], digests[0] == "", digests[1] == ""),
    )


def lock_study_of(session: Session, series_key: str) -> None:
    """Lock all series of its study, by UID: before one is written and others after it."""
    study = select(SeriesRow.study_instance_uid).where(SeriesRow.series_key == series_key)
    session.execute(
        select(SeriesRow.series_key)
        .where(SeriesRow.study_instance_uid == study.scalar_subquery())
        .order_by(SeriesRow.series_key)
        .with_for_update(key_share=True)
    )


def reconsider(session: Session, left_for: str, rule: str, now: datetime) -> tuple[str, ...]:
    """Open again the skipped series of its study that gave way to series `left_for`.

    For when that one came to nothing; after `lock_study_of` in the same transaction. `rule` is the
    reason they were skipped with; its value names the series. Returns their UIDs.
    """
    study = select(SeriesRow.study_instance_uid).where(SeriesRow.series_key == left_for)
    skipped = (
        select(SeriesRow.series_key)
        .where(
            SeriesRow.study_instance_uid == study.scalar_subquery(),
            SeriesRow.state == SeriesState.SKIPPED,
            SeriesRow.removed_at.is_(None),
        )
        .order_by(SeriesRow.series_key)
    )
    reopened = []
    for uid in session.scalars(skipped).all():
        series = lock_series(session, uid)
        if series.state is SeriesState.SKIPPED and _gave_way(series, left_for, rule):
            reopen(session, series, now)
            ensure_assess(session, uid, series.priority, now)
            reopened.append(uid)
    return tuple(reopened)


def _gave_way(series: SeriesRow, left_for: str, rule: str) -> bool:
    return any(
        reason.rule == rule and reason.verdict is Verdict.FAIL and left_for in str(reason.value)
        for reason in series.reasons
    )
