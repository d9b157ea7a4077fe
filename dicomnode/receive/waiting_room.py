"""Limits how many associations are served at once; a peer beyond that waits, and is then told.

Used from `EVT_REQUESTED`, in the association's own thread: waiting costs nobody else anything.
"""

from __future__ import annotations

import logging
import threading

from pynetdicom import evt
from pynetdicom.association import Association

from dicomnode.metrics.counters import ASSOCIATIONS_REJECTED, LOCAL_LIMIT
from dicomnode.receive.access import Note, no_note

log = logging.getLogger(__name__)

LOCAL_LIMIT_EXCEEDED = (0x02, 0x03, 0x02)
"""A-ASSOCIATE-RJ: rejected-transient, presentation related, local-limit-exceeded (PS3.8 9.3.4)."""


_WHY = "no place came free: receive.maximum_associations, waiting_associations, waiting_seconds"


class WaitingRoom:
    """`served` associations at once, `waiting` more that wait up to `seconds` for a place."""

    def __init__(self, served: int, waiting: int, seconds: float, note: Note = no_note) -> None:
        """`note`: as of `AssociationGate`."""
        self._served, self._waiting, self._seconds = served, waiting, seconds
        self._note = note
        self._inside: set[Association] = set()
        self._queue = 0
        self._freed = threading.Condition()
        self.refused = 0

    def on_requested(self, event: evt.Event) -> None:
        """Wait for a place; reject the association when none comes free in time."""
        if event.assoc.is_rejected or event.assoc.is_aborted:
            return
        if not self._enter(event.assoc):
            self.refused += 1
            ASSOCIATIONS_REJECTED.labels(LOCAL_LIMIT).inc()
            code = "/".join(map(str, LOCAL_LIMIT_EXCEEDED))
            self._note(event.assoc, f"A-ASSOCIATE-RJ {code}", _WHY)
            if self.refused.bit_count() == 1:  # 1, 2, 4, 8 …
                log.warning(
                    "association from %s rejected: all %d places taken (%d rejected so far)",
                    event.assoc.requestor.address,
                    self._served,
                    self.refused,
                )
            event.assoc.acse.send_reject(*LOCAL_LIMIT_EXCEEDED)
            event.assoc.kill()

    def leave(self, association: Association) -> None:
        """The association has ended, however it did; again, it changes nothing."""
        with self._freed:
            self._inside.discard(association)
            self._freed.notify()

    def _enter(self, association: Association) -> bool:
        with self._freed:
            if self._has_place() and self._queue == 0:
                self._inside.add(association)
                return True
            if self._queue >= self._waiting:
                return False
            self._queue += 1
            try:
                entered = self._freed.wait_for(self._has_place, self._seconds)
            finally:
                self._queue -= 1
            if entered:
                self._inside.add(association)
            return entered

    def _has_place(self) -> bool:
        """Whoever died without a word (its thread is gone) holds no place."""
        if len(self._inside) >= self._served:
            self._inside = {each for each in self._inside if each.is_alive()}
        return len(self._inside) < self._served
