"""Asks the PACS for its counts beside the assessor: a PACS that is slow or dead slows nothing.

What waits is asked over one association, one series after the other. A PACS that does not answer
is left alone for a while, and longer each time; a series that nobody asked about closes by its
quiet period. The answers live in memory: after a restart they are asked for again.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime

from dicomnode.clock import Clock
from dicomnode.config.destinations import Peer
from dicomnode.config.sections import QuerySettings
from dicomnode.decisions.arrival.arrival_evidence import PacsCount
from dicomnode.errors import PeerError
from dicomnode.lifecycle import ends_process_on_fault
from dicomnode.network.associations import associated, requestor
from dicomnode.network.count_query import CONTEXTS, CountQuery
from dicomnode.network.find import record_query

log = logging.getLogger(__name__)

_LONGEST_INTERVAL_SECONDS = 60.0
_CLOSE_SECONDS = 1.0

_Named = tuple[str, str]
"""Study and Series Instance UID: two studies may have a series of the same UID."""


@dataclass
class _Inquiry:
    """One series: what was told last, when, and when it is due again (monotonic seconds)."""

    came: int
    interval: float
    waiting: bool = False
    answered: float = 0.0
    due: float = 0.0
    answer: PacsCount | None = None


class PacsCounts:
    """The counts of one peer. Safe to use from any thread."""

    def __init__(
        self,
        settings: QuerySettings,
        peer: Peer,
        ae_title: str,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock or Clock()
        self._peer = peer
        self._ae = requestor(ae_title, CONTEXTS, settings.timeout_seconds)
        self._inquiries: dict[_Named, _Inquiry] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._silent_until = 0.0
        self._silence = 0.0
        self._thread = threading.Thread(
            target=ends_process_on_fault(self._run), name="pacs-counts", daemon=True
        )
        self._thread.start()

    @property
    def pending(self) -> bool:
        """Whether an answer is on its way."""
        with self._changed:
            return any(each.waiting for each in self._inquiries.values())

    def count(
        self, study_instance_uid: str, series_instance_uid: str, came: int
    ) -> PacsCount | None:
        """What the PACS said last, and have it asked again when that is due.

        `came`: instances that are here. None as long as there was no answer. A series is asked
        about every few seconds at most, and ever more seldom while nothing new comes of it.
        """
        now = self._clock.seconds()
        with self._changed:
            found = self._inquiries.setdefault(
                (study_instance_uid, series_instance_uid),
                _Inquiry(came, self._settings.every_seconds),
            )
            if found.came != came:
                found.came, found.interval = came, self._settings.every_seconds
                found.due = min(found.due, found.answered + found.interval)
            if not found.waiting and now >= max(found.due, self._silent_until):
                found.waiting = True
                self._changed.notify_all()
            return found.answer

    def forget(self, study_instance_uid: str, series_instance_uid: str) -> None:
        """The series is closed."""
        with self._changed:
            self._inquiries.pop((study_instance_uid, series_instance_uid), None)

    def close(self) -> None:
        """Ask no more. A peer that is being asked is not waited for: the thread ends alone."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while (waiting := self._next()) is not None:
            try:
                self._ask(waiting)
            except PeerError as error:
                self._fell_silent(error)

    def _next(self) -> dict[_Named, _Inquiry] | None:
        """The series to ask about; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting())
            return None if self._closed else self._waiting()

    def _waiting(self) -> dict[_Named, _Inquiry]:
        return {named: each for named, each in self._inquiries.items() if each.waiting}

    def _ask(self, waiting: dict[_Named, _Inquiry]) -> None:
        with associated(self._ae, self._peer) as association:
            settings = self._settings
            query = CountQuery(association, settings.timeout_seconds, settings.most_matches)
            for (study, series), inquiry in waiting.items():
                asked_at = self._clock.now()
                record_query(self._peer, f"{study}\\{series}")
                try:
                    said = query.count(study, series)
                except PeerError as error:
                    if not association.is_established:
                        raise
                    self._answered(inquiry, self._no_answer(asked_at, error))
                    continue
                answer = PacsCount(
                    self._peer.name, asked_at, said.count, said.explanation, at_least=said.at_least
                )
                self._answered(inquiry, answer)
        if self._silence:
            log.info("%s answers C-FIND again", self._peer.name)
        self._silence = 0.0

    def _answered(self, inquiry: _Inquiry, answer: PacsCount) -> None:
        with self._changed:
            inquiry.answer, inquiry.waiting = answer, False
            inquiry.answered = self._clock.seconds()
            inquiry.due = inquiry.answered + inquiry.interval
            inquiry.interval = min(2 * inquiry.interval, _LONGEST_INTERVAL_SECONDS)

    def _fell_silent(self, error: PeerError) -> None:
        """Nobody waits for it; told once, until it answers again."""
        if not self._silence:
            log.warning("the PACS cannot be asked for its counts: %s", error)
        now = self._clock.now()
        with self._changed:
            self._silence = min(
                max(2 * self._silence, self._settings.every_seconds), _LONGEST_INTERVAL_SECONDS
            )
            self._silent_until = self._clock.seconds() + self._silence
            for inquiry in self._waiting().values():
                inquiry.waiting = False
                if inquiry.answer is None:
                    inquiry.answer = self._no_answer(now, error)

    def _no_answer(self, asked_at: datetime, error: PeerError) -> PacsCount:
        return PacsCount(self._peer.name, asked_at, None, f"{error.cause.word}: {error}")
