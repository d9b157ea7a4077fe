"""The outbox: which result still has to reach which destination.

A result enters it in the transaction that ends its job, so neither is there without the other.
One dead destination holds up no other, as each is claimed by itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, text, update
from sqlalchemy.orm import Session

from storage.errors import LeaseLostError
from storage.jobs import FREE
from storage.models import IS_OPEN_DELIVERY, OPEN_ASSESS, DeliveryRow, JobRow, ResultRow, SeriesRow
from storage.placing import may_claim, place_of_result
from storage.records import (
    ENDED_WITHOUT_ARRIVAL,
    ON_THEIR_WAY,
    OPEN_SERIES,
    RETRACTION_KIND,
    Delivery,
    DeliveryRecord,
    DeliveryState,
    ResultRecord,
)
from storage.result_history import Sent
from storage.statements import insert_into, shared_fields

SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88."
"""Root of the SOP Class UIDs of Structured Reports (PS3.4 B.5)."""

NOT_TRIED = dict.fromkeys(
    (
        "first_tried_at",
        "stored_at",
        "committed_at",
        "status",
        "confirm_at",
        "transaction_uid",
        "error",
    )
)
"""The columns of a delivery that an attempt fills, as they are before the first."""

_SLOWEST_BYTES_PER_SECOND = 20_000


DestinationsOf = Callable[[ResultRecord], Collection[str]]
"""Names of the destinations that a result is to reach."""


def to_each(*names: str) -> DestinationsOf:
    """Every result to the same destinations."""
    return lambda _result: names


def enter_results(
    session: Session,
    results: Sequence[ResultRecord],
    destinations: DestinationsOf,
    priority: int,
    now: datetime,
) -> None:
    """Enter results and a delivery of each to each of its destinations; again, it changes nothing.

    The order of sending is that of `results`, Structured Reports first. A delivery that had been
    given up is begun anew, with its attempts counted on: the destination may have the object, and
    is told if it is withdrawn. One that arrived is not repeated.
    """
    in_order = sorted(results, key=lambda each: not each.sop_class_uid.startswith(SR_STORAGE))
    for ordinal, result in enumerate(in_order):
        _enter_result(session, result, ordinal)
        for destination in destinations(result):
            if _leads_to(session, result, destination):
                _enter_delivery(session, result, destination, priority, now)


def _leads_to(session: Session, result: ResultRecord, destination: str) -> bool:
    """Whatever the routes are, what a campaign had sent leads to nobody else."""
    only_to = session.get_one(SeriesRow, result.series_key).only_to
    return only_to is None or only_to == destination


def claim_deliveries(
    session: Session, destination: str, owner: str, now: datetime, lease: timedelta, *, limit: int
) -> tuple[Delivery, ...]:
    """Take up to `limit` due deliveries of one study to `destination`, in order of sending.

    The most urgent study comes first; empty when nothing is due. Results of a series that was
    opened again by a late instance, or that a person holds, stay where they are; what withdraws
    results waits for neither.
    """
    due = and_(_due(destination, now), may_claim(DeliveryRow, owner), _may_go())
    while keys := _lock_next_study(session, due):
        ids = _due_of_series(session, due, keys, limit)
        if ids:
            return tuple(_take(session, each, owner, now, lease) for each in ids)
    return ()


def renew_deliveries(
    session: Session, deliveries: Sequence[Delivery], now: datetime, lease: timedelta
) -> list[Delivery]:
    """Prolong the leases by `lease` from `now`; those that are still held."""
    held = []
    for delivery in deliveries:
        until = now + _lease_of(delivery.result.size_bytes, lease)
        statement = update(DeliveryRow).where(_held(delivery)).values(lease_until=until)
        if session.scalar(statement.returning(DeliveryRow.delivery_id)) is not None:
            held.append(delivery)
    return held


def mark_stored(
    session: Session,
    delivery: Delivery,
    now: datetime,
    status: str,
    warning: str | None = None,
    confirm_at: datetime | None = None,
) -> None:
    """The destination answered `status`: it has it, perhaps with a `warning` in words.

    `confirm_at`: when its promise to keep it is asked for; None where it gives none.

    Raises:
        LeaseLostError
    """
    stored = {"stored_at": now, "status": status, "error": warning, "confirm_at": confirm_at}
    _write(session, delivery, state=DeliveryState.STORED, **stored)


def mark_retry(
    session: Session,
    delivery: Delivery,
    not_before: datetime,
    error: str,
    status: str | None = None,
) -> None:
    """Not now; try again at `not_before`.

    Raises:
        LeaseLostError
    """
    again = {"not_before": not_before, "error": error, "status": status, "owner": None}
    _write(session, delivery, state=DeliveryState.WAITING, **again)


def hold_deliveries(
    session: Session,
    deliveries: Sequence[Delivery],
    destination: str,
    until: datetime,
    error: str,
    status: str,
) -> None:
    """The destination is away: `deliveries`, which were claimed, wait with all others for it.

    It counts as no attempt at these objects, and their time to give up begins anew. What waits on
    its own account, after a failed attempt, is left as it is.
    """
    told = {"error": error, "status": status}
    for delivery in deliveries:
        freed = FREE | told | {"state": DeliveryState.WAITING, "owner": None}
        not_tried = {"attempt": max(1, delivery.attempt - 1), "first_tried_at": None}
        statement = update(DeliveryRow).where(_held(delivery))
        session.execute(statement.values(**freed, **not_tried, not_before=until))
    waiting = (*_never_tried(destination), DeliveryRow.not_before < until)
    session.execute(update(DeliveryRow).where(*waiting).values(**told, not_before=until))


def wake_deliveries(session: Session, destination: str, at: datetime) -> int:
    """The destination is back: what was held is due `at` that time; returns how many."""
    held = (*_never_tried(destination), DeliveryRow.status.is_not(None))
    later = update(DeliveryRow).where(*held, DeliveryRow.not_before > at)
    return len(
        session.scalars(later.values(not_before=at).returning(DeliveryRow.delivery_id)).all()
    )


def _never_tried(destination: str) -> tuple[ColumnElement[bool], ...]:
    return (
        DeliveryRow.destination == destination,
        DeliveryRow.state == DeliveryState.WAITING,
        DeliveryRow.first_tried_at.is_(None),
    )


def mark_refused(
    session: Session, delivery: Delivery, now: datetime, error: str, status: str
) -> None:
    """The destination will never take it as it is; `error` says what to change.

    Raises:
        LeaseLostError
    """
    refused = {"not_before": now, "error": error, "status": status}
    _write(session, delivery, state=DeliveryState.REFUSED, **refused)


def mark_failed(
    session: Session, delivery: Delivery, now: datetime, error: str, status: str | None = None
) -> None:
    """Given up at `now`.

    Raises:
        LeaseLostError
    """
    failed = {"not_before": now, "error": error, "status": status}
    _write(session, delivery, state=DeliveryState.FAILED, **failed)


def mark_unsent(
    session: Session, delivery: Delivery, state: DeliveryState, not_before: datetime, error: str
) -> None:
    """It was not sent, and may not be: the claim was no attempt.

    Raises:
        LeaseLostError
    """
    values = {"attempt": delivery.attempt - 1, "not_before": not_before, "error": error}
    _write(session, delivery, state=state, owner=None, **values)


def settled(session: Session, delivery: Delivery) -> Sent | None:
    """What became of a delivery, for the file beside its result; None while it is on its way."""
    row = session.get(DeliveryRow, delivery.delivery_id)
    if row is None or row.state in ON_THEIR_WAY:
        return None
    at = row.committed_at or row.stored_at or row.not_before
    return Sent(row.sop_instance_uid, row.destination, row.state, at, row.error)


def _enter_result(session: Session, result: ResultRecord, ordinal: int) -> None:
    values = asdict(result) | {"ordinal": ordinal}
    statement = insert_into(session, ResultRow).values(values)
    session.execute(
        statement.on_conflict_do_update(index_elements=["sop_instance_uid"], set_=values)
    )


def _enter_delivery(
    session: Session, result: ResultRecord, destination: str, priority: int, now: datetime
) -> None:
    fresh = {
        "state": DeliveryState.WAITING,
        "priority": priority,
        "created_at": now,
        "not_before": now,
        "node_id": place_of_result(result),
        **NOT_TRIED,
    }
    key = {
        "sop_instance_uid": result.sop_instance_uid,
        "series_key": result.series_key,
        "destination": destination,
    }
    session.execute(
        insert_into(session, DeliveryRow)
        .values(key | fresh | {"attempt": 0})
        .on_conflict_do_update(
            index_elements=["sop_instance_uid", "destination"],
            set_=fresh,
            where=DeliveryRow.state.in_(ENDED_WITHOUT_ARRIVAL),
        )
    )


def _due(destination: str, now: datetime) -> ColumnElement[bool]:
    waiting = and_(DeliveryRow.state == DeliveryState.WAITING, DeliveryRow.not_before <= now)
    lost = and_(DeliveryRow.state == DeliveryState.SENDING, DeliveryRow.lease_until <= now)
    return and_(IS_OPEN_DELIVERY, DeliveryRow.destination == destination, or_(waiting, lost))


def _may_go() -> ColumnElement[bool]:
    is_retraction = select(ResultRow.sop_instance_uid).where(
        ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid,
        ResultRow.kind == RETRACTION_KIND,
    )
    on_hold = SeriesRow.on_hold_since.is_not(None)
    decided = and_(SeriesRow.state.not_in(OPEN_SERIES), ~_looked_at(), ~on_hold)
    return or_(decided, is_retraction.correlate(DeliveryRow).exists())


def _looked_at() -> ColumnElement[bool]:
    """Something came again of the series: whether its results may go out is not known yet."""
    looking = select(JobRow.series_key).where(text(OPEN_ASSESS))
    return SeriesRow.series_key.in_(looking)


def _lock_next_study(session: Session, due: ColumnElement[bool]) -> Sequence[str]:
    """Keys of the series of one study that may be sent, most urgent first.

    The series are locked, not the deliveries: so two claimers never share one series' results.
    """
    found = select(SeriesRow.series_key, SeriesRow.study_instance_uid).join(
        DeliveryRow, DeliveryRow.series_key == SeriesRow.series_key
    )
    first = session.execute(
        found.where(due)
        .order_by(DeliveryRow.priority, DeliveryRow.created_at, DeliveryRow.delivery_id)
        .limit(1)
        .with_for_update(key_share=True, of=SeriesRow, skip_locked=True)
    ).first()
    if first is None:
        return ()
    others = session.scalars(
        found.where(due, SeriesRow.study_instance_uid == first[1], SeriesRow.series_key != first[0])
        .order_by(DeliveryRow.priority, DeliveryRow.created_at, DeliveryRow.delivery_id)
        .with_for_update(key_share=True, of=SeriesRow, skip_locked=True)
    )
    return tuple(dict.fromkeys((first[0], *others)))


def _due_of_series(
    session: Session, due: ColumnElement[bool], series_keys: Sequence[str], limit: int
) -> Sequence[int]:
    """Read anew under the lock: another claimer may have been quicker (then it is empty)."""
    statement = (
        select(DeliveryRow.delivery_id)
        .join(ResultRow, ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid)
        .join(SeriesRow, SeriesRow.series_key == DeliveryRow.series_key)
        .where(due, DeliveryRow.series_key.in_(series_keys))
        .order_by(
            DeliveryRow.priority,
            DeliveryRow.created_at,
            DeliveryRow.series_key,
            ResultRow.ordinal,
            DeliveryRow.delivery_id,
        )
        .limit(limit)
    )
    return session.scalars(statement).all()


def _lease_of(size_bytes: int, lease: timedelta) -> timedelta:
    """Longer for a large object: another would begin to send it while it still goes out, and none
    of the two would ever hold it when it has arrived."""
    return lease + timedelta(seconds=size_bytes // _SLOWEST_BYTES_PER_SECOND)


def _take(
    session: Session, delivery_id: int, owner: str, now: datetime, lease: timedelta
) -> Delivery:
    found = select(ResultRow).join(
        DeliveryRow, DeliveryRow.sop_instance_uid == ResultRow.sop_instance_uid
    )
    result = session.scalars(found.where(DeliveryRow.delivery_id == delivery_id)).one()
    statement = (
        update(DeliveryRow)
        .where(DeliveryRow.delivery_id == delivery_id)
        .values(
            state=DeliveryState.SENDING,
            attempt=DeliveryRow.attempt + 1,
            owner=owner,
            lease_token=secrets.token_hex(16),
            lease_until=now + _lease_of(result.size_bytes, lease),
            first_tried_at=func.coalesce(DeliveryRow.first_tried_at, now),
        )
        .returning(DeliveryRow)
    )
    row = session.scalars(statement, execution_options={"populate_existing": True}).one()
    return Delivery(**shared_fields(Delivery, row), result=result_record(result))


def _held(delivery: Delivery) -> ColumnElement[bool]:
    return and_(
        DeliveryRow.delivery_id == delivery.delivery_id,
        DeliveryRow.lease_token == delivery.lease_token,
        DeliveryRow.state == DeliveryState.SENDING,
    )


def _write(session: Session, delivery: Delivery, **values: object) -> None:
    statement = update(DeliveryRow).where(_held(delivery)).values(**(FREE | values))
    if session.scalar(statement.returning(DeliveryRow.delivery_id)) is None:
        name = f"delivery {delivery.delivery_id} to {delivery.destination}"
        raise LeaseLostError(f"{name}, attempt {delivery.attempt}")


def arrived() -> ColumnElement[bool]:
    """Of a delivery: committed, or stored where no promise is awaited."""
    stored = (DeliveryRow.state == DeliveryState.STORED) & DeliveryRow.confirm_at.is_(None)
    return stored | (DeliveryRow.state == DeliveryState.COMMITTED)


def delivery_record(delivery: DeliveryRow, result: ResultRow) -> DeliveryRecord:
    """A row and that of its object as a record."""
    return DeliveryRecord(**shared_fields(DeliveryRecord, delivery), result=result_record(result))


def result_record(row: ResultRow) -> ResultRecord:
    """A row as a record."""
    return ResultRecord(**shared_fields(ResultRecord, row))
