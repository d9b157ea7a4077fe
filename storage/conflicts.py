"""Instances that came again with other content, and which content stands.

Every content is kept. The row of the instance tells the one that stands; a conflict is another one,
with what was made of it, and names the series that it belongs to by its own words: another than
that of the instance where it is another patient's, or bears another Series Instance UID. Such a
series has a row as well, so that all that came is told of under its own UID.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session, aliased

from storage import jobs
from storage.enqueue import ensure_assess, wake_assess
from storage.models import InstanceConflictRow, InstanceRow, SeriesRow
from storage.placing import LOST
from storage.records import (
    Conflict,
    ConflictState,
    Job,
    SeriesState,
    StoredInstance,
)
from storage.reopening import reopen
from storage.retention import note_copy
from storage.statements import in_batches, insert_into, lock_series, shared_fields

UNDECIDED = (ConflictState.OPEN, ConflictState.TAKE_FIRST, ConflictState.TAKE_NEWEST)
"""The next look at the series settles them."""

_UNSETTLED = (ConflictState.OPEN, ConflictState.HELD)
"""Neither decided nor chosen by a person."""

_MAY_TELL = (SeriesState.QUEUED, SeriesState.SKIPPED)
"""The report to come can tell which copies were taken; or the series was held until now."""

CopyName = tuple[str, str]
"""SOP Instance UID and SHA-256."""


@dataclass(frozen=True)
class Settled:
    """What is made of a conflict; `differs`: in what, in words without values."""

    state: ConflictState
    differs: str


def note_conflict(session: Session, instance: StoredInstance) -> None:
    """Keep another content of an instance that is known; the same once more is newer news.

    `series_key` is that of the series it names. That one, and the one the instance is of, are
    looked at again. Every series was locked before.
    """
    known = session.get_one(InstanceRow, instance.sop_instance_uid)
    alike = known.series_instance_uid == instance.series_instance_uid
    values = {
        column.key: getattr(instance, column.key, "") for column in InstanceConflictRow.__table__.c
    }
    values |= {"state": ConflictState.OPEN if alike else ConflictState.ELSEWHERE, "differs": ""}
    former = session.get(InstanceConflictRow, (instance.sop_instance_uid, instance.sha256))
    if former is not None and former.node_id not in ("", instance.node_id, *session.scalars(LOST)):
        values["node_id"] = former.node_id
        note_copy(session, instance)
    statement = (
        insert_into(session, InstanceConflictRow)
        .values(values)
        .on_conflict_do_update(
            index_elements=["sop_instance_uid", "sha256"],
            set_=values,
            where=InstanceConflictRow.received_at < instance.received_at,
        )
        .returning(InstanceConflictRow.sha256)
    )
    if session.scalar(statement) is None:
        return
    if alike:
        look_again(session, lock_series(session, known.series_key), instance.received_at)
    if known.series_key != instance.series_key:
        named = lock_series(session, instance.series_key)
        if named.state is not SeriesState.RECEIVING:
            reopen(session, named, instance.received_at)
        look_again(session, named, instance.received_at)


def contested(session: Session, sop_instance_uids: Collection[str]) -> set[str]:
    """Those of which it is not settled which content stands."""
    found: set[str] = set()
    for uids in in_batches(sop_instance_uids):
        of_these = InstanceConflictRow.sop_instance_uid.in_(uids)
        open_ones = of_these & InstanceConflictRow.state.in_(_UNSETTLED)
        found |= set(session.scalars(select(InstanceConflictRow.sop_instance_uid).where(open_ones)))
    return found


def note_again(session: Session, instance: StoredInstance) -> None:
    """The content that stands came once more: beside those that are not settled it is the newest.

    Without that a correction that was taken back would be taken. Its series was locked before.
    """
    known = session.get_one(InstanceRow, instance.sop_instance_uid)
    if known.received_at >= instance.received_at:
        return
    statement = (
        update(InstanceConflictRow)
        .where(
            InstanceConflictRow.sop_instance_uid == instance.sop_instance_uid,
            InstanceConflictRow.state.in_(_UNSETTLED),
        )
        .values(state=ConflictState.OPEN)
        .returning(InstanceConflictRow.sha256)
    )
    if session.scalars(statement).all():
        known.received_at = instance.received_at
        known.association_id = instance.association_id or None
        look_again(session, lock_series(session, known.series_key), instance.received_at)


def look_again(session: Session, series: SeriesRow, received_at: datetime) -> None:
    """A decision stands until it is known whether the copies are others."""
    series.revision += 1
    series.last_received_at = max(series.last_received_at, received_at)
    session.flush()
    ensure_assess(session, series.series_key, series.priority, received_at)


def conflicts_of(session: Session, series_key: str) -> tuple[Conflict, ...]:
    """The other contents of the instances of a series, as they came."""
    return _conflicts(session, InstanceRow.series_key == series_key)


def claims_of(session: Session, series_key: str) -> tuple[Conflict, ...]:
    """What names a series, and is known as instances of others."""
    return _conflicts(
        session,
        InstanceConflictRow.series_key == series_key,
        InstanceRow.series_key != series_key,
    )


def _conflicts(session: Session, *which: ColumnElement[bool]) -> tuple[Conflict, ...]:
    owner, named = aliased(SeriesRow), aliased(SeriesRow)
    statement = (
        select(InstanceConflictRow, owner, named.study_instance_uid)
        .join(InstanceRow, InstanceRow.sop_instance_uid == InstanceConflictRow.sop_instance_uid)
        .join(owner, owner.series_key == InstanceRow.series_key)
        .join(named, named.series_key == InstanceConflictRow.series_key)
        .where(*which)
        .order_by(
            InstanceConflictRow.received_at,
            InstanceConflictRow.sop_instance_uid,
            InstanceConflictRow.sha256,
        )
    )
    return tuple(
        Conflict(
            **shared_fields(Conflict, row),
            study_instance_uid=study,
            owner_key=series.series_key,
            owner_series_uid=series.series_instance_uid,
            owner_study_uid=series.study_instance_uid,
        )
        for row, series, study in session.execute(statement)
    )


def settle(
    session: Session,
    job: Job,
    settled: Mapping[CopyName, Settled],
    taken: Sequence[StoredInstance],
    now: datetime,
) -> bool:
    """Enter what is made of the conflicts of a series; False when more came meanwhile.

    Each of `taken`, which bears the key of the series that it names, takes the place of the content
    that stands, and that one becomes a conflict: what `settled` says of it. A series whose content,
    or whose right to be analysed, is another now is decided on anew. The ASSESS job is queued again
    for that; where there is nothing to decide it ends.

    Raises:
        LeaseLostError
    """
    named: set[str] = set()
    for uids in in_batches({uid for uid, _ in settled}):
        of_these = InstanceConflictRow.sop_instance_uid.in_(uids)
        named |= set(session.scalars(select(InstanceConflictRow.series_key).where(of_these)))
    _lock_instances(session, [each.sop_instance_uid for each in taken])
    involved = lock_all(session, {job.series_key, *named})
    series = involved[job.series_key]
    if jobs.held_revision(session, job) != series.revision:
        jobs.put_back(session, job, now, count_attempt=False)
        return False
    for (uid, sha256), its in settled.items():
        session.execute(
            update(InstanceConflictRow)
            .where(
                InstanceConflictRow.sop_instance_uid == uid, InstanceConflictRow.sha256 == sha256
            )
            .values(state=its.state, differs=its.differs)
        )
    for instance in taken:
        _take(session, instance, settled[instance.sop_instance_uid, instance.sha256])
    session.flush()
    states = {its.state for its in settled.values()}
    is_known = states & {ConflictState.FIRST, ConflictState.REPLACED} and series.state in _MAY_TELL
    if taken or is_known or ConflictState.HELD in states:
        _reopen(session, series, now)
    for key in involved.keys() - {job.series_key}:
        _reopen(session, involved[key], now)
        ensure_assess(session, key, involved[key].priority, now)
        wake_assess(session, [key], now)
    for each in involved.values():  # behind what their history tells
        _count_anew(session, each)
    if series.state is SeriesState.RECEIVING:
        jobs.put_back(session, job, now, count_attempt=False)
    else:
        jobs.finish(session, job, now)
    return True


def _take(session: Session, instance: StoredInstance, former: Settled) -> None:
    """`former`: what becomes of the content that stood."""
    stands = session.get_one(InstanceRow, instance.sop_instance_uid)
    replaced = {
        column.key: getattr(stands, column.key, "") for column in InstanceConflictRow.__table__.c
    }
    replaced |= {
        "association_id": stands.association_id or "",
        "node_id": stands.node_id or instance.node_id,  # where it was sealed alone, it was brought
        "state": former.state,
        "differs": former.differs,
    }
    session.execute(
        delete(InstanceConflictRow).where(
            InstanceConflictRow.sop_instance_uid == instance.sop_instance_uid,
            InstanceConflictRow.sha256 == instance.sha256,
        )
    )
    replace_content(stands, instance)
    session.flush()
    session.execute(
        insert_into(session, InstanceConflictRow).values(replaced).on_conflict_do_nothing()
    )


def replace_content(stands: InstanceRow, instance: StoredInstance) -> None:
    """`instance` is the one that stands from now on."""
    for column in InstanceRow.__table__.c:
        setattr(stands, column.key, getattr(instance, column.key))
    stands.association_id = instance.association_id or None


def _count_anew(session: Session, series: SeriesRow) -> None:
    """An order number that was corrected is one by which people look for the series."""
    own = InstanceRow.series_key == series.series_key
    series.instance_count = session.scalar(select(func.count()).where(own)) or 0
    series.revision += 1
    number = InstanceRow.accession_number
    commonest = select(number).where(own).group_by(number).order_by(func.count().desc(), number)
    found = session.scalar(commonest.limit(1))
    series.accession_number = series.accession_number if found is None else found


def _reopen(session: Session, series: SeriesRow, now: datetime) -> None:
    if series.state is not SeriesState.RECEIVING and series.removed_at is None:
        reopen(session, series, now)
        session.flush()


def _lock_instances(session: Session, sop_instance_uids: Sequence[str]) -> None:
    """Before the series, as whoever records instances does."""
    for uids in in_batches(sorted(sop_instance_uids)):
        wanted = select(InstanceRow.sop_instance_uid).where(InstanceRow.sop_instance_uid.in_(uids))
        session.execute(wanted.order_by(InstanceRow.sop_instance_uid).with_for_update())


def lock_all(session: Session, keys: Collection[str]) -> dict[str, SeriesRow]:
    """Lock series in the order of their keys."""
    return {key: lock_series(session, key) for key in sorted(keys)}


def hold_undecided(session: Session, series_key: str, now: datetime) -> None:
    """Copies that could not be compared at all: nothing of the series goes on without a person."""
    series = lock_series(session, series_key)
    own = select(InstanceRow.sop_instance_uid).where(InstanceRow.series_key == series_key)
    statement = (
        update(InstanceConflictRow)
        .where(
            InstanceConflictRow.sop_instance_uid.in_(own),
            InstanceConflictRow.state.in_(UNDECIDED),
        )
        .values(state=ConflictState.HELD)
        .returning(InstanceConflictRow.sha256)
    )
    if session.scalars(statement).all():
        _reopen(session, series, now)


def release(session: Session, series_key: str, newest: bool, now: datetime) -> int:
    """A person has chosen for what is held of a series; how many conflicts that settles.

    The running node does it with its next look at the series.
    """
    series = lock_series(session, series_key)
    own = select(InstanceRow.sop_instance_uid).where(InstanceRow.series_key == series_key)
    statement = (
        update(InstanceConflictRow)
        .where(
            InstanceConflictRow.sop_instance_uid.in_(own),
            InstanceConflictRow.state == ConflictState.HELD,
        )
        .values(state=ConflictState.TAKE_NEWEST if newest else ConflictState.TAKE_FIRST)
        .returning(InstanceConflictRow.sha256)
    )
    count = len(session.scalars(statement).all())
    if count:
        series.revision += 1
        ensure_assess(session, series_key, series.priority, now)
    return count
