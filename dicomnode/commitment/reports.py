"""A peer reports on a storage commitment that we asked for (N-EVENT-REPORT, PS3.4 J.3.3).

It may come over the association that asked, or over one that the peer opens, to any process that
receives. It is answered with success when the database has it.
"""

from __future__ import annotations

import logging
from typing import cast

from pynetdicom import evt
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from sqlalchemy.orm import Session

from dicomnode.clock import Clock, clock_of
from dicomnode.commitment.data_sets import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    PUSH_MODEL,
    Report,
    check_size,
    read_report,
)
from dicomnode.config.destinations import Destination
from dicomnode.config.settings import Settings
from dicomnode.decisions.delivery.commitment_status import (
    Follow,
    failure_row,
    failure_text,
    report_patience,
)
from dicomnode.decisions.delivery.store_status import shown
from dicomnode.decisions.retry import decide_retry
from dicomnode.errors import DataError
from dicomnode.lifecycle import drawn_jitter
from dicomnode.metrics.counters import OBJECTS_COMMITTED, OBJECTS_NOT_COMMITTED
from dicomnode.metrics.stages import observe_committed
from dicomnode.network.associations import SUCCESS
from storage import commitment_requests as requests
from storage.commitment_requests import Awaited, CommitmentRequest
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.records import DeliveryState

log = logging.getLogger(__name__)

# PS3.7 section 10.1.1.1.8 and annex C
NO_SUCH_EVENT_TYPE = 0x0113
INVALID_ARGUMENT = 0x0115
NO_SUCH_CLASS = 0x0118
RESOURCE_LIMITATION = 0x0213


class Reports:
    """Takes reports, from whatever association they come."""

    def __init__(self, settings: Settings, database: Database, clock: Clock | None = None) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock or clock_of(database, waits=False)

    def take_over(self, settings: Settings) -> None:
        """Know these destinations from now on."""
        self._settings = settings

    def on_report(self, event: evt.Event) -> tuple[int, None]:
        """For EVT_N_EVENT_REPORT: the status of the response."""
        peer = str(event.assoc.remote["ae_title"]).strip()
        try:
            return self._answer(event, peer), None
        except DataError as error:
            log.warning("a storage commitment report of %s cannot be read: %s", peer, error)
            return INVALID_ARGUMENT, None
        except DatabaseUnavailableError as error:
            log.warning("a storage commitment report of %s is not taken: %s", peer, error)
            return RESOURCE_LIMITATION, None

    def _answer(self, event: evt.Event, peer: str) -> int:
        request = cast("N_EVENT_REPORT", event.request)
        if event.context.abstract_syntax != PUSH_MODEL or request.AffectedSOPClassUID != PUSH_MODEL:
            return NO_SUCH_CLASS
        if request.EventTypeID not in (ALL_COMMITTED, FAILURES_EXIST):
            return NO_SUCH_EVENT_TYPE
        check_size(request.EventInformation)
        return self.take(read_report(event.event_information), peer)

    def take(self, report: Report, peer: str) -> int:
        """Enter what a report says; the status of the response. `peer`: its AE title.

        Raises:
            DatabaseUnavailableError: nothing was entered.
        """
        with self._database.write() as session:
            request = requests.find_request(session, report.transaction_uid)
            asked = None if request is None else self._destination(request.destination, peer)
            if request is None or asked is None:
                why = "a transaction unknown here" if request is None else "another's transaction"
                log.warning("a storage commitment report of %s names %s", peer, why)
                return INVALID_ARGUMENT
            if request.is_trial:
                requests.end_trial(
                    session, request.transaction_uid, self._clock.now(), len(report.failed)
                )
            else:
                self._enter(session, request, asked, report)
        return SUCCESS

    def _destination(self, name: str, ae_title: str) -> Destination | None:
        """The destination of that name, if it bears the AE title."""
        known = (each for each in self._settings.dicom_destinations if each.name == name)
        return next((each for each in known if each.ae_title.strip() == ae_title), None)

    def _enter(
        self,
        session: Session,
        request: CommitmentRequest,
        destination: Destination,
        report: Report,
    ) -> None:
        now, name = self._clock.now(), destination.name
        awaited = {
            each.sop_instance_uid: each
            for each in requests.awaited_of_request(session, request.transaction_uid)
        }
        committed = requests.commit(session, request, report.committed, now)
        failed = awaited.keys() & report.failed.keys()
        for uid in sorted(failed):
            self._follow(session, awaited[uid], report.failed[uid], destination)
        requests.close_request(session, request.transaction_uid, now)
        OBJECTS_COMMITTED.labels(name).inc(len(committed & awaited.keys()))
        OBJECTS_NOT_COMMITTED.labels(name).inc(len(failed))
        observe_committed(session, name, committed, now)
        log.info("%s promises to keep %d objects", name, len(committed))
        strange = len(report.committed - committed) + len(report.failed.keys() - failed)
        if strange:
            again = "" if request.reported_at is None else ", which was reported on before"
            text = "%s reports on %d objects that are not awaited of its transaction%s"
            log.warning(text, name, strange, again)
        silent = awaited.keys() - committed - failed
        if silent:
            log.warning("%s says nothing of %d objects; asked again later", name, len(silent))

    def _follow(
        self, session: Session, one: Awaited, reason: int, destination: Destination
    ) -> None:
        text, now = failure_text(reason), self._clock.now()
        log.warning("%s to %s: %s", one.sop_instance_uid, one.destination, text)
        match failure_row(reason).follow:
            case Follow.PARK:
                state = DeliveryState.REFUSED
                requests.give_up(session, one, state, now, text, shown(reason))
            case Follow.ASK_AGAIN:
                later = report_patience(destination.commitment_timeout_seconds, one.asked)
                requests.ask_again(session, [one], now + later)
            case Follow.SEND_AGAIN:
                self.send_again(session, one, text, shown(reason))

    def send_again(self, session: Session, one: Awaited, text: str, status: str) -> None:
        """As after a C-STORE that failed: a while later, and not for ever."""
        now = self._clock.now()
        again = decide_retry(
            one.attempt,
            one.first_tried_at or one.stored_at,
            self._settings.delivery.retry,
            now,
            jitter=drawn_jitter(),
        )
        if again is None:
            log.error("%s given up: %s", one.sop_instance_uid, text)
            requests.give_up(session, one, DeliveryState.FAILED, now, text, status)
        else:
            requests.send_again(session, one, again.not_before, text, status)
