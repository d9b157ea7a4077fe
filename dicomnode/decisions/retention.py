"""May the files of a series go? Only what has ended, and only after the configured time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from dicomnode.decisions.policy import policy
from storage.records import EndedSeries, SeriesState

LEAST_DAYS = 0.01
"""About a quarter of an hour: who has just been told 0x0000 must find it still there."""
_Days = Annotated[float, Field(ge=LEAST_DAYS)]


@policy
class RetentionPolicy:
    """Days from the end of a series, or from when it was last sent, until its files go.

    None: they are kept. What PACS and archive hold need not be kept here; nobody but the
    administrator knows whether they do, so nothing is removed unless a time is set.
    """

    analysed_days: _Days | None = None
    skipped_days: _Days | None = None
    failed_days: _Days | None = None

    def _set(self) -> list[float]:
        days = (self.analysed_days, self.skipped_days, self.failed_days)
        return [each for each in days if each is not None]

    @property
    def shortest(self) -> timedelta | None:
        """No series goes earlier than this after its end; None: none goes at all."""
        return timedelta(days=min(self._set())) if self._set() else None

    def of(self, state: SeriesState) -> timedelta | None:
        """How long a series in this state is kept; None: for ever, as while it waits."""
        days = {
            SeriesState.ANALYSED: self.analysed_days,
            SeriesState.SKIPPED: self.skipped_days,
            SeriesState.FAILED: self.failed_days,
        }.get(state)
        return None if days is None else timedelta(days=days)


@dataclass(frozen=True)
class Retention:
    """Whether the files may go, and why or why not."""

    removable: bool
    why: str


def judge_retention(
    series: EndedSeries, policy: RetentionPolicy, now: datetime, touched_at: datetime | None = None
) -> Retention:
    """Whether the files of a series may go at `now`.

    `touched_at` is when one of them was last written or sent again: a sender that repeats a series
    may be at it still, and the time begins anew.
    """
    kept_for = policy.of(series.state)
    if kept_for is None:
        return Retention(False, f"series that are {series.state.value} are kept")
    if series.open_jobs or series.open_deliveries:
        waiting = f"{series.open_jobs} jobs and {series.open_deliveries} deliveries are open"
        return Retention(False, waiting)
    last = series.ended_at if touched_at is None else max(series.ended_at, touched_at)
    due = last + kept_for
    return Retention(now >= due, f"{series.state.value}; kept until {due:%Y-%m-%d %H:%M:%S} UTC")
