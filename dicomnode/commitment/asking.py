"""Asks a destination for its promise to keep what it stored (N-ACTION SCU, PS3.4 J.3.2).

A look gathers what is due, study by study, and asks over one association, which stays open for a
moment: some peers report over it. No report in time: asked again under a new Transaction UID. Who
gives no commitment, or never reports, is asked by C-FIND at the IMAGE level whether it has it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from pydicom.uid import generate_uid
from pynetdicom import build_context, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dicomnode.clock import Clock, clock_of
from dicomnode.commitment.data_sets import (
    PUSH_MODEL,
    REQUEST_COMMITMENT,
    action_information,
)
from dicomnode.commitment.reports import Reports
from dicomnode.config.destinations import Destination
from dicomnode.config.settings import Settings
from dicomnode.decisions.delivery.commitment_status import NO_SERVICE, report_patience
from dicomnode.decisions.delivery.store_status import shown
from dicomnode.decisions.retry import decide_retry
from dicomnode.errors import PeerCause, PeerError
from dicomnode.lifecycle import Outage, drawn_jitter, keep_looking
from dicomnode.network.associations import SUCCESS, associated, requestor, unanswered
from dicomnode.network.count_query import CONTEXTS as FIND_CONTEXTS
from dicomnode.network.count_query import CountQuery
from storage import commitment_requests as requests
from storage.commitment_requests import Awaited
from storage.database import Database

log = logging.getLogger(__name__)

CONTEXTS = [build_context(StorageCommitmentPushModel), *FIND_CONTEXTS]

_LOOK_SECONDS = 1.0
_FAULT_SECONDS = 30.0
HOLD_SECONDS = 5.0
"""How long the association stays open for a report on it."""

_MOST_MATCHES = 10_000
_FIRST_CHECK = timedelta(seconds=60)

FOUND = "found there by C-FIND; it gives no promise to keep it"
NOT_FOUND = "not found there by C-FIND"
NO_PROOF = "stored; neither a promise to keep it nor an answer to C-FIND was to be had"


@dataclass(frozen=True)
class Chances:
    """What a peer accepted on an association."""

    commitment: bool
    find: bool


class Asker:
    """Asks one destination."""

    def __init__(
        self,
        settings: Settings,
        destination: Destination,
        clock: Clock | None = None,
        hold_seconds: float = HOLD_SECONDS,
    ) -> None:
        self._settings = settings
        self._destination = destination
        self._hold_seconds = hold_seconds
        self._database = Database.open_later(settings.database_url)
        self._clock = clock or clock_of(self._database)
        self._reports = Reports(settings, self._database, self._clock)
        self._failures = 0
        self._told_none = False

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: look, ask, wait. A fault ends nothing: others are asked beside it."""
        work = f"storage commitment by {self._destination.name}"
        look = partial(self.look, stop)
        keep_looking(look, stop, Outage(work), work, _LOOK_SECONDS, _FAULT_SECONDS)

    def look(self, stop: threading.Event) -> int:
        """Ask for what is due; how many studies that were."""
        name, now = self._destination.name, self._clock.now()
        with self._database.read() as session:
            studies = requests.studies_to_ask_for(session, name, now)
        if not studies:
            return 0
        timeout = self._settings.delivery.timeout_seconds
        ae = requestor(self._settings.node.ae_title, CONTEXTS, timeout)
        handlers = {evt.EVT_N_EVENT_REPORT: self._reports.on_report}
        try:
            with associated(ae, self._destination, handlers) as association:
                self._ask(association, studies, stop)
            self._failures = 0
        except PeerError as error:
            self._not_asked(studies, error)
        return len(studies)

    def _ask(self, association: Association, studies: Sequence[str], stop: threading.Event) -> None:
        accepted = {str(each.abstract_syntax) for each in association.accepted_contexts}
        chances = Chances(PUSH_MODEL in accepted, len(accepted - {PUSH_MODEL}) > 0)
        if not chances.commitment:
            self._tell_none()
        sent = []
        for study in studies:
            objects = self._awaited(study)
            most = self._destination.commitment_attempts
            if not chances.commitment or any(each.asked >= most for each in objects):
                self._check(association, objects, chances)
            elif objects and (uid := self._request(association, objects, chances)):
                sent.append(uid)
        self._hold(association, sent, stop)

    def _tell_none(self) -> None:
        if not self._told_none:
            text = "%s accepts no storage commitment: C-FIND is asked instead"
            log.warning(text, self._destination.name)
        self._told_none = True

    def _awaited(self, study: str) -> tuple[Awaited, ...]:
        with self._database.read() as session:
            return requests.awaited_of_study(
                session, self._destination.name, study, self._clock.now()
            )

    def _request(
        self, association: Association, objects: Sequence[Awaited], chances: Chances
    ) -> str:
        """N-ACTION for these; the Transaction UID, empty where nothing is awaited by it."""
        uid, now = str(generate_uid(prefix=None)), self._clock.now()
        asked = 1 + max(each.asked for each in objects)
        until = now + report_patience(self._destination.commitment_timeout_seconds, asked)
        with self._database.write() as session:
            taken = requests.enter_request(session, objects, uid, now, until)
        if not taken:
            return ""
        name = self._destination.name
        status = self._send(association, uid, taken)
        if status == SUCCESS:
            text = "%s is asked to keep %d objects (request %d)"
            log.info(text, name, len(taken), asked)
            return uid
        text = "%s answered the request for storage commitment with %s"
        log.warning(text, name, shown(status))
        if status in NO_SERVICE:
            with self._database.write() as session:
                taken = requests.awaited_of_request(session, uid)
                requests.ask_again(session, taken, now)  # not after the time-out
            self._check(association, taken, chances)
        return ""

    def _send(self, association: Association, uid: str, objects: Sequence[Awaited]) -> int:
        information = action_information(
            uid, ((each.sop_class_uid, each.sop_instance_uid) for each in objects)
        )
        try:
            status, _ = association.send_n_action(
                information,
                REQUEST_COMMITMENT,
                StorageCommitmentPushModel,
                StorageCommitmentPushModelInstance,
            )
        except RuntimeError as error:  # not established any more
            raise unanswered(association, "N-ACTION") from error
        if "Status" not in status:
            text = "N-ACTION was answered without a status, or not at all"
            text += " (is this node's AE title known there?)"
            raise PeerError(f"{self._destination.name}: {text}", PeerCause.NO_ANSWER)
        return int(status.Status)

    def _hold(self, association: Association, sent: Sequence[str], stop: threading.Event) -> None:
        until = self._clock.seconds() + self._hold_seconds
        while sent and association.is_established and self._clock.seconds() < until:
            with self._database.read() as session:
                if not requests.unreported(session, sent):
                    return
            if stop.wait(0.1):
                return

    def _check(
        self, association: Association, objects: Sequence[Awaited], chances: Chances
    ) -> None:
        """Whether they are there; what is not is looked for once more, then sent again."""
        if not chances.find:
            self._leave(objects, NO_PROOF)
            return
        try:
            found = self._found(association, objects)
        except PeerError as error:
            if error.cause is not PeerCause.STATUS:
                raise
            self._leave(objects, f"{NO_PROOF} ({error})")
            return
        self._leave([each for each in objects if each.sop_instance_uid in found], FOUND)
        now = self._clock.now()
        patience = timedelta(seconds=self._destination.commitment_timeout_seconds)
        with self._database.write() as session:
            for each in objects:
                if each.sop_instance_uid in found:
                    continue
                if now < each.stored_at + patience:  # it may be on its way into the archive
                    requests.ask_again(session, [each], now + min(_FIRST_CHECK, patience))
                else:
                    self._reports.send_again(session, each, NOT_FOUND, "not found")

    def _found(self, association: Association, objects: Sequence[Awaited]) -> set[str]:
        """Those of them that the peer has.

        Raises:
            PeerError: it does not say.
        """
        timeout = self._settings.delivery.timeout_seconds
        query = CountQuery(association, timeout, _MOST_MATCHES)
        series = {(each.study_instance_uid, each.series_instance_uid) for each in objects}
        return {uid for each in sorted(series) for uid in query.instances(*each)}

    def _leave(self, objects: Sequence[Awaited], words: str) -> None:
        if objects:
            log.info("%d objects at %s: %s", len(objects), self._destination.name, words)
            with self._database.write() as session:
                requests.leave_stored(session, objects, words)

    def _not_asked(self, studies: Sequence[str], error: PeerError) -> None:
        """Later; where a peer cannot be asked for days, or never can, it stays as it is stored."""
        log.warning("storage commitment by %s: %s", self._destination.name, error)
        self._failures += 1
        never = error.cause is PeerCause.NOT_ACCEPTED
        if never:
            self._tell_none()
        now, jitter = self._clock.now(), drawn_jitter()
        for study in studies:
            objects = self._awaited(study)
            if not objects:
                continue
            since = min(each.stored_at for each in objects)
            policy = self._settings.delivery.retry
            again = decide_retry(self._failures, since, policy, now, jitter)
            if never or again is None:
                self._leave(objects, f"{NO_PROOF} ({error})")
            else:
                with self._database.write() as session:
                    requests.ask_again(session, objects, again.not_before)
