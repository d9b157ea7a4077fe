"""How far the results of a series have got, and what to do about those that do not get on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from dicomnode.cli.views.step import Step
from dicomnode.decisions.delivery.class_advice import OR_THERE
from dicomnode.decisions.delivery.series_delivery import DeliveryCounts, delivery_word
from dicomnode.decisions.wording import how_many
from storage.decided import retractions
from storage.records import (
    RETRACTION_KIND,
    DeliveryRecord,
    DeliveryState,
    JobKind,
    JobState,
    SeriesDetail,
    SeriesRecord,
    SeriesState,
)


def series_word(
    record: SeriesRecord, deliveries: Sequence[DeliveryRecord], *, running: bool = False
) -> str:
    """The state of a series in words, with what a worker is at, and how far its results are."""
    if record.on_hold_since is not None:
        return "on hold"
    if record.state is SeriesState.QUEUED:
        return "analysing" if running else "queued"
    if record.state is not SeriesState.ANALYSED:
        return record.state.value
    word = delivery_word(_counts(_standing(record, deliveries)))
    if word in {"", "delivered"} and withdrawn(record, deliveries):
        return "withdrawn"
    return word or record.state.value


def is_analysed_now(detail: SeriesDetail) -> bool:
    """Whether a worker is at it."""
    running = (job for job in detail.jobs if job.state is JobState.RUNNING)
    return any(job.kind is JobKind.ANALYSE for job in running)


def undelivered(
    record: SeriesRecord, deliveries: Sequence[DeliveryRecord], now: datetime
) -> list[Step]:
    """What has not arrived of the results that stand: each cause once, with what to do."""
    standing = _standing(record, deliveries)
    alike: dict[tuple[str, ...], list[DeliveryRecord]] = {}
    for each in standing:
        if each.open or each.state in _PARKED:
            alike.setdefault((each.state, each.destination, each.error or ""), []).append(each)
    steps = [_step(record, each, now) for each in alike.values()]
    return sorted(steps, key=lambda step: bool(step.remedy))


def _step(record: SeriesRecord, alike: Sequence[DeliveryRecord], now: datetime) -> Step:
    """Of deliveries to one destination in one state, for one cause."""
    first, count = alike[0], how_many(len(alike), "object")
    place, why = first.destination, first.error or ""
    kinds = _kinds(alike)
    if first.state in _PARKED:
        what, remedy = _PARKED[first.state]
        remedy = _KEY_SET if OR_THERE in why else remedy
        return Step(
            place, what.format(kinds), why=why, remedy=remedy.format(place, record.series_key)
        )
    if first.state is DeliveryState.SENDING:
        return Step(place, f"{count} being sent", why=why)
    if first.state is DeliveryState.STORED:
        what = f"{count} stored, storage commitment asked for at"
        return Step(place, what, min(each.confirm_at or each.not_before for each in alike), why)
    due = min(each.not_before for each in alike)
    if due <= now:
        return Step(place, f"{count} to be sent", why=why)
    return Step(place, f"{count} to be sent, next try at", due, why)


_PARKED = {
    DeliveryState.REFUSED: (
        "refused {}, parked",
        "mended? dicomnode deliveries retry --destination {}",
    ),
    DeliveryState.FAILED: (
        "{} given up, parked",
        "mended? dicomnode deliveries retry --destination {}",
    ),
    DeliveryState.ABANDONED: ("{} abandoned", "wanted? dicomnode results resend {1}"),
}
"""States in which nothing goes on by itself: what was done with these kinds of objects, and what
helps."""

_KEY_SET = (
    "key set? dicomnode config reload; dicomnode results renew {1}; "
    "accepted there? dicomnode deliveries retry --destination {0}"
)
"""Instead, where what was refused is of a class that a key of ours chose."""


def _kinds(deliveries: Sequence[DeliveryRecord]) -> str:
    return counted(_KIND_WORDS.get(each.result.kind, each.result.kind) for each in deliveries)


def counted(kinds: Iterable[str]) -> str:
    """Kinds of objects, each once, with how many there are of it."""
    counts = Counter(kinds)
    return ", ".join(kind if n == 1 else f"{n} {kind}" for kind, n in counts.items())


_KIND_WORDS = {"sr": "SR"}


def withdrawn(record: SeriesRecord, deliveries: Sequence[DeliveryRecord]) -> bool:
    """Whether the newest set of results was withdrawn, and not reinstated."""
    made = {each.result.sop_instance_uid for each in _newest(deliveries)}
    return bool(made) and made <= retractions(record.history).keys()


def _counts(standing: Sequence[DeliveryRecord]) -> DeliveryCounts:
    return DeliveryCounts(
        arrived=sum(each.arrived for each in standing),
        open=sum(each.open for each in standing),
        refused=sum(each.state is DeliveryState.REFUSED for each in standing),
        failed=sum(each.state is DeliveryState.FAILED for each in standing),
    )


def whereabouts(record: SeriesRecord, deliveries: Sequence[DeliveryRecord]) -> str:
    """Where what stands has arrived: "14 objects committed at pacs"."""
    arrived = [each for each in _standing(record, deliveries) if each.arrived]
    places = Counter((each.destination, each.state.value) for each in arrived)
    told = [f"{how_many(n, 'object')} {state} at {at}" for (at, state), n in places.items()]
    return ", ".join(told)


def _standing(record: SeriesRecord, deliveries: Sequence[DeliveryRecord]) -> list[DeliveryRecord]:
    """Those of the newest set, if it was not withdrawn, and of what withdraws others."""
    gone = retractions(record.history)
    newest = [each for each in _newest(deliveries) if each.result.sop_instance_uid not in gone]
    return newest + [each for each in deliveries if each.result.kind == RETRACTION_KIND]


def _newest(deliveries: Sequence[DeliveryRecord]) -> list[DeliveryRecord]:
    made = [each for each in deliveries if each.result.kind != RETRACTION_KIND]
    newest = max((each.result.created_at for each in made), default=None)
    return [each for each in made if each.result.created_at == newest]
