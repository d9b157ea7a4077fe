"""The parts of pynetdicom that acceptors and requestors share: AEs, contexts, associations."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    Verification,
)
from pynetdicom.transport import RequestHandler

from dicomnode.config.destinations import Peer
from dicomnode.dicom_files.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomnode.errors import ConfigurationError, PeerCause, PeerError
from dicomnode.network.peer_connection import (
    Requestor,
    class_name,
    why_ended,
    why_not_associated,
)
from dicomnode.network.proxy_protocol import ProxiedConnections
from dicomnode.network.pynetdicom_version import check_pynetdicom
from dicomnode.network.tls_acceptor import ServerTls, TlsHandshakes
from dicomnode.tls import client_context

log = logging.getLogger(__name__)

SUCCESS = 0x0000

MOST_THREADS = 1000

# A file is sent as its bytes are; by default pynetdicom decodes it and encodes it again.
_config.STORE_SEND_CHUNKED_DATASET = True
# What its handlers log of each PDU nobody reads, and one that fails keeps the PDU from ours.
_config.LOG_HANDLER_LEVEL = "none"

Handler = Callable[[evt.Event], Any]


def application_entity(ae_title: str) -> AE:
    """An Application Entity that says what implementation it is (PS3.7 D.3.3.2).

    Raises:
        ConfigurationError: pynetdicom is one that is not known (see `pynetdicom_version`).
    """
    return _introduced(AE(ae_title))


def _introduced(ae: AE) -> AE:
    check_pynetdicom()
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return ae


def accept_any_storage() -> None:
    """Accept whatever a peer wants to store. Holds for all acceptors of this process.

    In the transfer syntax that is named first, and what pynetdicom does not know as any service,
    unless the acceptor's association is a `StorageAssociation` of the fast SCP.
    """
    _config.UNRESTRICTED_STORAGE_SERVICE = True


def accept_verification(ae: AE) -> None:
    """Answer C-ECHO (PS3.4 annex A)."""
    ae.add_supported_context(Verification)


def accept_storage_commitment(ae: AE) -> None:
    """Take requests for storage commitment, and reports on our own, for which the peer is SCP.

    PS3.4 section J.3.1, PS3.7 D.3.3.4: who reports over an association that it opens asks for the
    role; those who do not ask are served as well. Not deflated: a megabyte may become gigabytes.
    """
    syntaxes = [ImplicitVRLittleEndian, ExplicitVRLittleEndian]
    ae.add_supported_context(StorageCommitmentPushModel, syntaxes, scu_role=True, scp_role=True)


def end_broken_association(fault: threading.ExceptHookArgs) -> None:
    """For `threading.excepthook` of a receiver: a peer's bytes made a thread of pynetdicom fail.

    Its association ends, with its connection; nobody else notices.
    """
    thread = fault.thread
    log.warning("an association ended by a fault: %s", fault.exc_type.__name__)
    association = getattr(thread, "assoc", thread)
    if isinstance(association, Association):
        if association.dul.socket is not None:
            association.dul.socket.close()
        association.dul.kill_dul()
        association._kill = True
        association._reactor_checkpoint.set()


class _Server(ProxiedConnections):
    """Serves a listening socket that other processes may serve too: who is free takes the peer."""

    def __init__(
        self,
        ae: AE,
        listener: socket.socket,
        handlers: list[EventHandlerType],
        acceptor: type[RequestHandler],
        most_threads: int,
    ) -> None:
        self._listener = listener
        self._most_threads = most_threads
        self._turned_away = 0
        super().__init__(
            ae,
            listener.getsockname()[:2],
            ae.ae_title,
            ae.supported_contexts,
            evt_handlers=handlers,
            request_handler=acceptor,
        )

    def server_bind(self) -> None:
        """It is bound already, in this process or in its parent."""
        if self.socket is not None:
            self.socket.close()
        self.socket = self._listener
        self._listener.setblocking(False)  # another process may have been quicker
        self.server_address = self._listener.getsockname()

    def server_activate(self) -> None:
        """It listens already."""

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection.

        Raises:
            BlockingIOError: another took it; there is no request.
        """
        connection, address = super().get_request()
        connection.setblocking(True)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is room for one more connection; else it is closed without a word.

        Those that never ask for an association are not known to any limit of associations.
        """
        if threading.active_count() < self._most_threads:
            return super().verify_request(request, client_address)
        self._turned_away += 1
        if self._turned_away.bit_count() == 1:  # 1, 2, 4, 8 …: a flood does not fill the log
            log.warning(
                "connection from %s closed: too many are open (%d closed so far)",
                client_address[0],
                self._turned_away,
            )
        return False

    def server_close(self) -> None:
        """Close our descriptor; no `shutdown`, which would end the listening of the others."""
        self._listener.close()


class _TlsServer(TlsHandshakes, _Server):
    """The same, with TLS."""


def listen(
    ae: AE,
    listener: socket.socket,
    handlers: dict[Any, Handler],
    tls: ServerTls | None = None,
    acceptor: type[RequestHandler] = RequestHandler,
    most_threads: int = MOST_THREADS,
    proxies: Collection[str] = (),
) -> None:
    """Serve associations from a listening socket, in threads of their own, till `ae.shutdown()`.

    `acceptor` makes the association of a connection: pynetdicom's own, or that of
    `association.request_handler` in `fast_scp`. While this process has `most_threads`, two for each
    connection, new connections are closed at once. `proxies`: as of `ProxiedConnections`.
    """
    bound: list[EventHandlerType] = [*handlers.items(), (evt.EVT_C_ECHO, lambda _event: SUCCESS)]
    if tls is None:
        server = _Server(ae, listener, bound, acceptor, most_threads)
    else:
        server = _TlsServer(ae, listener, bound, acceptor, most_threads)
        server.tls = tls
    server.proxies = frozenset(proxies)
    ae._servers.append(server)
    threading.Thread(target=server.serve_forever, name="accept", daemon=True).start()


def stop_listening(ae: AE) -> None:
    """Take no new connections; those that are open go on."""
    for server in list(ae._servers):
        server.shutdown()


def requestor(ae_title: str, contexts: Sequence[PresentationContext], timeout: float) -> AE:
    """An Application Entity that opens associations; `timeout` in seconds bounds each wait."""
    ae = _introduced(Requestor(ae_title))
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout
    ae.requested_contexts = list(contexts)
    return ae


@contextmanager
def associated(
    ae: AE,
    peer: Peer,
    handlers: Mapping[Any, Handler] = MappingProxyType({}),
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association]:
    """An established association, released at the end.

    `handlers`: of what the peer may ask on it. `roles`: other than SCU (PS3.7 D.3.3.4).

    Raises:
        PeerError: there is no association, and why (see `PeerCause`).
    """
    name = f"{peer.name} ({peer.address}:{peer.port})"
    try:
        association = ae.associate(
            peer.address,
            peer.port,
            ae_title=peer.ae_title,
            tls_args=_tls_args(peer),
            evt_handlers=list(handlers.items()),
            ext_neg=list(roles),
        )
    except OSError as error:  # the name does not resolve
        text = f"{name} cannot be reached: {error.strerror or 'unknown host'}"
        raise PeerError(text, PeerCause.UNREACHABLE) from error
    if not association.is_established:
        raise why_not_associated(association, name)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


class KeptAssociation:
    """One association for all that a peer is asked in turn; another where the peer has left it."""

    def __init__(
        self,
        ae: AE,
        peer: Peer,
        handlers: Mapping[Any, Handler] = MappingProxyType({}),
        roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    ) -> None:
        """As `associated`; it is opened when it is first asked for."""
        self._associate = partial(associated, ae, peer, handlers, roles)
        self._open = ExitStack()
        self._association: Association | None = None

    def established(self) -> Association:
        """
        Raises:
            PeerError: as `associated`.
        """
        if self._association is None or not self._association.is_established:
            self.close()
            self._association = self._open.enter_context(self._associate())
        return self._association

    def close(self) -> None:
        self._open.close()
        self._association = None


def _tls_args(peer: Peer) -> tuple[ssl.SSLContext, str] | None:
    """As `AE.associate` wants them.

    Raises:
        PeerError: a file of ours cannot be used.
    """
    if peer.tls is None:
        return None
    try:
        return client_context(peer.tls), peer.tls.server_name or peer.address
    except ConfigurationError as error:  # it may be put right without a restart
        raise PeerError(f"{peer.name}: {error}", PeerCause.OURS) from error


_COMMENT_LENGTH = 64  # VR LO (PS3.5 table 6.2-1); peers may say more


@dataclass(frozen=True)
class StoreAnswer:
    """Status (0000,0900) of a C-STORE response, and its Error Comment (0000,0902) in one line."""

    status: int
    comment: str = ""


def c_store(association: Association, what: Path | Dataset) -> int:
    """As `c_store_answer`; the status."""
    return c_store_answer(association, what).status


def c_store_answer(association: Association, what: Path | Dataset) -> StoreAnswer:
    """C-STORE one file, its data set byte for byte as it is, or one data set.

    A data set is encoded as Implicit or Explicit VR Little Endian, whichever was accepted.

    Raises:
        PeerError: it was not accepted, cannot be encoded as accepted, or was not answered; why.
    """
    try:
        answer = association.send_c_store(what)
    except RuntimeError as error:  # not established any more
        raise unanswered(association, "C-STORE") from error
    except ValueError as error:  # no accepted context, or not to be encoded in it
        sop_class, accepted = _class_of(association, what)
        if not accepted:
            raise not_accepted("C-STORE", sop_class) from error
        raise PeerError(f"C-STORE not possible: {error}", PeerCause.OURS) from error
    if answer.get("Status") is None:
        raise unanswered(association, "C-STORE")
    return StoreAnswer(int(answer.Status), one_line(answer.get("ErrorComment")))


def one_line(value: object) -> str:
    """What a peer says of its answer, bounded and without control characters."""
    words = "".join(each if each.isprintable() else " " for each in str(value or "")).split()
    return " ".join(words)[:_COMMENT_LENGTH]


def unanswered(association: Association, asked: str) -> PeerError:
    """Why a request on an association that stood was not answered."""
    return why_ended(association, "the peer", asked, association.dimse_timeout)


def not_accepted(request: str, sop_class_uid: str) -> PeerError:
    """The peer accepts no context for what is to be asked of it."""
    text = f"{request} not possible: the peer does not accept {class_name(sop_class_uid)}"
    return PeerError(text, PeerCause.NOT_ACCEPTED)


def _class_of(association: Association, what: Path | Dataset) -> tuple[str, bool]:
    """The SOP class of an object, and whether the peer accepts it in some encoding."""
    data_set = pydicom.dcmread(what, stop_before_pixels=True) if isinstance(what, Path) else what
    accepted = {context.abstract_syntax for context in association.accepted_contexts}
    uid = data_set.get("SOPClassUID")
    return str(uid), uid in accepted


def echo(peer: Peer, calling_ae_title: str, timeout: float = 10.0) -> None:
    """C-ECHO a peer (PS3.7 section 9.1.5).

    Raises:
        PeerError: it does not answer 0x0000.
    """
    ae = requestor(calling_ae_title, [build_context(Verification)], timeout)
    with associated(ae, peer) as association:
        status = association.send_c_echo().get("Status")
    if status != SUCCESS:
        raise PeerError(f"{peer.name} did not answer C-ECHO with 0x0000", PeerCause.STATUS)
