"""Is a sender silent? By its own hours where they are configured, else by its last four weeks."""

from __future__ import annotations

from datetime import datetime, timedelta

from dicomnode.decisions.operating.health_policy import ExpectedSource, Weekday
from storage.overview_records import Source

_HOUR = timedelta(hours=1)
_WEEK = timedelta(weeks=1)
_WEEKS = 4
_FEWEST_WEEKS = 2

LOOK_BACK = _WEEK * (_WEEKS + 1)
"""So far back the arrivals of a source are looked at."""


def missed_studies(source: Source, now: datetime) -> float:
    """How many studies would have come since its last one, as the same hours of the four weeks
    before went (two at least); 0.0 where less is known.

    Only the week after the last one counts: then each of its hours has been missed once.
    """
    if not source.hours:
        return 0.0
    first, counts = source.hours[0][0], dict(source.hours)
    weeks = min(_WEEKS, (source.last_at - first) // _WEEK)
    if weeks < _FEWEST_WEEKS:
        return 0.0
    missed, at, end = 0.0, source.last_at, min(now, source.last_at + _WEEK)
    while at < end:
        hour = at.replace(minute=0, second=0, microsecond=0)
        until = min(hour + _HOUR, end)
        usual = sum(counts.get(hour - _WEEK * back, 0) for back in range(1, weeks + 1)) / weeks
        missed += usual * ((until - at) / _HOUR)
        at = until
    return missed


def silent_hours(expected: ExpectedSource, last_at: datetime, now: datetime) -> float:
    """How many of its hours have gone since its last instance. `now` bears the local zone."""
    at = last_at.astimezone(now.tzinfo)
    begin = at.replace(hour=0, minute=0, second=0, microsecond=0)
    days = tuple(Weekday)
    total = timedelta()
    while begin < now:
        if days[begin.weekday()] in expected.days:
            opens = max(begin + _HOUR * expected.from_hour, at)
            closes = min(begin + _HOUR * expected.to_hour, now)
            total += max(closes - opens, timedelta())
        begin += timedelta(days=1)
    return total / _HOUR
