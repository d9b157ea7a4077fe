"""Reports to peers that asked for our commitment, over associations of our own.

N-EVENT-REPORT as SCP, for which the role is negotiated (PS3.4 section J.3.3, PS3.7 D.3.3.4). The
address is that of a configured peer with the AE title that asked.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta

from pynetdicom import build_context, build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dicomnode.clock import Clock, clock_of
from dicomnode.commitment.data_sets import ALL_COMMITTED, FAILURES_EXIST, event_information
from dicomnode.commitment.holdings import PATIENCE_SECONDS, Held, Holdings, tell
from dicomnode.config.destinations import Peer
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import id_of_node
from dicomnode.decisions.delivery.store_status import shown
from dicomnode.decisions.retry import decide_retry
from dicomnode.errors import PeerError
from dicomnode.lifecycle import Outage, drawn_jitter, keep_looking
from dicomnode.network.associations import (
    SUCCESS,
    associated,
    not_accepted,
    requestor,
    unanswered,
)
from storage import commitment_answers as answers
from storage.commitment_answers import OwedReport
from storage.database import Database
from storage.instances import InstanceFiles

log = logging.getLogger(__name__)

CONTEXTS = [build_context(StorageCommitmentPushModel)]

_LOOK_SECONDS = 1.0
_FAULT_SECONDS = 30.0
_MOST_REFUSALS = 3
"""So often a report is sent to a peer that answers with a failure."""


class Reporter:
    """Sends what is owed, one report after the other."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._database = Database.open_later(settings.database_url)
        self._clock = clock or clock_of(self._database)
        node_id = id_of_node(settings.node.data_directory)
        self._holdings = Holdings(self._database, InstanceFiles(settings.instances, node_id))

    def run(self, stop: threading.Event) -> None:
        """Until `stop`. What cannot be read now is tried again."""
        work = "reporting on storage commitment"
        outage = Outage(work, OSError)
        keep_looking(self.look, stop, outage, work, _LOOK_SECONDS, _FAULT_SECONDS)

    def look(self) -> bool:
        """Send the report that is due longest; whether there was one.

        Raises:
            DatabaseUnavailableError
            OSError: it cannot be told what we hold.
        """
        now = self._clock.now()
        turn = timedelta(seconds=60 + 3 * self._settings.delivery.timeout_seconds)
        with self._database.write() as session:
            owed = answers.take_due(session, now, now + turn)
        if owed is None:
            return False
        young = now < owed.requested_at + timedelta(seconds=PATIENCE_SECONDS)
        if young and self._holdings.judge(owed.objects).unknown:
            self._record(owed, now + timedelta(seconds=1), None)
        else:
            self._report(owed)
        return True

    def _report(self, owed: OwedReport) -> None:
        peer = peer_of(self._settings, owed.ae_title)
        if peer is None:
            text = f"no destination or peer is configured with the AE title {owed.ae_title}"
            self._try_later(owed, text)
            return
        held = self._holdings.search(owed.objects)
        try:
            status = self._send(peer, owed, held)
        except PeerError as error:
            until = self._try_later(owed, str(error))
            with self._database.write() as session:
                answers.put_off(session, owed.ae_title, until or self._clock.now())
            return
        if status == SUCCESS:
            with self._database.write() as session:
                now = self._clock.now()
                answers.record_reported(session, owed, len(held.failed), now)
            tell(owed, len(held.failed))
        else:
            text = f"the report was answered with {shown(status)}"
            self._try_later(owed, text, at_last=owed.attempt >= _MOST_REFUSALS)

    def _send(self, peer: Peer, owed: OwedReport, held: Held) -> int:
        """
        Raises:
            PeerError: the report had no answer, and why.
        """
        timeout = self._settings.delivery.timeout_seconds
        ae = requestor(self._settings.node.ae_title, CONTEXTS, timeout)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        with associated(ae, peer, roles=[role]) as association:
            try:
                status, _ = association.send_n_event_report(
                    event_information(owed.transaction_uid, held.committed, held.failed),
                    FAILURES_EXIST if held.failed else ALL_COMMITTED,
                    StorageCommitmentPushModel,
                    StorageCommitmentPushModelInstance,
                )
            except RuntimeError as error:  # not established any more
                raise unanswered(association, "N-EVENT-REPORT") from error
            except ValueError as error:  # no accepted context
                raise not_accepted("N-EVENT-REPORT", StorageCommitmentPushModel) from error
            if "Status" not in status:
                raise unanswered(association, "N-EVENT-REPORT")
        return int(status.Status)

    def _try_later(self, owed: OwedReport, why: str, *, at_last: bool = False) -> datetime | None:
        """When that is; None: never."""
        retry, now = self._settings.delivery.retry, self._clock.now()
        again = decide_retry(owed.attempt, owed.requested_at, retry, now, drawn_jitter())
        ended = at_last or again is None
        what = "is given up" if ended else "is tried again"
        if owed.attempt.bit_count() == 1 or ended:  # 1, 2, 4 …: a peer that is away fills no log
            text = "the storage commitment report for %s %s: %s"
            log.warning(text, owed.ae_title, what, why)
        not_before = None if at_last or again is None else again.not_before
        self._record(owed, not_before, why)
        return not_before

    def _record(self, owed: OwedReport, not_before: datetime | None, why: str | None) -> None:
        with self._database.write() as session:
            answers.record_unreported(session, owed, not_before, why)


def peer_of(settings: Settings, ae_title: str) -> Peer | None:
    """Where the AE of that title is reached; None: nobody configured it."""
    known: list[Peer] = [*settings.peers, *settings.dicom_destinations]
    if settings.query.peer is not None:
        known.append(settings.query.peer)
    return next((each for each in known if each.ae_title.strip() == ae_title), None)
