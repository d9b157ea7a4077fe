"""The parts of pynetdicom that acceptors and requestors share: AEs, contexts, associations."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from dicomnode.config import Destination
from dicomnode.errors import ConfigurationError, PeerError
from dicomnode.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

log = logging.getLogger(__name__)

SUCCESS = 0x0000

# A file is sent as its bytes are; by default pynetdicom decodes it and encodes it again.
_config.STORE_SEND_CHUNKED_DATASET = True

Handler = Callable[[evt.Event], Any]


def application_entity(ae_title: str) -> AE:
    """An Application Entity that says what implementation it is (PS3.7 D.3.3.2)."""
    ae = AE(ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return ae


def accept_any_storage(ae: AE) -> None:
    """Accept C-ECHO, and whatever a peer wants to store, in the transfer syntax it names first.

    Standard storage SOP classes, retired and private ones: a refused context makes a PACS report
    errors for the whole study. Holds for all acceptors of this process.
    """
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    ae.add_supported_context(Verification)


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


def listen(
    ae: AE, address: tuple[str, int], handlers: dict[Any, Handler]
) -> tuple[ThreadedAssociationServer, int]:
    """Listen for associations in threads of their own; the server and its port.

    Raises:
        ConfigurationError: the address cannot be bound; names it and why.
    """
    bound: list[EventHandlerType] = [*handlers.items(), (evt.EVT_C_ECHO, lambda _event: SUCCESS)]
    try:
        server = ae.start_server(address, block=False, evt_handlers=bound)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {address[0]}:{address[1]}: {error}") from error
    if server is None or server.socket is None:
        raise ConfigurationError(f"cannot listen on {address[0]}:{address[1]}")
    return server, int(server.socket.getsockname()[1])


def requestor(ae_title: str, contexts: Sequence[PresentationContext], timeout: float) -> AE:
    """An Application Entity that opens associations; `timeout` in seconds bounds each wait."""
    ae = application_entity(ae_title)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout
    ae.requested_contexts = list(contexts)
    return ae


@contextmanager
def associated(ae: AE, peer: Destination) -> Iterator[Association]:
    """An established association, released at the end.

    Raises:
        PeerError: the peer cannot be reached or rejects the association; says which.
    """
    try:
        association = ae.associate(peer.address, peer.port, ae_title=peer.ae_title)
    except OSError as error:  # the name does not resolve
        raise PeerError(f"{peer.name} ({peer.address}): {error.strerror}") from error
    if association.is_rejected:
        answer = association.acceptor.primitive
        why = "" if answer is None else f": {answer.reason_str}"
        raise PeerError(f"{peer.name} rejected the association{why}")
    if not association.is_established:
        raise PeerError(f"{peer.name} ({peer.address}:{peer.port}) cannot be reached")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def c_store(association: Association, what: Path | Dataset) -> int:
    """C-STORE one file, its data set byte for byte as it is, or one data set; the status.

    A data set is encoded as Implicit or Explicit VR Little Endian, whichever was accepted.

    Raises:
        PeerError: no presentation context was accepted for it, or the association broke off.
    """
    try:
        status = association.send_c_store(what).get("Status")
    except (RuntimeError, ValueError) as error:  # not established; no accepted context
        raise PeerError(f"C-STORE not possible: {error}") from error
    if status is None:
        raise PeerError("the association broke off before the response")
    return int(status)


def echo(peer: Destination, calling_ae_title: str, timeout: float = 10.0) -> None:
    """C-ECHO a peer (PS3.7 section 9.1.5).

    Raises:
        PeerError: it does not answer 0x0000.
    """
    ae = requestor(calling_ae_title, [build_context(Verification)], timeout)
    with associated(ae, peer) as association:
        status = association.send_c_echo().get("Status")
    if status != SUCCESS:
        raise PeerError(f"{peer.name} did not answer C-ECHO with 0x0000")
