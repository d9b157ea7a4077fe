"""Trying a series again that failed: by a person who has mended what it failed by.

The node never does it by itself: a series fails when its attempts are used up, or when another
would end the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dicomnode.decisions.reasons import Verdict
from dicomnode.errors import DataError
from storage import reopening
from storage.database import Database
from storage.records import SeriesDetail, SeriesRecord, SeriesState

_NEXT = {
    SeriesState.RECEIVING: "it is not decided yet: `queue why` tells what it waits for",
    SeriesState.QUEUED: "it waits to be analysed, or is",
    SeriesState.ANALYSED: "it was analysed: `results renew` analyses it again",
    SeriesState.SKIPPED: "it was skipped, by the rules that `queue why` tells: where the "
    "configuration has changed since, `results renew` decides anew",
}


@dataclass(frozen=True)
class Retried:
    """A series that is tried again. `failed_by`: the rules that it failed by, as they were told."""

    series_key: str
    failed_by: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        return {"series_key": self.series_key, "failed_by": list(self.failed_by)}


def try_again(
    database: Database, details: Sequence[SeriesDetail], now: datetime
) -> tuple[Retried, ...]:
    """Have those of the series that failed decided on and analysed again by the running node.

    Each has all its attempts anew; what it had failed by stays in its history.

    Raises:
        DataError: none of them failed, or their files were removed; says of each what it is.
    """
    retried, refused = [], []
    for series in (detail.series for detail in details):
        with database.write() as session:
            done = reopening.retry_failed(session, series.series_key, now)
        if done:
            retried.append(Retried(series.series_key, _failed_by(series)))
        else:
            refused.append(f"{series.series_key}: {_why_not(series)}")
    if not retried:
        raise DataError("series", "; ".join(refused))
    return tuple(retried)


def _failed_by(series: SeriesRecord) -> tuple[str, ...]:
    failed = (each for each in series.reasons if each.verdict is Verdict.FAIL)
    return tuple(f"{each.rule}: {each.value}" for each in failed)


def _why_not(series: SeriesRecord) -> str:
    if series.removed_at is not None:
        return f"its files were removed {series.removed_at:%Y-%m-%d}: send it again"
    return _NEXT.get(series.state, "it is being tried again already")
