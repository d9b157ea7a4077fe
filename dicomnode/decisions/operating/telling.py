"""When a trouble is told, and when that it is over: once each, to each way of telling.

What comes and goes within moments is not told; what comes and goes for a while is one trouble.
Spans are taken without their sign: a clock that is set back must keep nothing from being told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dicomnode.decisions.operating.troubles import Trouble
from storage.overview_records import TroubleRecord

_KEPT = timedelta(days=1)
"""So long after its end it is tried to tell that a trouble is over."""


_EVENTS = ("process_lost",)
"""Kinds that happen, and do not last: what happens once more is told once more, but so often: """

_ONCE_IN = timedelta(hours=1)


@dataclass(frozen=True)
class Damping:
    """Seconds that a trouble must stand, or be away, before it is told."""

    stand_seconds: float
    over_seconds: float


Records = tuple[TroubleRecord, ...]


def follow(
    records: Records, troubles: Iterable[Trouble], damping: Damping, now: datetime
) -> Records:
    """The records after a look that saw `troubles`: what lasts, is new, and is over."""
    seen = {each.name: each for each in troubles}
    followed: list[TroubleRecord] = []
    for record in records:
        if record.over_at is not None and not (record.name in seen and _is_open_to_some(record)):
            followed.append(record)
        elif (trouble := seen.pop(record.name, None)) is not None:
            followed.append(_again(record, trouble, now))
        elif _seconds(now, record.last_seen_at) >= damping.over_seconds:
            followed.append(replace(record, over_at=record.last_seen_at))
        else:
            followed.append(record)
    return (*followed, *(_new(each, now) for each in seen.values()))


def _new(trouble: Trouble, now: datetime) -> TroubleRecord:
    since = min(trouble.since or now, now)
    texts = (trouble.name, trouble.severity.value, trouble.text, trouble.remedy)
    return TroubleRecord(*texts, since, now, now)


def _is_open_to_some(record: TroubleRecord) -> bool:
    """Whether there is who knows that it began, and could not be told that it was over."""
    return bool(record.told - record.told_over)


def _again(record: TroubleRecord, trouble: Trouble, now: datetime) -> TroubleRecord:
    """Seen again; to whom it was over, it begins anew, and to all what has happened anew."""
    since = trouble.since or record.since
    anew = trouble.kind in _EVENTS and since - record.since >= _ONCE_IN
    return replace(
        record,
        over_at=None,
        since=since if anew else record.since,
        told=frozenset() if anew else record.told - record.told_over,
        told_over=frozenset(),
        severity=trouble.severity.value,
        text=trouble.text,
        remedy=trouble.remedy,
        last_seen_at=now,
    )


def _seconds(one: datetime, other: datetime) -> float:
    return abs((one - other).total_seconds())


def to_begin(
    records: Records, way: str, severities: Collection[str], damping: Damping, now: datetime
) -> Records:
    """Those whose beginning is to be told by this way at `now`."""
    return tuple(
        each
        for each in records
        if each.over_at is None
        and each.last_seen_at == now
        and way not in each.told
        and each.severity in severities
        and _seconds(now, each.first_seen_at) >= damping.stand_seconds
    )


def to_end(records: Records, way: str) -> Records:
    """Those that this way has told, and has to tell that they are over."""
    return tuple(
        each
        for each in records
        if each.over_at is not None and way in each.told and way not in each.told_over
    )


def told(records: Records, way: str, these: Records) -> Records:
    """The records after `these` were told by this way: that they began, or that they are over."""
    names = {(each.name, each.first_seen_at) for each in these}
    return tuple(
        _told(each, way) if (each.name, each.first_seen_at) in names else each for each in records
    )


def _told(record: TroubleRecord, way: str) -> TroubleRecord:
    if record.over_at is None:
        return replace(record, told=record.told | {way})
    return replace(record, told_over=record.told_over | {way})


def unfinished(records: Records, ways: Collection[str], now: datetime) -> Records:
    """Without those that are over, and have been told to be, or are too old for it."""
    return tuple(
        each
        for each in records
        if each.over_at is None
        or (to_be_told(each, ways) and _seconds(now, each.over_at) < _KEPT.total_seconds())
    )


def to_be_told(record: TroubleRecord, ways: Collection[str]) -> bool:
    """Whether anybody who knows that it began has not been told that it is over."""
    return bool((record.told & set(ways)) - record.told_over)


def joined(kept: Records, seen: Records) -> Records:
    """What was kept by an earlier process, and what this one has seen meanwhile."""
    lasting = {each.name: each for each in kept if each.over_at is None}
    both = []
    for each in seen:
        former = lasting.pop(each.name, None) if each.over_at is None else None
        both.append(each if former is None else _joined(former, each))
    ended = [each for each in kept if each.over_at is not None]
    return (*ended, *lasting.values(), *both)


def _joined(former: TroubleRecord, seen: TroubleRecord) -> TroubleRecord:
    return replace(
        seen,
        since=min(former.since, seen.since),
        first_seen_at=former.first_seen_at,
        told=former.told | seen.told,
    )
