"""The door: judges each association request of pynetdicom before anything else is done with it.

Called from `EVT_REQUESTED`, in the association's own thread, for a C-ECHO as for a C-STORE: who is
not admitted gets an A-ASSOCIATE-RJ, and no presentation context is negotiated.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import cast

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE

from dicomnode.audit import trail
from dicomnode.audit.events import Peer, Refused
from dicomnode.decisions.arrival.admission import (
    Admission,
    AdmissionPolicy,
    RejectReason,
    describe_policy,
    judge_admission,
    printable_ae_title,
)
from dicomnode.logs import Repeats, so_far
from dicomnode.metrics.counters import ASSOCIATIONS_REJECTED
from storage.canary_runs import CANARY_AE_TITLE, is_registered
from storage.database import Database
from storage.errors import DatabaseUnavailableError

log = logging.getLogger(__name__)

Note = Callable[[Association, str, str], None]
"""Told of an association, how it was rejected, and why."""


def no_note(_association: Association, _status: str, _why: str) -> None:
    """Where no trace is kept."""


class AssociationGate:
    """Lets in whom the policy names; refuses, logs, records and counts the others."""

    def __init__(
        self,
        policy: AdmissionPolicy,
        note: Note = no_note,
        database: Database | None = None,
    ) -> None:
        """`note`: what keeps a trace of each refusal, and takes no time. `database`: knows the runs
        of the canary; None: there is no canary."""
        self._note = note
        self._database = database
        self._refused: Counter[RejectReason] = Counter()
        self._lock = threading.Lock()
        self._repeats = Repeats()
        self.take_over(policy)

    def take_over(self, policy: AdmissionPolicy) -> None:
        """Judge by this policy from now on; who is inside stays."""
        self._policy = policy
        level = logging.INFO if policy.peers and not policy.allow_any else logging.WARNING
        log.log(level, "%s", describe_policy(policy))

    @property
    def refused(self) -> dict[RejectReason, int]:
        """Associations refused so far, by what the peer was told."""
        with self._lock:
            return dict(self._refused)

    def on_requested(self, event: evt.Event) -> None:
        """Judge one request. Closed when in doubt: pynetdicom goes on after a handler's fault."""
        reject: RejectReason | None = RejectReason.NO_REASON_GIVEN
        try:
            reject = self._judge(event.assoc)
        finally:
            if reject is not None:
                self._refuse(event.assoc, reject)

    def may_store(
        self, association: Association, study_instance_uid: str, series_instance_uid: str
    ) -> bool:
        """Anyone may call himself the canary: its series are those that a run has registered.

        While the database is away no series is one.
        """
        if association.requestor.ae_title.strip() != CANARY_AE_TITLE:
            return True
        if self._database is None:
            return False
        try:
            with self._database.read() as session:
                return is_registered(session, study_instance_uid, series_instance_uid)
        except DatabaseUnavailableError:
            return False

    def _judge(self, association: Association) -> RejectReason | None:
        request = cast("A_ASSOCIATE", association.requestor.primitive)
        calling, called = request.calling_ae_title, request.called_ae_title
        address = association.requestor.address
        admission = judge_admission(calling, called, address, self._policy)
        if admission.reject is not None:
            code = "/".join(map(str, admission.reject.value))
            self._note(association, f"A-ASSOCIATE-RJ {code}", admission.why)
            self._tell(address, printable_ae_title(calling), printable_ae_title(called), admission)
        return admission.reject

    def _tell(self, address: str, calling: str, called: str, admission: Admission) -> None:
        times = self._repeats.count(address, calling, called, admission.why)
        if not times:
            return
        log.warning(
            "association refused from %s, calling '%s', called '%s': %s%s",
            address,
            calling,
            called,
            admission.why,
            so_far(times),
        )
        trail.record(Refused(Peer(calling, address), admission.why, times))

    def _refuse(self, association: Association, reject: RejectReason) -> None:
        with self._lock:
            self._refused[reject] += 1
        ASSOCIATIONS_REJECTED.labels(reject.name.lower()).inc()
        association.acse.send_reject(*reject.value)
        evt.trigger(association, evt.EVT_REJECTED, {})
        association.kill()  # returns when the PDU is out; else the socket is closed before
