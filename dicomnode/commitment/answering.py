"""A peer asks whether we hold what it sent (N-ACTION SCP, PS3.4 J.3.2).

The request is in the database before it is answered. The report goes over the same association, if
that stays open for a moment; whoever waits for it there need not be known by an address. Else, and
where no answer comes, the deliverer reports over an association of its own (`reporting`).
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from io import BytesIO
from typing import cast

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import encode

from dicomnode.clock import Clock, clock_of
from dicomnode.commitment.data_sets import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    PUSH_MODEL,
    REQUEST_COMMITMENT,
    WELL_KNOWN_INSTANCE,
    check_size,
    event_information,
    read_request,
)
from dicomnode.commitment.holdings import PATIENCE_SECONDS, Held, Holdings, tell
from dicomnode.commitment.reports import INVALID_ARGUMENT, NO_SUCH_CLASS, RESOURCE_LIMITATION
from dicomnode.errors import DataError
from dicomnode.fast_scp.negotiation import StorageAssociation
from dicomnode.lifecycle import ends_process_on_fault
from dicomnode.network.associations import SUCCESS
from storage import commitment_answers as answers
from storage.commitment_answers import OwedReport
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.instances import InstanceFiles

log = logging.getLogger(__name__)

NO_SUCH_INSTANCE, NO_SUCH_ACTION = 0x0112, 0x0123  # PS3.7 section 10.1.4.1.10

_QUIET_SECONDS = 0.5
"""A peer that releases at once waits for its report elsewhere; one that goes on storing waits for
our answers, and may take nothing else."""

_TURN_SECONDS = 15.0
"""So long the report is this association's to send and to have answered."""

_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class _Open:
    """An association that may get its report itself. `message_id`: of the report, once sent.

    `served`: requests of the peer by `quiet_since`. Times are in seconds of the clock.
    """

    association: StorageAssociation
    context_id: int
    transfer_syntax: str
    owed: OwedReport
    since: float
    served: int
    quiet_since: float
    message_id: int | None = None


class Answers:
    """Takes requests for storage commitment, in a process that receives."""

    def __init__(
        self,
        database: Database,
        files: InstanceFiles,
        ready: Callable[[], bool],
        clock: Clock | None = None,
    ) -> None:
        """`ready`: whether the database is known to be this node's own."""
        self._database = database
        self._holdings = Holdings(database, files)
        self._ready = ready
        self._clock = clock or clock_of(database, waits=False)
        self._open: list[_Open] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def on_action(self, event: evt.Event) -> tuple[int, None]:
        """For EVT_N_ACTION: the status of the response."""
        peer = event.assoc.requestor.ae_title.strip()
        try:
            return self._take(event, peer), None
        except DataError as error:
            log.warning("a request for storage commitment of %s cannot be read: %s", peer, error)
            return INVALID_ARGUMENT, None
        except DatabaseUnavailableError as error:
            log.warning("a request for storage commitment of %s is not taken: %s", peer, error)
            return RESOURCE_LIMITATION, None

    def _take(self, event: evt.Event, peer: str) -> int:
        action = cast("N_ACTION", event.request)
        if event.context.abstract_syntax != PUSH_MODEL or action.RequestedSOPClassUID != PUSH_MODEL:
            return NO_SUCH_CLASS
        if action.RequestedSOPInstanceUID != WELL_KNOWN_INSTANCE:
            return NO_SUCH_INSTANCE
        if action.ActionTypeID != REQUEST_COMMITMENT:
            return NO_SUCH_ACTION
        if not self._ready():
            return RESOURCE_LIMITATION
        check_size(action.ActionInformation)
        request = read_request(event.action_information)
        now = self._clock.now()
        later = now + timedelta(seconds=_TURN_SECONDS)
        owed = OwedReport(peer, request.transaction_uid, request.objects, now, not_before=later)
        with self._database.write() as session:
            answers.enter(session, owed)
        text = "%s asks for storage commitment of %d objects"
        log.info(text, peer, len(owed.objects))
        self._enter(event, owed)
        return SUCCESS

    def _enter(self, event: evt.Event, owed: OwedReport) -> None:
        if isinstance(event.assoc, StorageAssociation):
            context = event.context
            entry = _Open(
                event.assoc,
                context.context_id,
                str(context.transfer_syntax),
                owed,
                since=self._clock.seconds(),
                served=event.assoc.served,
                quiet_since=self._clock.seconds(),
            )
            with self._lock:
                self._open.append(entry)

    def start(self, stop: threading.Event) -> None:
        """Report over open associations until `stop`, in a thread of its own."""
        work = ends_process_on_fault(self._run)
        threading.Thread(target=work, args=(stop,), name="commitment", daemon=True).start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> int:
        """Do what is due on each open association; how many are left."""
        with self._lock:
            entries, self._open = self._open, []
        going_on = [after for each in entries if (after := self._look_at(each)) is not None]
        with self._lock:
            self._open += going_on
            return len(self._open)

    def _look_at(self, entry: _Open) -> _Open | None:
        """None: it is done with, or left to the deliverer."""
        try:
            return self._step(entry)
        except (DatabaseUnavailableError, OSError) as error:
            log.warning("%s gets its report later: %s", entry.owed.ae_title, error)
        except Exception:  # it is one peer's alone, and the deliverer reports
            log.exception("a storage commitment report for %s", entry.owed.ae_title)
        return None

    def _step(self, entry: _Open) -> _Open | None:
        association, waited = entry.association, self._clock.seconds() - entry.since
        status = association.answered.get(entry.message_id) if entry.message_id else None
        if status == SUCCESS:
            self._reported(entry)
        elif status is not None or not association.is_established:
            self._hand_over(entry.owed)
        elif waited > _TURN_SECONDS:
            log.warning("%s does not answer its report where it asked", entry.owed.ae_title)
        elif entry.message_id is not None:
            return entry
        elif association.served != entry.served:
            return replace(entry, served=association.served, quiet_since=self._clock.seconds())
        elif self._clock.seconds() - entry.quiet_since < _QUIET_SECONDS:
            return entry
        else:
            held = self._holdings.judge(entry.owed.objects)
            if held.unknown and waited < PATIENCE_SECONDS:
                return entry
            return self._send(entry, self._holdings.search(entry.owed.objects))
        return None

    def _send(self, entry: _Open, held: Held) -> _Open:
        number = next(self._numbers) % 0xFFFF + 1
        report = N_EVENT_REPORT()
        report.MessageID = number
        report.AffectedSOPClassUID = PUSH_MODEL
        report.AffectedSOPInstanceUID = WELL_KNOWN_INSTANCE
        report.EventTypeID = FAILURES_EXIST if held.failed else ALL_COMMITTED
        report.EventInformation = BytesIO(_encoded(entry, held))
        entry.association.dimse.send_msg(report, entry.context_id)
        owed = replace(entry.owed, failed=len(held.failed))
        return replace(entry, owed=owed, message_id=number)

    def _reported(self, entry: _Open) -> None:
        owed = entry.owed
        with self._database.write() as session:
            answers.record_reported(session, owed, owed.failed or 0, self._clock.now())
        tell(owed, owed.failed or 0)

    def _hand_over(self, owed: OwedReport) -> None:
        with self._database.write() as session:
            answers.record_unreported(session, owed, self._clock.now(), None)


def _encoded(entry: _Open, held: Held) -> bytes:
    information = event_information(entry.owed.transaction_uid, held.committed, held.failed)
    implicit = entry.transfer_syntax == ImplicitVRLittleEndian
    encoded: bytes | None = encode(information, implicit, is_little_endian=True)
    if encoded is None:
        raise ValueError("the report cannot be encoded")
    return encoded
