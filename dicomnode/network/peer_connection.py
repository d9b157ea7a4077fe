"""A connection that we open to a peer, and why it led to no association or to the end of one.

pynetdicom tells in its log why a connection, a handshake or an association failed, and nowhere
else. The connection here remembers; the words for it are those of PS3.8 section 9.3.
"""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any, cast

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from dicomnode.errors import PeerCause, PeerError
from dicomnode.tls import reason

_RESULTS = {1: "rejected for good", 2: "rejected for the moment"}  # PS3.8 table 9-21
_REJECTIONS = {  # by source and reason
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given by the ACSE provider",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit of associations exceeded",
}
_BY_PROVIDER = 2  # source of an A-ABORT (PS3.8 table 9-26)
_ABORTS = {
    0: "reason not specified",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}
_NOT_ACCEPTED = {  # result of a presentation context (PS3.8 table 9-18)
    1: "refused by the user",
    2: "no reason given",
    3: "class not supported",
    4: "transfer syntaxes not supported",
}


class Requestor(AE):
    """An Application Entity whose associations can be asked why they failed."""

    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[ssl.SSLContext, str] | None,
    ) -> AssociationSocket:
        connection = PeerConnection(assoc, address=address)
        connection.tls_args = tls_args
        assoc._reactor_checkpoint = _Checkpoint(assoc)
        assoc.bind(evt.EVT_PDU_RECV, connection.on_received)
        assoc.bind(evt.EVT_PDU_SENT, connection.on_sent)
        return connection


class _Checkpoint(threading.Event):
    """Where the reactor of an association, which takes what comes unasked, waits while we ask.

    pynetdicom's reactor says that it goes on only after it has passed. Who asks in between takes it
    for waiting; it takes the answer away, and who asked waits in vain, till the time-out. Here it
    passes and says so in one step.
    """

    def __init__(self, assoc: Association) -> None:
        super().__init__()
        self._assoc = assoc
        self._lock = threading.Lock()
        self.set()

    def clear(self) -> None:
        with self._lock:
            super().clear()

    def wait(self, timeout: float | None = None) -> bool:
        while super().wait(timeout):
            with self._lock:
                if self.is_set():
                    self._assoc._is_paused = False
                    return True
        return False


class PeerConnection(AssociationSocket):
    """The transport connection of one association; remembers how it went."""

    def __init__(self, assoc: Association, address: AddressInformation) -> None:
        super().__init__(assoc, address=address)
        self.connected = self.opened = False
        self.fault: OSError | None = None
        self.rejection: tuple[int, int, int] | None = None
        """Result, source and reason of the A-ASSOCIATE-RJ that came."""
        self.abort: tuple[int, int] | None = None
        """Source and reason of the A-ABORT that came."""
        self.own_abort: int | None = None
        """Source of the A-ABORT that was sent."""

    def on_received(self, event: evt.Event) -> None:
        """Numbers that the standard does not know are taken out: pynetdicom's thread ends by them,
        and who waits for the answer waits in vain."""
        pdu = event.pdu
        if isinstance(pdu, A_ASSOCIATE_RJ):
            self.rejection = pdu.result or 0, pdu.source or 0, pdu.reason_diagnostic or 0
            if pdu.result not in _RESULTS or self.rejection[1:] not in _REJECTIONS:
                pdu.result = pdu.source = pdu.reason_diagnostic = 1
        elif isinstance(pdu, A_ABORT_RQ):
            self.abort = pdu.source or 0, pdu.reason_diagnostic or 0
            if pdu.source not in (0, _BY_PROVIDER) or pdu.reason_diagnostic not in _ABORTS:
                pdu.source = pdu.reason_diagnostic = 0

    def on_sent(self, event: evt.Event) -> None:
        if isinstance(event.pdu, A_ABORT_RQ):
            self.own_abort = event.pdu.source

    def connect(self, primitive: T_CONNECT) -> None:
        """As pynetdicom does it, but TLS begins when the connection stands: its faults differ."""
        primitive.result = "Evt17"
        try:
            self._open(primitive.address_info.as_tuple)
            primitive.result = "Evt2"
        except OSError as error:
            self.fault = error
            if self.socket is not None:
                self.socket.close()
            self.socket = None
        finally:
            self.provider_queue.put(primitive)
            self._ready.set()

    def _open(self, address: Any) -> None:
        connection = cast("socket.socket", self.socket)
        connection.settimeout(self.assoc.connection_timeout)
        connection.connect(address)
        self.connected = True
        if self.tls_args:
            context, name = self.tls_args
            self.socket = connection = context.wrap_socket(connection, server_hostname=name)
        # a peer that takes nothing any more, or says half a PDU, is not waited for without end
        connection.settimeout(self.assoc.network_timeout)
        own = AddressInformation.from_tuple(connection.getsockname())
        self.assoc.requestor.address_info = own
        self._is_connected = self.opened = True
        evt.trigger(self.assoc, evt.EVT_CONN_OPEN, {"address": address})

    def recv(self, nr_bytes: int) -> bytearray:
        try:
            return super().recv(nr_bytes)
        except OSError as error:
            self.fault = error  # in TLS 1.3 a refusal of our certificate comes as late as this
            raise


def why_not_associated(association: Association, peer: str) -> PeerError:
    """Why `Requestor.associate` gave no established association; `peer` is its name for people."""
    connection = cast("PeerConnection", association.dul.socket)
    if not connection.connected:
        text = "no connection" if connection.fault is None else reason(connection.fault)
        return PeerError(f"{peer} cannot be reached: {text}", PeerCause.UNREACHABLE)
    if connection.rejection is not None:
        text = _rejection(*connection.rejection)
        return PeerError(f"{peer} rejected the association: {text}", PeerCause.REJECTED)
    if association.rejected_contexts and not association.accepted_contexts:
        text = _refused_classes(association)
        return PeerError(f"{peer} accepts none of what was offered: {text}", PeerCause.NOT_ACCEPTED)
    return why_ended(association, peer, "the association request", association.acse_timeout)


def why_ended(association: Association, peer: str, asked: str, timeout: float | None) -> PeerError:
    """Why `asked` was not answered on an association. `timeout`: seconds that were waited."""
    connection = cast("PeerConnection", association.dul.socket)
    if connection.abort is not None:
        text = _abort(*connection.abort)
        return PeerError(f"{peer} aborted the association: {text}", PeerCause.ABORTED)
    if connection.fault and (isinstance(connection.fault, ssl.SSLError) or not connection.opened):
        return PeerError(f"{peer}: TLS failed: {reason(connection.fault)}", PeerCause.TLS)
    if connection.own_abort == _BY_PROVIDER:
        text = f"{peer} answered {asked} with what is no DICOM (does that port want TLS?)"
        return PeerError(text, PeerCause.NO_DICOM)
    if connection.own_abort is not None:
        waited = "" if timeout is None else f" within {timeout:g} s"
        return PeerError(f"{peer}: {asked} was not answered{waited}", PeerCause.NO_ANSWER)
    fault = "closed it" if connection.fault is None else reason(connection.fault)
    text = f"{peer}: the connection broke off before {asked} was answered ({fault})"
    return PeerError(text, PeerCause.LOST)


def _rejection(result: int, source: int, why: int) -> str:
    reason = _REJECTIONS.get((source, why), "a reason unknown to the standard")
    numbers = f"result {result}, source {source}, reason {why}"
    return f"{reason}, {_RESULTS.get(result, 'rejected')} ({numbers})"


def _abort(source: int, why: int) -> str:
    if source != _BY_PROVIDER:
        return "by its application"
    return f"by its upper layer, {_ABORTS.get(why, 'reason unknown')}"


def class_name(uid: str) -> str:
    """As in PS3.6 annex A; the UID itself where it is in no dictionary of pydicom."""
    return UID(uid).name


def _refused_classes(association: Association) -> str:
    """Each class once, with the reason of its last context."""
    why = {
        class_name(str(context.abstract_syntax)): _NOT_ACCEPTED.get(context.result or 2, "refused")
        for context in association.rejected_contexts
    }
    return ", ".join(f"{name} ({reason})" for name, reason in why.items())
