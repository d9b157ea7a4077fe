"""The series of a day by hour, as an SVG picture of bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from dicomnode.web.parts import Bar, Chart
from storage.recent import EndedSeries
from storage.records import SeriesState

KINDS = (SeriesState.ANALYSED, SeriesState.SKIPPED, SeriesState.FAILED)
"""From below."""

_HOURS = 24
_WIDTH, _HEIGHT = 720, 120
_STEP = _WIDTH / _HOURS
_GAP = 6.0
_TICK_EVERY = 6


def chart(ended: Sequence[EndedSeries], now: datetime) -> Chart:
    """The last 24 hours, the present one last."""
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=_HOURS - 1)
    counts = Counter(
        (int((each.ended_at - first) / timedelta(hours=1)), each.state)
        for each in ended
        if each.ended_at >= first
    )
    columns = [[counts[hour, kind] for kind in KINDS] for hour in range(_HOURS)]
    most = max(1, *map(sum, columns))
    bars = [bar for hour, column in enumerate(columns) for bar in _column(hour, column, most)]
    middles = range(_TICK_EVERY // 2, _HOURS, _TICK_EVERY)
    ticks = tuple(f"{first + timedelta(hours=each):%H:%M}" for each in middles)
    totals = {kind: sum(column[n] for column in columns) for n, kind in enumerate(KINDS)}
    told = ", ".join(f"{count} {kind.value}" for kind, count in totals.items())
    words = f"Series of the last 24 hours: {told}; at most {most} in an hour."
    return Chart(_WIDTH, _HEIGHT, tuple(bars), ticks, most, words)


def _column(hour: int, column: list[int], most: int) -> list[Bar]:
    bars, base = [], 0
    for kind, count in zip(KINDS, column, strict=True):
        if count:
            height = round(count / most * _HEIGHT, 1)
            base += count
            y = round(_HEIGHT - base / most * _HEIGHT, 1)
            bars.append(Bar(hour * _STEP + _GAP / 2, y, _STEP - _GAP, height, kind.value))
    return bars
