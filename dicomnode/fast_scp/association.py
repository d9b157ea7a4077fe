"""An acceptor's association that takes C-STORE requests at the speed of the wire.

pynetdicom negotiates it and ends it. Between, the association thread has the socket for itself:
it reads P-DATA into one buffer, hands each complete request to a plain function and sends the
response. Whatever is not a C-STORE or C-ECHO request in its usual form goes back to pynetdicom
byte for byte, and its reactors do the rest of that association.

Left out on the way: the notifications EVT_DATA_*, EVT_PDU_*, EVT_DIMSE_* and
EVT_FSM_TRANSITION, which tell what passed, of the requests that are served here.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import P_DATA_TF as P_DATA_TF_PDU
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import uid_to_service_class
from pynetdicom.transport import AssociationSocket, RequestHandler

from dicomnode.decisions.arrival.store_answer import HANDLER_FAULT, OUT_OF_RESOURCES
from dicomnode.fast_scp import pdu
from dicomnode.fast_scp.command_set import (
    LONGEST_UID,
    VERIFICATION,
    EchoCommand,
    StoreCommand,
    echo_response,
    read_command,
    store_response,
)
from dicomnode.fast_scp.data_set_buffer import Content, DataSetBuffer
from dicomnode.fast_scp.negotiation import PlainAssociation, StorageAssociation
from dicomnode.fast_scp.pdu_reader import End, PduReader
from dicomnode.fast_scp.upper_layer import BoundedSocket, EventDrivenDul
from storage.durable import GrowingFile

log = logging.getLogger(__name__)

LONGEST_MAXIMUM_LENGTH = 1 << 24
_LONGEST_COMMAND_SET = 1 << 14


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A C-STORE request as it came. `data_set` and `content` are good until it is answered."""

    association: Association
    sop_class_uid: str
    sop_instance_uid: str
    priority: int
    """Priority (0000,0700): 0 medium, 1 high, 2 low."""
    abstract_syntax: str
    transfer_syntax: UID
    data_set: memoryview
    """Encoded, to look into."""
    content: Content
    """The same to be stored: `data_set`, or the file that it has grown in."""


StoreHandler = Callable[[StoreRequest], int | Dataset]
Spill = Callable[[], GrowingFile]
Unkept = Callable[[Association, str, str], None]
"""Told that the disk did not take a data set while it came: SOP class and SOP instance."""


def request_of(event: evt.Event) -> StoreRequest:
    """The request in an event of pynetdicom's own receive path (EVT_C_STORE)."""
    data_set = memoryview(event.encoded_dataset(include_meta=False))
    command = cast("C_STORE", event.request)
    return StoreRequest(
        association=event.assoc,
        sop_class_uid=str(command.AffectedSOPClassUID),
        sop_instance_uid=str(command.AffectedSOPInstanceUID),
        priority=command.Priority,
        abstract_syntax=str(event.context.abstract_syntax),
        transfer_syntax=UID(event.context.transfer_syntax),
        data_set=data_set,
        content=data_set,
    )


def fits(ae: AE) -> bool:
    """Whether the fast path can be used; if not, pynetdicom's own is slower and as right."""
    return sys.platform == "linux" and 0 < ae.maximum_pdu_size <= LONGEST_MAXIMUM_LENGTH


def request_handler(
    store: StoreHandler, spill: Spill | None = None, unkept: Unkept = lambda *_told: None
) -> type[RequestHandler]:
    """For `AE.make_server(request_handler=…)`: `store` answers C-STORE, a status or a Dataset.

    `spill` makes the file of a data set above `SPILL_BYTES`; without it memory has no bound.
    """

    class FastRequestHandler(RequestHandler):
        def _create_association(self) -> Association:
            assoc = FastAssociation(self.ae, store, spill, unkept)
            connection = BoundedSocket(assoc, self.request, assoc.dul.wake_up)
            return _for_connection(self, assoc, connection)

    return FastRequestHandler


class PlainRequestHandler(RequestHandler):
    """For `AE.make_server(request_handler=…)` where the fast path does not fit."""

    def _create_association(self) -> Association:
        assoc = PlainAssociation(self.ae)
        return _for_connection(self, assoc, AssociationSocket(assoc, client_socket=self.request))


def _for_connection(
    handler: RequestHandler, assoc: Association, connection: AssociationSocket
) -> Association:
    """What `RequestHandler._create_association` of pynetdicom 3.0.4 does beside making both."""
    server, ae = handler.server, handler.ae
    assoc._server = server
    # AE.active_associations knows its threads by this name
    assoc.name = f"AcceptorThread@{datetime.now(UTC):%Y%m%d%H%M%S}"
    assoc.set_socket(connection)
    assoc.acceptor.maximum_length = ae.maximum_pdu_size
    assoc.acceptor.ae_title = server.ae_title
    assoc.acceptor.address_info = handler.local
    assoc.acceptor.implementation_class_uid = ae.implementation_class_uid
    assoc.acceptor.implementation_version_name = ae.implementation_version_name
    assoc.acceptor.supported_contexts = deepcopy(server.contexts)
    assoc.requestor.address_info = handler.remote
    for event, bound in server._handlers.items():
        for function, arguments in bound if isinstance(bound, list) else [bound]:
            assoc.bind(event, function, arguments)
    return assoc


class FastAssociation(StorageAssociation):
    """One accepted connection."""

    def __init__(self, ae: AE, store: StoreHandler, spill: Spill | None, unkept: Unkept) -> None:
        super().__init__(ae)
        self.dul: EventDrivenDul = EventDrivenDul(self)
        self.acse_timeout, self.network_timeout = ae.acse_timeout, ae.network_timeout
        self._store, self._spill, self._unkept = store, spill, unkept

    def run_reactor(self) -> None:
        try:
            super().run_reactor()
        finally:
            if not self.dul.is_alive():
                self.dul.wake_up.close()

    def _run_reactor(self) -> None:
        if self.dul.take_socket():
            _Conversation(self, self._store, self._spill, self._unkept).hold()
        super()._run_reactor()
        # after this pynetdicom closes the connection: an A-ABORT by another thread goes out first
        while self._sent_abort and self.dul.is_alive() and not self.dul.is_idle:
            self.dul.join(0.01)


class _Handover(Exception):  # noqa: N818 - not an error
    """The rest is pynetdicom's; it begins with these bytes."""

    def __init__(self, first: bytes) -> None:
        super().__init__()
        self.first = first


class _Conversation:
    """The messages of one established association, until it ends or pynetdicom goes on."""

    def __init__(
        self, assoc: FastAssociation, store: StoreHandler, spill: Spill | None, unkept: Unkept
    ) -> None:
        connection = cast("BoundedSocket", assoc.dul.socket)
        self._assoc, self._connection, self._store = assoc, connection, store
        self._unkept = unkept
        self._longest_answer = assoc.requestor.maximum_length or 0
        longest = assoc.acceptor.maximum_length or LONGEST_MAXIMUM_LENGTH
        self._reader = PduReader(connection, longest, assoc.network_timeout)
        self._contexts = {
            number: (str(context.abstract_syntax), UID(context.transfer_syntax[0]))
            for number, context in assoc._accepted_cx.items()
        }
        self._command = bytearray()
        self._command_context: int | None = None
        self._request: StoreCommand | None = None
        self._data_set = DataSetBuffer(spill)

    def hold(self) -> None:
        """Serve, then give the socket back with what remains to be done."""
        dul = self._assoc.dul
        try:
            if self._serve() is End.IDLE:
                self._timed_out()
            else:
                dul.restart_idle_timer()
                dul.return_socket(self._reader.unread())
        except _Handover as rest:
            dul.restart_idle_timer()
            dul.return_socket(rest.first + self._reader.unread())
        except pdu.ProtocolError as error:
            log.warning("association with %s aborted: %s", self._peer, error)
            dul.return_socket_after("Evt19", error.reason)
        except OSError as error:
            log.warning("connection with %s lost: %s", self._peer, error.strerror or error)
            dul.return_socket_after("Evt17")
        except Exception:  # a fault of ours: the peer is told, the log has it
            log.exception("association with %s aborted by a fault", self._peer)
            dul.return_socket_after("Evt19")
        finally:
            self._data_set.reset()

    def _timed_out(self) -> None:
        """pynetdicom's idle timer has run out too; a slow byte could still hold its abort up."""
        if self._assoc.network_timeout_response == "A-ABORT":
            self._assoc.abort(block=False)
        self._assoc.dul.return_socket()

    @property
    def _peer(self) -> str:
        return str(self._assoc.requestor.address)

    def _serve(self) -> End:
        dul = self._assoc.dul
        while True:
            body = self._reader.next_body(lambda: dul.is_wanted)
            if isinstance(body, End):
                return self._unfinished(body)
            found = pdu.fragments(body)
            for number, fragment in enumerate(found):
                if fragment.control & pdu.COMMAND:
                    self._take_command(fragment, found[number + 1 :])
                else:
                    self._take_data(fragment)

    def _unfinished(self, end: End) -> End:
        """A PDU that is no P-DATA in the middle of a message ends it (PS3.8 annex E)."""
        self._data_set.reset()
        return end

    def _take_command(self, fragment: pdu.Fragment, rest: list[pdu.Fragment]) -> None:
        if self._request is not None:
            raise pdu.ProtocolError(pdu.UNEXPECTED_PARAMETER, "command amid a data set")
        self._check_context(fragment)
        self._command += fragment.data
        if len(self._command) > _LONGEST_COMMAND_SET:
            raise pdu.ProtocolError(pdu.INVALID_VALUE, "command set of absurd length")
        if not fragment.control & pdu.LAST:
            return
        command = read_command(bytes(self._command))
        if isinstance(command, EchoCommand):
            self._echo(command, fragment.context_id)
        elif isinstance(command, StoreCommand) and _is_storage(command.sop_class_uid):
            self._request = command
            return
        else:
            whole = (fragment.context_id, pdu.COMMAND | pdu.LAST, bytes(self._command))
            raise _Handover(pdu.p_data_tf([whole, *rest]))
        self._message_ended()

    def _check_context(self, fragment: pdu.Fragment) -> None:
        """All fragments of a message are of one accepted context (PS3.8 annex E.1)."""
        if fragment.context_id not in self._contexts:
            raise pdu.ProtocolError(pdu.INVALID_VALUE, "presentation context was not accepted")
        if self._command_context not in (None, fragment.context_id):
            raise pdu.ProtocolError(pdu.INVALID_VALUE, "presentation context changed in a message")
        self._command_context = fragment.context_id

    def _take_data(self, fragment: pdu.Fragment) -> None:
        if self._request is None:
            raise pdu.ProtocolError(pdu.UNEXPECTED_PARAMETER, "data set without its command")
        if fragment.context_id != self._command_context:
            raise pdu.ProtocolError(pdu.INVALID_VALUE, "presentation context changed in a message")
        self._data_set.append(fragment.data)
        if fragment.control & pdu.LAST:
            self._answer_store(self._request, fragment.context_id)
            self._message_ended()

    def _message_ended(self) -> None:
        self._data_set.reset()
        self._command.clear()
        self._command_context = self._request = None

    def _answer_store(self, command: StoreCommand, context_id: int) -> None:
        status = self._stored(command, context_id)
        if self._assoc.dul.is_wanted:  # the handler aborted
            return
        if isinstance(status, int):
            self._send(context_id, store_response(command, status))
        else:
            self._connection.send_all(
                _encoded_by_pynetdicom(self._assoc, command, context_id, status)
            )

    def _stored(self, command: StoreCommand, context_id: int) -> int | Dataset:
        """The handler's answer; its fault is the instance's alone, as in pynetdicom."""
        assoc = self._assoc
        vars(assoc)["abort"] = assoc._abort_nonblocking  # as pynetdicom does around a handler
        try:
            data_set, content = self._data_set.finish()
            return self._store(
                StoreRequest(
                    assoc,
                    command.sop_class_uid,
                    command.sop_instance_uid,
                    command.priority,
                    *self._contexts[context_id],
                    data_set,
                    content,
                )
            )
        except Exception:  # the peer is owed a response, the log the fault
            if self._data_set.fault is not None:
                log.error("data set not kept: %s", self._data_set.fault.strerror)
                self._unkept(assoc, command.sop_class_uid, command.sop_instance_uid)
                return OUT_OF_RESOURCES
            log.exception("the handler of C-STORE failed")
            return HANDLER_FAULT
        finally:
            vars(assoc).pop("abort", None)

    def _echo(self, command: EchoCommand, context_id: int) -> None:
        request = C_ECHO()
        request.MessageID = command.message_id
        request.AffectedSOPClassUID = VERIFICATION
        context = self._assoc._accepted_cx[context_id].as_tuple
        status = evt.trigger(self._assoc, evt.EVT_C_ECHO, {"request": request, "context": context})
        code = status.Status if isinstance(status, Dataset) else cast("int", status)
        self._send(context_id, echo_response(command, code))

    def _send(self, context_id: int, command: bytes) -> None:
        self._connection.send_all(pdu.command_pdus(context_id, command, self._longest_answer))


def _is_storage(sop_class_uid: str) -> bool:
    """As `Association._serve_request` decides which service a request is for."""
    if _config.UNRESTRICTED_STORAGE_SERVICE:
        return True
    return issubclass(uid_to_service_class(sop_class_uid), StorageServiceClass)


def _encoded_by_pynetdicom(
    assoc: Association, command: StoreCommand, context_id: int, status: Dataset
) -> bytes:
    """The PDUs of a response that tells more than a status, an Error Comment for example."""
    response = C_STORE()
    response.MessageIDBeingRespondedTo = command.message_id
    response.AffectedSOPClassUID = command.sop_class_uid
    if len(command.sop_instance_uid) <= LONGEST_UID:  # optional here (PS3.7 table 9.3-2)
        response.AffectedSOPInstanceUID = command.sop_instance_uid
    for element in status:
        setattr(response, element.keyword, element.value)
    message = C_STORE_RSP()
    message.primitive_to_message(response)
    pieces = message.encode_msg(context_id, assoc.requestor.maximum_length or 0)
    return b"".join(P_DATA_TF_PDU(piece).encode() for piece in pieces)
