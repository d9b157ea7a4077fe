"""Whether a destination can be reached, and how much it may be sent: for all threads that send."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from dicomnode.clock import Clock
from dicomnode.config.destinations import AnyDestination
from dicomnode.config.settings import Settings
from dicomnode.decisions.retry import RetryPolicy, next_probe
from dicomnode.lifecycle import drawn_jitter

_MINUTE_SECONDS = 60.0


class Reach:
    """One destination. While it is away one of the threads tries it now and then, the rest wait."""

    def __init__(
        self, policy: RetryPolicy, objects_per_minute: int, clock: Clock, shared: bool = False
    ) -> None:
        """`objects_per_minute`: 0 for no limit. `shared`: other nodes send there, too."""
        self._shared = shared
        self._policy = policy
        self._per_minute = objects_per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._sent: deque[float] = deque()
        self._failures = 0  # in a row; 0: it is not away
        self._refused = ""  # the object at which it last said that it takes none
        self._probe_at: float | None = None  # in seconds of the clock: nobody sets those
        self._probing = False
        self._broken = False

    @contextmanager
    def entered(self, wanted: int) -> Iterator[int]:
        """How many of the objects that are wanted may be sent, within; 0: none now."""
        granted, probing = self._enter(wanted)
        try:
            yield granted
        finally:
            if probing:
                self._probing = False

    def give_back(self, unused: int) -> None:
        """So many of the objects that were granted are not sent."""
        with self._lock:
            for _ in range(min(unused, len(self._sent))):
                self._sent.pop()

    def works(self) -> bool:
        """It answered; whether it had been away."""
        with self._lock:
            was_away = self._failures > 0
            self._failures, self._probe_at, self._refused = 0, None, ""
            self._probing = self._broken = False
            return was_away

    def breaks(self) -> bool:
        """An association ended amid an object; whether the one before did too, and none worked."""
        with self._lock:
            again, self._broken = self._broken, True
            return again

    def refused_another(self, sop_instance_uid: str) -> bool:
        """It takes none, it says at this object: whether it last said so at another, and none
        arrived since. Else this one may be at fault."""
        with self._lock:
            before, self._refused = self._refused, sop_instance_uid
            return before not in ("", sop_instance_uid)

    def is_away(self, asked_seconds: float = 0.0) -> tuple[datetime, bool]:
        """Until when what is to be sent there waits, and whether it is news.

        Until it is tried next, not before the time that it asks for. Where other nodes may reach
        it, only that time: it may be this node alone that does not, and they go on at once.
        """
        with self._lock:
            self._failures += 1
            now = self._clock.now()
            probe = next_probe(self._failures, self._policy, now, drawn_jitter())
            until = max(probe, now + timedelta(seconds=asked_seconds))
            self._probe_at = self._clock.seconds() + (until - now).total_seconds()
            waits = now + timedelta(seconds=asked_seconds) if self._shared else until
            return waits, self._failures == 1

    def _enter(self, wanted: int) -> tuple[int, bool]:
        """How many are granted, and whether they are to try a destination that is away."""
        with self._lock:
            away = self._probe_at is not None and self._clock.seconds() < self._probe_at
            if self._probing or away:
                return 0, False
            granted = self._take(wanted)
            self._probing = self._probe_at is not None and granted > 0
            return granted, self._probing

    def _take(self, wanted: int) -> int:
        if not self._per_minute:
            return wanted
        now = self._clock.seconds()
        while self._sent and self._sent[0] <= now - _MINUTE_SECONDS:
            self._sent.popleft()
        granted = min(wanted, self._per_minute - len(self._sent))
        self._sent.extend([now] * granted)
        return granted


def reach_of(settings: Settings, destination: AnyDestination, clock: Clock) -> Reach:
    """As configured; one for all threads of a process that send there."""
    per_minute, shared = destination.objects_per_minute, settings.node.shares_database
    return Reach(settings.delivery.retry, per_minute, clock, shared)
