"""Looks again and again how many workers there are to be, and places them on a cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from dicomnode.clock import Clock
from dicomnode.decisions.placement import Bounds, Standing, workers_to_place
from storage.overview_records import Waiting

log = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS = 1.0
_LAST_BACKOFF_SECONDS = 60.0
_STEADY_SECONDS = 60.0
"""A worker that lived this long did its work: another is placed at once when it ends."""


@dataclass(frozen=True)
class Ended:
    """A worker that is no more. `status`: None where nobody can say how it ended, as its host is
    gone; `why`: what the cluster says of it."""

    name: str
    lived_seconds: float
    status: int | None
    why: str = ""


class Cluster(Protocol):
    """Where workers are placed. Those that wait for a place there count as standing."""

    @property
    def count(self) -> int: ...

    @property
    def lasting(self) -> int:
        """Of these so many that do not end by themselves."""

    def place(self, *, lasting: bool) -> None: ...

    def ended(self) -> Iterable[Ended]:
        """Since it was asked last."""


class Placer:
    """What it knows it knows of the cluster alone: begun anew it goes on with what it finds."""

    def __init__(
        self,
        cluster: Cluster,
        waiting: Callable[[], Waiting | None],
        bounds: Bounds,
        clock: Clock | None = None,
    ) -> None:
        """`waiting`: what waits now; None where that cannot be told."""
        self._cluster, self._waiting, self._bounds = cluster, waiting, bounds
        self._clock = clock or Clock()
        self._placed_at = float("-inf")
        self._backoff, self._not_before = _FIRST_BACKOFF_SECONDS, float("-inf")

    def look(self) -> None:
        """One look; what it cannot learn or place now, the next one may."""
        for each in self._cluster.ended():
            self._note(each)
        now = self._clock.seconds()
        if now < self._not_before:
            return
        standing = Standing(self._cluster.count, now - self._placed_at)
        waiting = self._waiting() or Waiting(0, 0.0)
        more = workers_to_place(standing, waiting, self._bounds)
        for _ in range(more):
            self._cluster.place(lasting=self._cluster.lasting < self._bounds.least)
        if more:
            self._placed_at = now
            told = "placing %d more, beside %d; %d series wait, one for %.0f s"
            log.info(told, more, standing.count, waiting.count, waiting.oldest_seconds)

    def _note(self, each: Ended) -> None:
        """One that ended as it was to is not missed; after any other the next waits, longer each
        time that one has not lived long."""
        if each.status == 0:
            log.info("%s has ended", each.name)
            return
        if each.lived_seconds >= _STEADY_SECONDS:
            self._backoff = _FIRST_BACKOFF_SECONDS
        self._not_before = self._clock.seconds() + self._backoff
        how = f"is lost: {each.why}" if each.status is None else f"ended with status {each.status}"
        log.error("%s %s; the next is placed in %.0f s", each.name, how, self._backoff)
        self._backoff = min(self._backoff * 2, _LAST_BACKOFF_SECONDS)
