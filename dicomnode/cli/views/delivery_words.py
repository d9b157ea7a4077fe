"""How far the results of a series have got, and what to do about those that do not get on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dicomnode.decisions.delivery.series_delivery import DeliveryCounts, delivery_word
from storage.decided import retractions
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
    if record.state is not SeriesState.ANALYSED:
        return record.state.value
    word = delivery_word(_counts(_standing(record, deliveries)))
    if word in {"", "delivered"} and withdrawn(record, deliveries):
        return "withdrawn"
    return word or record.state.value


def undelivered(record: SeriesRecord, deliveries: Sequence[DeliveryRecord]) -> list[str]:
    """What has not arrived of the results that stand: each cause once, with what to do."""
    standing = _standing(record, deliveries)
    going = Counter((each.destination, _still(each)) for each in standing if each.open)
    lines = [f"{n} objects still to be delivered to {at}{why}" for (at, why), n in going.items()]
    for state in (DeliveryState.REFUSED, DeliveryState.FAILED, DeliveryState.ABANDONED):
        ended = Counter((e.destination, e.error) for e in standing if e.state is state)
        for (place, error), count in ended.items():
            again = f"mended? dicomnode deliveries retry --destination {place}"
            if state is DeliveryState.ABANDONED:
                again = f"wanted? dicomnode results resend {record.series_key}"
            lines.append(f"{count} objects {state.value} at {place} ({error}); {again}")
    return lines


def withdrawn(record: SeriesRecord, deliveries: Sequence[DeliveryRecord]) -> bool:
    """Whether the newest set of results was withdrawn, and not reinstated."""
    made = {each.result.sop_instance_uid for each in _newest(deliveries)}
    return bool(made) and made <= retractions(record.history).keys()


def _still(delivery: DeliveryRecord) -> str:
    stored = delivery.state is DeliveryState.STORED
    why = delivery.error or ("stored, no promise to keep it yet" if stored else "")
    return why and f" ({why})"


def _counts(standing: Sequence[DeliveryRecord]) -> DeliveryCounts:
    return DeliveryCounts(
        arrived=sum(each.arrived for each in standing),
        open=sum(each.open for each in standing),
        refused=sum(each.state is DeliveryState.REFUSED for each in standing),
        failed=sum(each.state is DeliveryState.FAILED for each in standing),
    )


def _standing(record: SeriesRecord, deliveries: Sequence[DeliveryRecord]) -> list[DeliveryRecord]:
    """Those of the newest set, if it was not withdrawn, and of what withdraws others."""
    gone = retractions(record.history)
    newest = [each for each in _newest(deliveries) if each.result.sop_instance_uid not in gone]
    return newest + [each for each in deliveries if each.result.kind == RETRACTION_KIND]


def _newest(deliveries: Sequence[DeliveryRecord]) -> list[DeliveryRecord]:
    made = [each for each in deliveries if each.result.kind != RETRACTION_KIND]
    newest = max((each.result.created_at for each in made), default=None)
    return [each for each in made if each.result.created_at == newest]
