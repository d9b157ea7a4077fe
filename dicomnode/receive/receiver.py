"""The receiver: C-ECHO, Storage SCP and storage commitment (PS3.4 annexes B and J, PS3.7 9.1).

0x0000 is answered only when the instance's bytes and name are durable on disk. What is not for
analysis is taken too and skipped later: a refused image makes a PACS alarm or resend for ever.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
import uuid
import weakref
from functools import partial
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association as DicomAssociation
from pynetdicom.transport import RequestHandler

from dicomnode.clock import Clock, clock_of
from dicomnode.commitment.answering import Answers
from dicomnode.commitment.reports import Reports
from dicomnode.config.settings import Settings
from dicomnode.data_directory.files import instance_files
from dicomnode.data_directory.holding import settings_now
from dicomnode.data_directory.own_data import note_first_start, own_or_take
from dicomnode.decisions.arrival.store_answer import (
    CANNOT_UNDERSTAND,
    NOT_AUTHORIZED,
    NOT_MATCHING,
    OUT_OF_RESOURCES,
)
from dicomnode.dicom_files.identity import FILE_HEAD_ROOM, identify
from dicomnode.disk_gate import DiskGate
from dicomnode.errors import DataError
from dicomnode.fast_scp.association import (
    PlainRequestHandler,
    StoreRequest,
    fits,
    request_handler,
    request_of,
)
from dicomnode.lifecycle import Stop, tell_ready
from dicomnode.metrics import counters
from dicomnode.network.associations import (
    SUCCESS,
    Handler,
    accept_any_storage,
    end_broken_association,
    listen,
    stop_listening,
)
from dicomnode.network.tls_acceptor import ServerTls
from dicomnode.receive.access import AssociationGate
from dicomnode.receive.arrivals import ArrivalIndexer, AssociationEnded
from dicomnode.receive.going_back import GoingBack
from dicomnode.receive.reconciliation import Reconciler
from dicomnode.receive.refusals import Refusals
from dicomnode.receive.renewal import Renewable
from dicomnode.receive.serving import listeners_of, most_threads, storage_ae, waiting_room
from dicomnode.receive.store_request import (
    called_ae_title_of,
    check_command,
    request_provenance,
    status_of,
)
from dicomnode.receive.storing import Storing
from dicomnode.receive.visits import Visits
from dicomnode.receive.waiting_room import WaitingRoom
from storage.database import Database
from storage.durable import GrowingFile
from storage.instances import InstanceFiles
from storage.overview_records import node_of
from storage.records import Association, AssociationEnd

log = logging.getLogger(__name__)

_CERTIFICATE_LOOK_SECONDS = 600.0
"""How often a certificate that ends soon or was renewed is looked for while nobody connects."""

_LAST_WORDS_SECONDS = 3.0
"""How long associations may go on after the wish to stop, in seconds."""


class StorageReceiver:
    """Handles the events of one Storage SCP; one object for all associations."""

    def __init__(
        self,
        files: InstanceFiles,
        indexer: ArrivalIndexer,
        receiver_id: str,
        *,
        gate: AssociationGate,
        room: WaitingRoom,
        disk: DiskGate,
        visits: Visits | None = None,
        refusals: Refusals | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`receiver_id` ("node/receiver-1") tells whose associations are open in the index."""
        self._clock = clock or Clock()
        self._refusals = refusals
        self.visits = visits or Visits(self._clock)
        self._disk = disk
        self._gate = gate
        self._room = room
        self._files = files
        self._indexer = indexer
        self._storing = Storing(files, indexer, self._clock)
        self._receiver_id = receiver_id
        self._open: dict[DicomAssociation, Association] = {}
        self._ends: weakref.WeakKeyDictionary[DicomAssociation, AssociationEnd]
        self._ends = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def on_requested(self, event: evt.Event) -> None:
        """Who is not admitted does not wait either."""
        self._gate.on_requested(event)
        self._room.on_requested(event)
        request = event.assoc.requestor.primitive
        if request is not None and not (event.assoc.is_rejected or event.assoc.is_aborted):
            counters.count_accepted(request.calling_ae_title)

    def store(self, request: StoreRequest) -> int | Dataset:
        """Answer one C-STORE request; never raises."""
        answer = self._answer(request)
        if isinstance(answer, Dataset):
            self._count_refused(request.association, request.sop_class_uid, answer.Status)
            if self._refusals is not None:
                self._refusals.note_instance(request, answer.Status, answer.ErrorComment)
        return answer

    def _unkept(self, assoc: DicomAssociation, sop_class_uid: str, sop_instance_uid: str) -> None:
        """The disk did not take a data set that grew in a file."""
        self._count_refused(assoc, sop_class_uid, OUT_OF_RESOURCES)
        if self._refusals is not None:
            self._refusals.note_unkept(assoc, sop_instance_uid, OUT_OF_RESOURCES)

    def _count_refused(self, assoc: DicomAssociation, sop_class_uid: str, status: int) -> None:
        counters.INSTANCES_REFUSED.labels(f"0x{status:04X}").inc()
        self.visits.refused(assoc, sop_class_uid, status)

    def _answer(self, request: StoreRequest) -> int | Dataset:
        grown = isinstance(request.content, GrowingFile)  # the disk was asked as it grew
        full = None if grown else self._disk.refuses(len(request.data_set))
        if full is not None:
            return status_of(OUT_OF_RESOURCES, full)
        try:
            identity = identify(request.data_set, request.transfer_syntax)
            check_command(identity, request)
        except DataError as error:
            log.warning("C-STORE refused: %s", error)
            code = NOT_MATCHING if error.rule == "command" else CANNOT_UNDERSTAND
            return status_of(code, str(error))
        uids = (identity.study_instance_uid, identity.series_instance_uid)
        if not self._gate.may_store(request.association, *uids):
            return status_of(NOT_AUTHORIZED, "this AE title is the canary's alone")
        provenance = request_provenance(request, self._association(request.association))
        try:
            syntax = request.transfer_syntax
            stored = self._storing.keep(identity, provenance, syntax, request.content)
        except OSError as error:
            log.error("instance %s not stored: %s", identity.sop_instance_uid, error.strerror)
            return status_of(OUT_OF_RESOURCES, error.strerror or "cannot be stored")
        counters.count_received(provenance.calling_ae_title, stored.size_bytes)
        self.visits.came(request.association, identity, stored.size_bytes)
        return SUCCESS

    def _spill(self) -> GrowingFile:
        """A file for a data set too large for memory.

        Raises:
            OSError
        """
        return self._files.grow(FILE_HEAD_ROOM, self._take_room)

    def _take_room(self, size_bytes: int) -> None:
        """
        Raises:
            OSError: so much of a growing data set does not fit the disk's watermark.
        """
        full = self._disk.refuses(size_bytes)
        if full is not None:
            raise OSError(errno.ENOSPC, full)

    def acceptor(self, ae: AE) -> type[RequestHandler]:
        """What makes associations: the fast receive path, or pynetdicom's own where it must."""
        if fits(ae):
            return request_handler(self.store, self._spill, self._unkept)
        log.warning("the fast receive path is not used: it does not fit this machine or PDU length")
        return PlainRequestHandler

    def _association(self, assoc: DicomAssociation) -> Association:
        """The record of an association, made when its first instance comes: not for C-ECHO.

        The connection may have closed meanwhile, as another thread tells: then nobody tells again
        that it ended, and the series would wait for more as long as the node runs.
        """
        with self._lock:
            known = self._open.get(assoc)
            if known is None:
                known = self._open[assoc] = Association(
                    association_id=uuid.uuid4().hex,
                    node_id=self._receiver_id,
                    calling_ae_title=assoc.requestor.ae_title,
                    called_ae_title=called_ae_title_of(assoc),
                    peer_address=assoc.requestor.address,
                    opened_at=self._clock.now(),
                )
                self._indexer.put(known)
                counters.ASSOCIATIONS_OPEN.set(len(self._open))
                ended = self._ends.get(assoc)
                if ended is not None:
                    del self._open[assoc]
                    self._put_end(known, ended)
        return known

    def on_released(self, event: evt.Event) -> None:
        self._ended(event.assoc, AssociationEnd.RELEASED)

    def on_aborted(self, event: evt.Event) -> None:
        self._ended(event.assoc, AssociationEnd.ABORTED)

    def on_connection_closed(self, event: evt.Event) -> None:
        """The connection may close before pynetdicom tells why."""
        if event.assoc.is_released:
            self._ended(event.assoc, AssociationEnd.RELEASED)
        elif event.assoc.is_aborted or event.assoc.acse.is_aborted("a-abort"):
            self._ended(event.assoc, AssociationEnd.ABORTED)
        else:
            self._ended(event.assoc, AssociationEnd.LOST)

    def _ended(self, assoc: DicomAssociation, end: AssociationEnd) -> None:
        self._room.leave(assoc)
        self.visits.ended(assoc, end)
        with self._lock:
            self._ends.setdefault(assoc, end)
            known = self._open.pop(assoc, None)
            counters.ASSOCIATIONS_OPEN.set(len(self._open))
        if known is not None:
            self._put_end(known, end)

    def _put_end(self, association: Association, end: AssociationEnd) -> None:
        counters.ASSOCIATIONS_ENDED.labels(end.value).inc()
        self._indexer.put(AssociationEnded(association.association_id, self._clock.now(), end))

    def handlers(self) -> dict[Any, Handler]:
        """By event of pynetdicom."""
        return {
            evt.EVT_REQUESTED: self.on_requested,
            evt.EVT_ACCEPTED: lambda event: self.visits.began(event.assoc),
            evt.EVT_C_STORE: lambda event: self.store(request_of(event)),
            evt.EVT_RELEASED: self.on_released,
            evt.EVT_ABORTED: self.on_aborted,
            evt.EVT_CONN_CLOSE: self.on_connection_closed,
        }


def commitment_handlers(answers: Answers, reports: Reports) -> dict[Any, Handler]:
    """By event of pynetdicom: both roles of storage commitment (PS3.4 annex J)."""
    return {evt.EVT_N_ACTION: answers.on_action, evt.EVT_N_EVENT_REPORT: reports.on_report}


def run(settings: Settings, owner: str, stop: Stop) -> None:
    """Receive until `stop` is set; then let what is in hand end, for a few seconds."""
    threading.excepthook = end_broken_association
    database = Database.open_later(settings.database_url)
    files = instance_files(settings)
    receiver_id = owner.rstrip("/").rpartition("/")[0]
    note_first_start(settings)
    own = partial(own_or_take, settings, node_of(receiver_id))
    clock = clock_of(database, waits=False)
    reconciler = Reconciler(database, files, receiver_id, clock)
    indexer = ArrivalIndexer(database, reconciler, own, GoingBack(database, receiver_id, clock))
    indexer.start()
    refusals = Refusals(database, ready=lambda: indexer.begun, clock=clock)
    refusals.start(stop)
    gate = AssociationGate(settings.admission, refusals.note_association, database)
    disk, reports = DiskGate(settings.instances, settings.disk), Reports(settings, database, clock)
    receiver = StorageReceiver(
        files,
        indexer,
        receiver_id,
        gate=gate,
        room=waiting_room(settings.receive, refusals.note_association),
        disk=disk,
        visits=Visits(Clock(), patient_ids=settings.audit.patient_id),
        refusals=refusals,
        clock=clock,
    )
    ae = storage_ae(settings.node.ae_title, settings.receive)
    answers = Answers(database, files, ready=lambda: indexer.begun, clock=clock)
    answers.start(stop)
    handlers = receiver.handlers() | commitment_handlers(answers, reports)
    tls = ServerTls(settings.receive.tls) if settings.receive.tls.enabled else None
    accept_any_storage()
    for port, listener in zip(settings.receive.ports, listeners_of(settings.receive), strict=True):
        secured = tls if port == settings.receive.tls.port else None
        listen(
            ae,
            listener,
            handlers,
            secured,
            receiver.acceptor(ae),
            most_threads(settings.receive),
            settings.receive.proxies,
        )
        how = "with" if secured else "without"
        log.info("listening as %s on port %d %s TLS", settings.node.ae_title, port, how)
    Renewable(gate, disk, reports, tls).follow(
        stop.renewed, partial(settings_now, settings.node.data_directory)
    )
    tell_ready()
    while not stop.wait(_CERTIFICATE_LOOK_SECONDS):
        if tls is not None:
            tls.look()
    stop_listening(ae)
    _let_associations_end(ae)
    refusals.close()
    if indexer.close(timeout=3.0):
        database.close()


def _let_associations_end(ae: AE) -> None:
    """Give open associations a moment, then abort them: what was answered is durable anyway."""
    deadline = time.monotonic() + _LAST_WORDS_SECONDS
    while time.monotonic() < deadline and any(a.is_established for a in ae.active_associations):
        time.sleep(0.05)
    ae.shutdown()
