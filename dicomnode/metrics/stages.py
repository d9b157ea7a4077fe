"""How long a series takes from its last slice to its results, stage by stage.

Each is observed once, where it ends and by whom ended it. What came again later, or is sent again
by hand, is not on its first way any more and is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from dicomnode.metrics.counters import STAGE_SECONDS
from storage.records import SeriesRecord
from storage.series_times import FirstWay, first_way, series_committed


def observe_analysed(series: SeriesRecord, began_at: datetime, ended_at: datetime) -> None:
    """`series`: as it was decided. From `began_at` on its analysis ran, its last attempt."""
    decided = series.decided_at
    if decided is None or decided < series.last_received_at:
        return
    _observe("completeness", series.last_received_at, decided)
    _observe("queue", decided, began_at)
    _observe("analysis", began_at, ended_at)


def observe_stored(
    session: Session, destination: str, last: Mapping[str, datetime], *, is_the_end: bool
) -> None:
    """`last`: by series, when whoever asks had its last object stored. `is_the_end`: no promise to
    keep it is awaited there."""
    for way in _ways(session, destination, last):
        if way.all_stored and way.stored_at == last[way.series_key]:
            _observe("delivery", way.analysed_at, way.stored_at)
            if is_the_end:
                _observe("total", way.last_received_at, way.stored_at)


def observe_committed(
    session: Session, destination: str, sop_instance_uids: Collection[str], at: datetime
) -> None:
    """A report that came `at` then told of these objects."""
    keys = series_committed(session, destination, sop_instance_uids, at)
    for way in _ways(session, destination, keys):
        if way.all_committed and way.committed_at == at and way.stored_at is not None:
            _observe("commitment", way.stored_at, at)
            _observe("total", way.last_received_at, at)


def _ways(session: Session, destination: str, series_keys: Iterable[str]) -> Iterable[FirstWay]:
    ways = (first_way(session, key, destination) for key in series_keys)
    return (each for each in ways if each is not None)


def _observe(stage: str, begin: datetime, end: datetime | None) -> None:
    if end is not None and end >= begin:
        STAGE_SECONDS.labels(stage).observe((end - begin).total_seconds())
