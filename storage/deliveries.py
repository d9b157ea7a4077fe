"""What an administrator does with deliveries, of one destination or of all: look, retry, drop."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from storage.adopt import HELD_DELIVERY
from storage.jobs import FREE
from storage.models import DeliveryRow, ResultRow, SeriesRow
from storage.outbox import NOT_TRIED, delivery_record
from storage.records import ON_THEIR_WAY, DeliveryRecord, DeliveryState

REMOVED = "its destination is configured no more"
DROPPED = "dropped by the administrator"
"""Why a delivery was abandoned; one that was for another reason, as its result was withdrawn, is
not to be sent at all."""

RETRIED = (DeliveryState.WAITING, DeliveryState.REFUSED, DeliveryState.FAILED)
"""States whose deliveries may be tried again at once, or dropped."""


def list_deliveries(
    session: Session,
    destinations: Collection[str] = (),
    states: Collection[DeliveryState] = (),
    limit: int = 1000,
) -> tuple[tuple[DeliveryRecord, str], ...]:
    """The newest, in the order in which they came about, each with the Series Instance UID of the
    CT series it is about. Empty: of all."""
    statement = (
        select(DeliveryRow, ResultRow, SeriesRow.series_instance_uid)
        .join(ResultRow, ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid)
        .join(SeriesRow, SeriesRow.series_key == DeliveryRow.series_key)
        .where(*_chosen(destinations, states))
        .order_by(DeliveryRow.delivery_id.desc())
        .limit(limit)
    )
    found = [(delivery_record(row, of), uid) for row, of, uid in session.execute(statement)]
    return tuple(reversed(found))


def destinations_known(session: Session) -> tuple[str, ...]:
    """Names of all destinations that anything was ever to go to, by name."""
    names = select(DeliveryRow.destination).distinct().order_by(DeliveryRow.destination)
    return tuple(session.scalars(names))


def retry_deliveries(
    session: Session,
    destinations: Collection[str],
    states: Collection[DeliveryState],
    now: datetime,
) -> int:
    """Send again at once what did not arrive, as if never tried; returns how many.

    Of what was abandoned only what an administrator dropped, or had no destination for a while.
    What is held since it was adopted or restored waits for its release.
    """
    may_go = (DeliveryRow.state != DeliveryState.ABANDONED) | DeliveryRow.error.in_(
        (DROPPED, REMOVED)
    )
    held = DeliveryRow.error.is_not_distinct_from(HELD_DELIVERY)
    fresh = NOT_TRIED | {"state": DeliveryState.WAITING, "not_before": now}
    chosen = (*_chosen(destinations, states), may_go, ~held)
    statement = update(DeliveryRow).where(*chosen).values(fresh)
    return len(session.scalars(statement.returning(DeliveryRow.delivery_id)).all())


def abandon_deliveries(
    session: Session,
    destinations: Collection[str],
    states: Collection[DeliveryState],
    reason: str,
    now: datetime,
) -> int:
    """Not wanted any more; returns how many."""
    values = {"state": DeliveryState.ABANDONED, "error": reason, "not_before": now}
    statement = update(DeliveryRow).where(*_chosen(destinations, states)).values(values)
    return len(session.scalars(statement.returning(DeliveryRow.delivery_id)).all())


def abandon_unknown(session: Session, known: Collection[str], now: datetime) -> dict[str, int]:
    """Give up what is still to go to destinations that are not among the `known`; counts by name.

    Nobody else sends at this moment. What arrived there stays so, though its promise to keep it
    can be asked for no more.
    """
    unknown = DeliveryRow.destination.not_in(known)
    going = DeliveryRow.state.in_(ON_THEIR_WAY)
    counted = (
        select(DeliveryRow.destination, func.count())
        .where(unknown, going)
        .group_by(DeliveryRow.destination)
    )
    counts = {name: count for name, count in session.execute(counted)}  # noqa: C416 - rows
    abandoned = FREE | {"state": DeliveryState.ABANDONED, "error": REMOVED, "not_before": now}
    session.execute(update(DeliveryRow).where(unknown, going).values(abandoned))
    awaited = (unknown, DeliveryRow.confirm_at.is_not(None))
    session.execute(update(DeliveryRow).where(*awaited).values(confirm_at=None))
    return counts


def _chosen(
    destinations: Collection[str], states: Collection[DeliveryState]
) -> tuple[ColumnElement[bool], ...]:
    return (
        *([DeliveryRow.destination.in_(destinations)] if destinations else ()),
        *([DeliveryRow.state.in_(states)] if states else ()),
    )
