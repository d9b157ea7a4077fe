"""What is stored at a destination and whose promise is asked for; what reports make of it.

A delivery whose promise is still awaited is STORED and has `confirm_at`. A request is entered, with
the deliveries that it names, before it is sent: its report may come before the answer does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from storage.commitment_tables import CommitmentRequestRow
from storage.models import DeliveryRow, ResultRow, SeriesRow
from storage.records import DeliveryState
from storage.statements import in_batches, shared_fields

_MOST_STUDIES = 32
"""Asked for over one association; the rest at the next look."""


@dataclass(frozen=True)
class Awaited:
    """One object that is stored, and whose promise is awaited.

    `attempt`: how often it was sent. `asked`: how often it was asked for since. Its series is the
    one that the object is of.
    """

    delivery_id: int
    destination: str
    attempt: int
    first_tried_at: datetime | None
    stored_at: datetime
    transaction_uid: str | None
    asked: int
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True)
class CommitmentRequest:
    """A request for storage commitment that we made. `attempt`: as often we had asked by then."""

    transaction_uid: str
    destination: str
    attempt: int
    asked_at: datetime
    reported_at: datetime | None
    failed: int | None = None

    @property
    def is_trial(self) -> bool:
        """Made to try a destination: no delivery waits for its report."""
        return self.attempt == 0


def studies_to_ask_for(session: Session, destination: str, now: datetime) -> tuple[str, ...]:
    """Study Instance UIDs of what is due; not while something of the study is being sent."""
    other = aliased(DeliveryRow)
    of_study = aliased(SeriesRow)
    sending = (  # asked once, not for each object: a study may have thousands
        select(of_study.study_instance_uid)
        .join(other, of_study.series_key == other.series_key)
        .where(other.destination == destination, other.state == DeliveryState.SENDING)
    )
    study = SeriesRow.study_instance_uid
    statement = (
        select(study)
        .join(DeliveryRow, DeliveryRow.series_key == SeriesRow.series_key)
        .where(
            DeliveryRow.destination == destination,
            DeliveryRow.confirm_at <= now,
            study.not_in(sending),
        )
        .group_by(study)
        .order_by(func.min(DeliveryRow.priority), func.min(DeliveryRow.confirm_at))
        .limit(_MOST_STUDIES)
    )
    return tuple(session.scalars(statement))


def awaited_of_study(
    session: Session, destination: str, study_instance_uid: str, now: datetime
) -> tuple[Awaited, ...]:
    """What is due of a study, and what was stored since and has not been asked for yet."""
    due = or_(DeliveryRow.confirm_at <= now, DeliveryRow.transaction_uid.is_(None))
    where = DeliveryRow.destination == destination, _waits(), due
    return _awaited(session, *where, SeriesRow.study_instance_uid == study_instance_uid)


def enter_request(
    session: Session,
    objects: Sequence[Awaited],
    transaction_uid: str,
    now: datetime,
    until: datetime,
) -> tuple[Awaited, ...]:
    """Enter a request for these objects, whose report is awaited until then; empty: for none.

    Those of them that it is for: another may have been quicker with the rest.
    """
    taken = _write(session, objects, transaction_uid=transaction_uid, confirm_at=until)
    if taken:
        attempt = 1 + max(each.asked for each in taken)
        row = CommitmentRequestRow(
            transaction_uid=transaction_uid,
            destination=taken[0].destination,
            attempt=attempt,
            asked_at=now,
        )
        session.add(row)
    return taken


def enter_trial(session: Session, transaction_uid: str, destination: str, now: datetime) -> None:
    """A request for objects that no delivery knows; what is reported on it is counted alone."""
    row = CommitmentRequestRow(
        transaction_uid=transaction_uid, destination=destination, attempt=0, asked_at=now
    )
    session.add(row)


def end_trial(session: Session, transaction_uid: str, now: datetime, failed: int) -> None:
    """A report has come; `failed`: of so many objects the promise is not given."""
    statement = update(CommitmentRequestRow).where(
        CommitmentRequestRow.transaction_uid == transaction_uid
    )
    session.execute(statement.values(reported_at=now, failed=failed))


def find_request(session: Session, transaction_uid: str) -> CommitmentRequest | None:
    row = session.get(CommitmentRequestRow, transaction_uid)
    return None if row is None else CommitmentRequest(**shared_fields(CommitmentRequest, row))


def unreported(session: Session, transaction_uids: Collection[str]) -> int:
    """How many of these requests have had no report yet."""
    which = CommitmentRequestRow.transaction_uid.in_(transaction_uids)
    open_ones = select(func.count()).where(which, CommitmentRequestRow.reported_at.is_(None))
    return session.scalar(open_ones) or 0


def close_request(session: Session, transaction_uid: str, now: datetime) -> None:
    """A report on it has come; a second one leaves the time of the first."""
    statement = update(CommitmentRequestRow).where(
        CommitmentRequestRow.transaction_uid == transaction_uid,
        CommitmentRequestRow.reported_at.is_(None),
    )
    session.execute(statement.values(reported_at=now))


def commit(
    session: Session, request: CommitmentRequest, sop_instance_uids: Collection[str], now: datetime
) -> set[str]:
    """The destination promises to keep these; those that the promise is for, now or before.

    It counts for what was stored before the request was made, though another was made since: a
    slow archive's report may come after its time-out.
    """
    found: set[str] = set()
    for uids in in_batches(sop_instance_uids):
        named = and_(
            DeliveryRow.destination == request.destination,
            DeliveryRow.sop_instance_uid.in_(uids),
            DeliveryRow.stored_at <= request.asked_at,
        )
        statement = (
            update(DeliveryRow)
            .where(named, DeliveryRow.state == DeliveryState.STORED)
            .values(state=DeliveryState.COMMITTED, committed_at=now, confirm_at=None)
        )
        session.execute(statement, execution_options={"synchronize_session": False})
        committed = DeliveryRow.state == DeliveryState.COMMITTED
        found |= set(session.scalars(select(DeliveryRow.sop_instance_uid).where(named, committed)))
    return found


def awaited_of_request(session: Session, transaction_uid: str) -> tuple[Awaited, ...]:
    """The objects whose promise is awaited by this request, and by no later one."""
    return _awaited(session, DeliveryRow.transaction_uid == transaction_uid, _waits())


def ask_again(session: Session, objects: Sequence[Awaited], at: datetime) -> None:
    """Their promise is asked for at that time, not before."""
    _write(session, objects, confirm_at=at)


def send_again(
    session: Session, one: Awaited, not_before: datetime, error: str, status: str | None
) -> None:
    """The destination does not have it: it is sent once more, and asked for from the beginning."""
    again = {"not_before": not_before, "transaction_uid": None, "confirm_at": None}
    _write(session, [one], state=DeliveryState.WAITING, error=error, status=status, **again)


def give_up(
    session: Session, one: Awaited, state: DeliveryState, now: datetime, error: str, status: str
) -> None:
    """It is parked as REFUSED or FAILED: `error` says why, and what to change."""
    parked = {"not_before": now, "error": error, "status": status, "confirm_at": None}
    _write(session, [one], state=state, **parked)


def leave_stored(session: Session, objects: Sequence[Awaited], words: str) -> None:
    """Stored, and no promise is awaited any more; `words` are put behind a warning from before."""
    _write(session, objects, confirm_at=None, error=_with(words))


def leave_unasked(session: Session, asked: Collection[str], words: str) -> int:
    """As `leave_stored` whatever lies at destinations that are not asked any more; how many."""
    statement = update(DeliveryRow).where(_waits(), DeliveryRow.destination.not_in(asked))
    left = statement.values(confirm_at=None, error=_with(words)).returning(DeliveryRow.delivery_id)
    return len(session.scalars(left, execution_options={"synchronize_session": False}).all())


def remove_requests(session: Session, asked_before: datetime) -> int:
    """Remove requests so old that no report comes any more; returns how many."""
    old = delete(CommitmentRequestRow).where(CommitmentRequestRow.asked_at < asked_before)
    return len(session.scalars(old.returning(CommitmentRequestRow.transaction_uid)).all())


def _with(words: str) -> ColumnElement[str | None]:
    return func.coalesce(DeliveryRow.error + "; ", "") + words


def _waits() -> ColumnElement[bool]:
    return and_(DeliveryRow.state == DeliveryState.STORED, DeliveryRow.confirm_at.is_not(None))


def _awaited(session: Session, *where: ColumnElement[bool]) -> tuple[Awaited, ...]:
    request = CommitmentRequestRow
    statement = (
        select(DeliveryRow, ResultRow, SeriesRow.study_instance_uid, request.attempt)
        .join(ResultRow, ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid)
        .join(SeriesRow, SeriesRow.series_key == DeliveryRow.series_key)
        .outerjoin(request, request.transaction_uid == DeliveryRow.transaction_uid)
        .where(*where)
        .order_by(ResultRow.ordinal, DeliveryRow.delivery_id)
    )
    rows = session.execute(statement.execution_options(populate_existing=True))
    return tuple(
        Awaited(
            **shared_fields(Awaited, delivery),
            asked=asked or 0,
            sop_class_uid=result.sop_class_uid,
            series_instance_uid=result.result_series_instance_uid,
            study_instance_uid=study,
        )
        for delivery, result, study, asked in rows
    )


def _write(session: Session, objects: Sequence[Awaited], **values: object) -> tuple[Awaited, ...]:
    """Those whose promise is still awaited as it was when they were read."""
    written: set[int] = set()
    for uid in {each.transaction_uid for each in objects}:
        same = DeliveryRow.transaction_uid.is_not_distinct_from(uid)
        for ids in in_batches(each.delivery_id for each in objects if each.transaction_uid == uid):
            statement = (
                update(DeliveryRow)
                .where(DeliveryRow.delivery_id.in_(ids), _waits(), same)
                .values(**values)
                .returning(DeliveryRow.delivery_id)
            )
            options = {"synchronize_session": False}
            written |= set(session.scalars(statement, execution_options=options))
    return tuple(each for each in objects if each.delivery_id in written)
