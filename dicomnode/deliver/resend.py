"""Sending a set of results again, by the routes of today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dicomnode.config.settings import Settings
from dicomnode.decisions.delivery.routes import ObjectKind, Taker
from dicomnode.deliver.routing import Routing, routing
from dicomnode.errors import DataError
from storage import result_sets
from storage.database import Database
from storage.outbox import DestinationsOf
from storage.records import NOTE_KIND, ResultRecord, ResultSet


@dataclass(frozen=True)
class Resent:
    """How many deliveries of a CT series wait to be sent again.

    `without_report`: destinations that get nothing, as the set has no report in their variant.
    """

    series_key: str
    count: int
    without_report: tuple[str, ...] = ()


def resend(database: Database, settings: Settings, chosen: ResultSet, now: datetime) -> Resent:
    """Put the deliveries of one set back to waiting.

    Raises:
        DataError: there is nowhere to send it.
    """
    goes = routing(settings, [chosen.series.calling_ae_title], chosen.series.only_to)
    without = tuple(each.name for each in goes.takers if _lacks_report(each, chosen.results))
    having = tuple(each for each in goes.takers if each.name not in without)
    to = _to(settings, chosen, replace(goes, takers=having))
    if not any(to(each) for each in chosen.results):
        text = "none is configured that this could be sent to"
        raise DataError("destinations", "; ".join([text, *map(no_report, without)]))
    with database.write() as session:
        count = result_sets.resend(session, chosen, to, now)
    return Resent(chosen.series.series_key, count, () if chosen.is_retraction else without)


def no_report(destination: str) -> str:
    """Why a destination gets nothing, for who wished to send it something."""
    return (
        f"{destination}: no report was made in its sr_class and segmentation:"
        " `results renew` makes one"
    )


def _lacks_report(taker: Taker, results: Sequence[ResultRecord]) -> bool:
    reports = [each for each in results if each.kind == "sr"]
    wanted = bool(reports) and ObjectKind.REPORT in taker.kinds
    return wanted and not any(
        taker.takes(ObjectKind.REPORT, each.choices.split()) for each in reports
    )


def _to(settings: Settings, chosen: ResultSet, goes: Routing) -> DestinationsOf:
    """A retraction goes only where it has been on its way: others never had what it withdraws. A
    note goes there too: it may tell of series of other senders."""
    names = {each.name for each in settings.destinations}
    had = {(each.result.sop_instance_uid, each.destination) for each in chosen.deliveries}

    def there_already(result: ResultRecord) -> list[str]:
        return sorted(name for name in names if (result.sop_instance_uid, name) in had)

    if chosen.is_retraction:
        return there_already
    if all(each.kind == NOTE_KIND for each in chosen.results):
        return lambda note: {*there_already(note), *goes.destinations_of(note)}
    return goes.destinations_of
