"""How far the results of a series have got, and what to do about those that do not get on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dicomnode.decisions.delivery.series_delivery import DeliveryCounts, delivery_word
from storage.records import (
    RETRACTION_KIND,
    DeliveryRecord,
    DeliveryState,
    SeriesRecord,
    SeriesState,
)


def series_word(
    record: SeriesRecord, deliveries: Sequence[DeliveryRecord], *, running: bool = False
) -> str:
    """The state of a series in words, with what a worker is at, and how far its results are."""
    if record.state is SeriesState.QUEUED:
        return "analysing" if running else "queued"
    delivered = record.state is SeriesState.ANALYSED and delivery_word(_counts(deliveries))
    return delivered or record.state.value


def undelivered(deliveries: Iterable[DeliveryRecord]) -> list[str]:
    """What has not arrived of the results that stand: each cause once, with what to do."""
    standing = _standing(list(deliveries))
    going = sum(each.open for each in standing)
    lines = [f"{going} objects still to be delivered"] if going else []
    for state in (DeliveryState.REFUSED, DeliveryState.FAILED):
        ended = [each for each in standing if each.state is state]
        for place, error in dict.fromkeys((each.destination, each.error) for each in ended):
            count = sum((each.destination, each.error) == (place, error) for each in ended)
            again = f"dicomnode deliveries retry --destination {place}"
            lines.append(f"{count} objects {state.value} at {place} ({error}); mended? {again}")
    return lines


def _counts(deliveries: Sequence[DeliveryRecord]) -> DeliveryCounts:
    standing = _standing(deliveries)
    return DeliveryCounts(
        arrived=sum(each.arrived for each in standing),
        open=sum(each.open for each in standing),
        refused=sum(each.state is DeliveryState.REFUSED for each in standing),
        failed=sum(each.state is DeliveryState.FAILED for each in standing),
    )


def _standing(deliveries: Sequence[DeliveryRecord]) -> list[DeliveryRecord]:
    """Those of the newest set, and of what withdraws others: a later set replaced the rest."""
    made = [e.result.created_at for e in deliveries if e.result.kind != RETRACTION_KIND]
    newest = max(made, default=None)
    return [
        each
        for each in deliveries
        if each.result.created_at == newest or each.result.kind == RETRACTION_KIND
    ]
