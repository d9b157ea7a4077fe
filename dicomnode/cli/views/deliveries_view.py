"""What `dicomnode deliveries` shows and does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dicomnode.cli.views.queue_view import as_json, next_time
from dicomnode.config.settings import Settings
from dicomnode.errors import DataError
from storage import deliveries
from storage.database import Database
from storage.records import DeliveryRecord, DeliveryState

Found = tuple[DeliveryRecord, str]
"""A delivery, and the Series Instance UID of the CT series that its object is about."""


def look_up(
    database: Database,
    settings: Settings,
    destinations: Sequence[str] | None,
    states: Sequence[DeliveryState] | None,
    limit: int,
) -> tuple[Found, ...]:
    """Those of some destinations and states; None: of all.

    Raises:
        DataError: nothing was ever to go to one of these destinations.
    """
    names = _known(database, settings, destinations)
    with database.read() as session:
        return deliveries.list_deliveries(session, names, states or (), limit)


def retry(
    database: Database,
    settings: Settings,
    destinations: Sequence[str] | None,
    states: Sequence[str] | None,
    now: datetime,
) -> int:
    """Send again what has not arrived, to destinations that are configured.

    Raises:
        DataError: one of them is not.
    """
    configured = [each.name for each in settings.destinations]
    unknown = sorted(set(destinations or ()) - set(configured))
    if unknown or not configured:
        names = ", ".join(unknown) or "any"
        raise DataError("destination", f"{names} is not configured: nobody would send it")
    with database.write() as session:
        chosen = destinations or configured
        return deliveries.retry_deliveries(session, chosen, _chosen(states), now)


def drop(
    database: Database,
    settings: Settings,
    destinations: Sequence[str] | None,
    states: Sequence[str] | None,
    now: datetime,
) -> int:
    """Give up what has not arrived.

    Raises:
        DataError: nothing was ever to go to one of these destinations.
    """
    names = _known(database, settings, destinations)
    with database.write() as session:
        why = deliveries.DROPPED
        return deliveries.abandon_deliveries(session, names, _chosen(states), why, now)


def as_row(found: Found) -> dict[str, Any]:
    """One delivery for a program; `next_at`: when it is looked at again by itself."""
    delivery, series_instance_uid = found
    return {
        "state": delivery.state.value,
        "destination": delivery.destination,
        "sop_instance_uid": delivery.result.sop_instance_uid,
        "series_instance_uid": series_instance_uid,
        "kind": delivery.result.kind,
        "attempts": delivery.attempt,
        "status": delivery.status,
        "error": delivery.error,
        "next_at": as_json(next_time(delivery)),
    }


def _known(
    database: Database, settings: Settings, destinations: Sequence[str] | None
) -> Sequence[str]:
    """The destinations that were asked for, all of which there are, or were."""
    known = {each.name for each in settings.destinations}
    if set(destinations or ()) - known:  # for these alone, as it looks through all deliveries
        with database.read() as session:
            known |= set(deliveries.destinations_known(session))
    if unknown := sorted(set(destinations or ()) - known):
        there = ", ".join(sorted(known)) or "none"
        raise DataError("destination", f"{', '.join(unknown)} is none; known: {there}")
    return destinations or ()


def _chosen(states: Sequence[str] | None) -> list[DeliveryState]:
    return [DeliveryState(each) for each in states or deliveries.RETRIED]
