"""Sees that the database has gone back in time, and tells it anew which associations are open.

A standby that is promoted lacks what was committed last on its primary. The files are the truth:
whoever owns this looks through them again (`dicomnode.receive.reconciliation`). Of associations
there is no file, so it is remembered here which are open.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from dicomnode.clock import Clock
from dicomnode.receive.events import AssociationEnded, Event
from storage import index
from storage.database import Database
from storage.records import Association
from storage.timeline import timeline

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0


class GoingBack:
    """Of one receiver, whose id is `receiver_id`; for one thread."""

    def __init__(self, database: Database, receiver_id: str, clock: Clock) -> None:
        self._database, self._receiver_id, self._clock = database, receiver_id, clock
        self._open: dict[str, Association] = {}
        self._timeline = ""
        self._looked = float("-inf")

    def note(self, written: Iterable[Event]) -> None:
        """What the database was told."""
        for event in written:
            if isinstance(event, Association):
                self._open[event.association_id] = event
            elif isinstance(event, AssociationEnded):
                self._open.pop(event.association_id, None)

    def has_happened(self) -> bool:
        """Whether rows may be missing that were there at the last look: every few seconds it is
        asked. Then it knows of the open associations again.

        Raises:
            DatabaseUnavailableError
        """
        now = self._clock.seconds()
        if now - self._looked < LOOK_SECONDS:
            return False
        found = timeline(self._database)
        gone_back = bool(self._timeline and found) and found != self._timeline
        if gone_back:
            log.warning("the database goes on from another server: it is told again what is here")
            self._tell_associations()
        self._timeline, self._looked = found or self._timeline, now
        return gone_back

    def _tell_associations(self) -> None:
        with self._database.write() as session:
            for each in self._open.values():
                index.open_association(session, each)
            index.end_lost_associations(
                session, self._receiver_id, self._clock.now(), but=self._open.keys()
            )
