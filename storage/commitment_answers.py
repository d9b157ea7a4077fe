"""Requests for storage commitment that peers make of us, held durably until they have the report.

One that comes again under its Transaction UID, as its answer was lost, is reported on again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, false, or_, select, update
from sqlalchemy.orm import Session

from storage.commitment_tables import CommitmentAnswerRow
from storage.models import InstanceRow
from storage.placing import LOST
from storage.statements import in_batches, insert_into, shared_fields

SopReference = tuple[str, str]
"""SOP Class UID and SOP Instance UID."""


@dataclass(frozen=True)
class OwedReport:
    """A peer's request. `attempt`: how often the report was tried.

    `failed`: of how many objects the last report said that we do not hold them.
    """

    ae_title: str
    transaction_uid: str
    objects: tuple[SopReference, ...]
    requested_at: datetime
    attempt: int = 0
    not_before: datetime | None = None
    reported_at: datetime | None = None
    failed: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class HeldInstance:
    """An instance that the index knows. `elsewhere`: it is sealed, or on the disk of another node
    that lives."""

    sop_class_uid: str
    path: str
    elsewhere: bool = False


def enter(session: Session, owed: OwedReport) -> None:
    """Note what a peer asked for; `not_before`: when others may report on it."""
    values = {each.key: getattr(owed, each.key) for each in CommitmentAnswerRow.__table__.c}
    values["objects"] = [list(each) for each in owed.objects]
    statement = insert_into(session, CommitmentAnswerRow).values(values)
    keys = ["ae_title", "transaction_uid"]
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))


def take_due(session: Session, now: datetime, until: datetime) -> OwedReport | None:
    """The report that is due longest, this one's to send until then; its attempt is counted."""
    due = (
        select(CommitmentAnswerRow)
        .where(CommitmentAnswerRow.not_before <= now)
        .order_by(CommitmentAnswerRow.not_before)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = session.scalar(due)
    if row is None:
        return None
    row.attempt, row.not_before = row.attempt + 1, until
    session.flush()
    return _record(row)


def record_reported(session: Session, owed: OwedReport, failed: int, now: datetime) -> None:
    """The peer has the report."""
    _write(session, owed, reported_at=now, failed=failed, not_before=None, error=None)


def record_unreported(
    session: Session, owed: OwedReport, not_before: datetime | None, error: str | None
) -> None:
    """It has not; it is tried again at `not_before`, or not at all. `error`: why."""
    _write(session, owed, not_before=not_before, error=error)


def put_off(session: Session, ae_title: str, until: datetime) -> None:
    """The peer is away: whatever it is owed waits as long, and holds up nobody else's report."""
    due = CommitmentAnswerRow.ae_title == ae_title, CommitmentAnswerRow.not_before < until
    session.execute(update(CommitmentAnswerRow).where(*due).values(not_before=until))


def held_instances(
    session: Session, sop_instance_uids: Collection[str], node_id: str = ""
) -> dict[str, HeldInstance]:
    """Those that the index knows, by SOP Instance UID, for a node."""
    row = InstanceRow
    others = row.node_id.not_in(("", node_id)) & row.node_id.not_in(LOST)
    elsewhere = others if node_id else false()
    found: dict[str, HeldInstance] = {}
    for uids in in_batches(sop_instance_uids):
        wanted = select(
            row.sop_instance_uid,
            row.sop_class_uid,
            row.path,
            or_(row.object_name.is_not(None), elsewhere),
        )
        for uid, sop_class, path, there in session.execute(
            wanted.where(row.sop_instance_uid.in_(uids))
        ):
            found[uid] = HeldInstance(sop_class, path, there)
    return found


def list_owed(session: Session, limit: int = 100) -> tuple[OwedReport, ...]:
    """The requests that came last, newest first."""
    newest = select(CommitmentAnswerRow).order_by(CommitmentAnswerRow.requested_at.desc())
    return tuple(_record(row) for row in session.scalars(newest.limit(limit)))


def remove_answers(session: Session, requested_before: datetime) -> int:
    """Remove ended ones that came so long ago; returns how many."""
    ended = and_(
        CommitmentAnswerRow.requested_at < requested_before,
        CommitmentAnswerRow.not_before.is_(None),
    )
    statement = delete(CommitmentAnswerRow).where(ended)
    return len(session.scalars(statement.returning(CommitmentAnswerRow.transaction_uid)).all())


def _this(owed: OwedReport) -> ColumnElement[bool]:
    return and_(
        CommitmentAnswerRow.ae_title == owed.ae_title,
        CommitmentAnswerRow.transaction_uid == owed.transaction_uid,
    )


def _write(session: Session, owed: OwedReport, **values: object) -> None:
    session.execute(update(CommitmentAnswerRow).where(_this(owed)).values(**values))


def _record(row: CommitmentAnswerRow) -> OwedReport:
    objects: Sequence[Sequence[str]] = row.objects
    pairs = tuple((sop_class, uid) for sop_class, uid in objects)
    return OwedReport(**(shared_fields(OwedReport, row) | {"objects": pairs}))
