"""Why a peer could not be asked: each cause by a real socket that behaves so, none mixed up."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider

from dicomnode.config.destinations import Destination
from dicomnode.decisions.arrival.admission import AdmissionPolicy, Peer
from dicomnode.errors import PeerCause, PeerError
from dicomnode.network.associations import associated, c_store, echo, requestor
from dicomnode.tls import DestinationTls, TlsPolicy
from support.acceptor import running_acceptor
from support.certificates import Authority
from support.node import free_port
from support.wait import PATIENCE_SECONDS, SLOWER

CONTEXTS = [build_context(CTImageStorage)]
REJECTED_RQ = b"\x03\0\0\0\0\4\0"  # A-ASSOCIATE-RJ, without result, source and reason
ABORT = b"\x07\0\0\0\0\4\0\0"  # A-ABORT, without source and reason


def destination(
    port: int, address: str = "127.0.0.1", tls: DestinationTls | None = None
) -> Destination:
    return Destination(name="pacs", ae_title="PACS", address=address, port=port, tls=tls)


@contextmanager
def listening(speak: Callable[[socket.socket], None]) -> Iterator[Destination]:
    """A peer that does with one connection what the test wants."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _address = server.accept()
                with connection:
                    speak(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield destination(server.getsockname()[1])
    thread.join(PATIENCE_SECONDS)


def answering(*pdus: bytes) -> Callable[[socket.socket], None]:
    """Say so after the A-ASSOCIATE-RQ; close when the other side says or closes anything."""

    def speak(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"".join(pdus))
        connection.recv(1 << 16)

    return speak


def fault(peer: Destination, timeout: float = 20.0) -> PeerError:
    with (
        pytest.raises(PeerError) as caught,
        associated(requestor("NODE", CONTEXTS, timeout), peer),
    ):
        pass
    assert caught.value.cause is PeerCause.UNREACHABLE or "reached" not in str(caught.value)
    return caught.value


def test_nobody_listens() -> None:
    port = free_port()
    error = fault(destination(port))
    assert error.cause is PeerCause.UNREACHABLE
    assert str(error) == f"pacs (127.0.0.1:{port}) cannot be reached: Connection refused"


def test_a_host_that_is_unknown() -> None:
    error = fault(destination(104, "no-such-host.invalid"))
    assert error.cause is PeerCause.UNREACHABLE
    assert "pacs (no-such-host.invalid:104) cannot be reached: " in str(error)


def test_a_connection_that_is_not_taken_in_time() -> None:
    """The kernel answers no more connections than fit the queue of a socket that nobody serves."""
    with socket.socket() as server, contextlib.ExitStack() as waiting:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            filling = waiting.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(server.getsockname())
        error = fault(destination(server.getsockname()[1]), timeout=1.0)
    assert error.cause is PeerCause.UNREACHABLE
    assert str(error).endswith("cannot be reached: timed out")


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((1, 1, 1), "no reason given, rejected for good"),
        ((1, 1, 2), "application context name not supported"),
        ((1, 1, 3), "calling AE title not recognized"),
        ((1, 1, 7), "called AE title not recognized"),
        ((1, 2, 2), "protocol version not supported"),
        ((2, 3, 1), "temporary congestion, rejected for the moment"),
        ((2, 3, 2), "local limit of associations exceeded, rejected for the moment"),
        ((1, 9, 9), "a reason unknown to the standard"),
    ],
)
def test_a_rejection_is_told_in_words(numbers: tuple[int, int, int], words: str) -> None:
    with listening(answering(REJECTED_RQ + bytes(numbers))) as peer:
        error = fault(peer)
    assert error.cause is PeerCause.REJECTED
    assert f"rejected the association: {words}" in str(error)
    assert "(result {}, source {}, reason {})".format(*numbers) in str(error)


def test_a_node_that_does_not_know_us_rejects() -> None:
    with running_acceptor(AdmissionPolicy((Peer("OTHER", ("*",)),), ("DICOMNODE",))) as acceptor:
        error = fault(destination(acceptor.port))
    assert error.cause is PeerCause.REJECTED
    assert "calling AE title not recognized" in str(error)


def test_classes_that_are_not_accepted_are_named() -> None:
    with running_acceptor(AdmissionPolicy((), ("*",), allow_any=True)) as acceptor:
        peer = destination(acceptor.port)
        wanted = [build_context(MRImageStorage), build_context(CTImageStorage, "1.2.3.4")]
        with pytest.raises(PeerError) as caught, associated(requestor("NODE", wanted, 20), peer):
            pass
        assert caught.value.cause is PeerCause.NOT_ACCEPTED
        assert str(caught.value).endswith(
            "accepts none of what was offered: MR Image Storage (class not supported), "
            "CT Image Storage (transfer syntaxes not supported)"
        )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ((0, 0), "by its application"),
        ((1, 7), "by its application"),
        ((2, 5), "by its upper layer, unexpected PDU parameter"),
        ((2, 3), "by its upper layer, reason unknown"),
    ],
)
def test_an_abort_is_no_lost_connection(source: tuple[int, int], words: str) -> None:
    with listening(answering(ABORT + bytes(source))) as peer:
        error = fault(peer)
    assert error.cause is PeerCause.ABORTED
    assert str(error).endswith(f"aborted the association: {words}")


def test_a_connection_that_is_closed_without_a_word() -> None:
    with listening(lambda connection: connection.shutdown(socket.SHUT_RDWR)) as peer:
        assert fault(peer).cause is PeerCause.LOST


def test_a_peer_that_says_nothing() -> None:
    with listening(answering()) as peer:
        error = fault(peer, timeout=1.0)
    assert error.cause is PeerCause.NO_ANSWER
    assert str(error).endswith("the association request was not answered within 1 s")


def test_a_web_server() -> None:
    with listening(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as peer:
        error = fault(peer)
    assert error.cause is PeerCause.NO_DICOM
    assert "does that port want TLS?" in str(error)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "authority", "hospital")


def policy(authority: Authority, name: str = "pacs", days: int = 365) -> TlsPolicy:
    own = authority.issue(name, days)
    ca = str(authority.certificate)
    return TlsPolicy(certificate=str(own.certificate), private_key=str(own.private_key), peer_ca=ca)


def test_a_certificate_of_a_stranger(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "elsewhere")
    with running_acceptor(tls=policy(authority)) as acceptor:
        error = fault(destination(acceptor.port, tls=DestinationTls(str(other.certificate))))
    assert error.cause is PeerCause.TLS
    assert "TLS failed: certificate verify failed" in str(error)


def test_a_certificate_that_has_ended(authority: Authority) -> None:
    with running_acceptor(tls=policy(authority, "old", days=-1)) as acceptor:
        error = fault(destination(acceptor.port, tls=DestinationTls(str(authority.certificate))))
    assert error.cause is PeerCause.TLS
    assert "certificate has expired" in str(error)


def test_a_peer_that_asks_for_a_certificate_which_we_have_not(authority: Authority) -> None:
    """In TLS 1.3 its refusal comes after our side of the handshake has ended."""
    with running_acceptor(tls=policy(authority)) as acceptor:
        error = fault(destination(acceptor.port, tls=DestinationTls(str(authority.certificate))))
    assert error.cause is PeerCause.TLS, error
    assert "certificate required" in str(error)


def test_tls_towards_a_port_without(authority: Authority) -> None:
    with listening(answering(ABORT + bytes(2))) as peer:
        tls = DestinationTls(str(authority.certificate))
        error = fault(peer.model_copy(update={"tls": tls}))
    assert error.cause is PeerCause.TLS


def test_no_tls_towards_a_port_with(authority: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own = authority.issue("strict")
    context.load_cert_chain(own.certificate, own.private_key)

    def speak(connection: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError):
            context.wrap_socket(connection, server_side=True)

    with listening(speak) as peer:
        assert fault(peer).cause in {PeerCause.NO_DICOM, PeerCause.LOST}


def test_a_certificate_of_ours_that_is_not_there(tmp_path: Path) -> None:
    tls = DestinationTls(str(tmp_path / "none.pem"))
    assert fault(destination(free_port(), tls=tls)).cause is PeerCause.OURS


@contextmanager
def storing(handler: Callable[[evt.Event], int]) -> Iterator[Destination]:
    ae = AE("PACS")
    ae.add_supported_context(CTImageStorage)
    ae.add_supported_context("1.2.840.10008.1.1")
    handlers = [(evt.EVT_C_STORE, handler), (evt.EVT_C_ECHO, handler)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)  # type: ignore[arg-type]
    assert server is not None
    try:
        yield destination(server.server_address[1])
    finally:
        ae.shutdown()


def instance(sop_class: str = CTImageStorage) -> Dataset:
    data_set = Dataset()
    data_set.SOPClassUID, data_set.SOPInstanceUID = sop_class, "1.2.3"
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return data_set


def stored(peer: Destination, what: Dataset, timeout: float = 20.0) -> PeerError:
    with (
        pytest.raises(PeerError) as caught,
        associated(requestor("NODE", CONTEXTS, timeout), peer) as association,
    ):
        c_store(association, what)
    return caught.value


def test_an_abort_instead_of_a_response() -> None:
    def abort(event: evt.Event) -> int:
        event.assoc.abort()
        return 0

    with storing(abort) as peer:
        assert stored(peer, instance()).cause is PeerCause.ABORTED


def test_a_connection_lost_instead_of_a_response() -> None:
    def lose(event: evt.Event) -> int:
        connection = event.assoc.dul.socket
        assert connection is not None
        assert connection.socket is not None
        connection.socket.shutdown(socket.SHUT_RDWR)
        return 0

    with storing(lose) as peer:
        assert stored(peer, instance()).cause is PeerCause.LOST


def test_a_response_that_does_not_come() -> None:
    answer = threading.Event()

    def wait(_event: evt.Event) -> int:
        answer.wait(PATIENCE_SECONDS)
        return 0

    with storing(wait) as peer:
        error = stored(peer, instance(), timeout=1.0)
        answer.set()
    assert error.cause is PeerCause.NO_ANSWER
    assert "C-STORE was not answered within 1 s" in str(error)


def test_the_reactor_takes_no_answer_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both lose the processor where it hurts: it on its way to look, we on ours to the answer."""
    get_msg = DIMSEServiceProvider.get_msg

    def say_whether_paused(association: Association, paused: bool) -> None:
        if not paused and association.is_requestor and association.is_established:
            time.sleep(0.1)
        vars(association)["paused"] = paused

    def get_late(dimse: DIMSEServiceProvider, block: bool = False) -> object:
        if block:
            time.sleep(0.2)
        return get_msg(dimse, block)

    paused = property(lambda association: vars(association)["paused"], say_whether_paused)
    monkeypatch.setattr(Association, "_is_paused", paused, raising=False)
    monkeypatch.setattr(DIMSEServiceProvider, "get_msg", get_late)
    with (
        storing(lambda _event: 0) as peer,
        associated(requestor("NODE", CONTEXTS, 2.0), peer) as association,
    ):
        assert [c_store(association, instance()) for _ in range(3)] == [0] * 3


def test_an_object_of_a_class_that_was_not_accepted() -> None:
    with storing(lambda _event: 0) as peer:
        assert stored(peer, instance(MRImageStorage)).cause is PeerCause.NOT_ACCEPTED


def test_a_peer_that_answers_an_echo_with_a_failure() -> None:
    with storing(lambda _event: 0x0122) as peer, pytest.raises(PeerError) as caught:
        echo(peer, "NODE")
    assert caught.value.cause is PeerCause.STATUS


def test_a_peer_that_takes_nothing_any_more_is_not_waited_for_without_end() -> None:
    """Its window is full: the send itself has a time-out."""
    ready = threading.Event()

    def accept_then_sleep(connection: socket.socket) -> None:
        request = connection.recv(1 << 16)
        connection.sendall(_accept(request))
        ready.wait(PATIENCE_SECONDS)

    large = instance()
    large.PixelData, large["PixelData"].VR = bytes(64 << 20), "OW"
    began = time.monotonic()
    with listening(accept_then_sleep) as peer:
        error = stored(peer, large, timeout=2.0)
        ready.set()
    assert error.cause in {PeerCause.LOST, PeerCause.NO_ANSWER}
    assert time.monotonic() - began < 25 * SLOWER


def _accept(request: bytes) -> bytes:
    """The A-ASSOCIATE-AC to a request whose one context is Implicit VR Little Endian."""
    context = b"\x21\0\0\x19\1\0\0\0\x40\0\0\x11" + b"1.2.840.10008.1.2"
    user = b"\x50\0\0\x0d\x51\0\0\4\0\0\x40\0\x52\0\0\1" + b"1"
    body = request[6:74] + b"\x10\0\0\x15" + b"1.2.840.10008.3.1.1.1" + context + user
    return b"\x02\0" + len(body).to_bytes(4, "big") + body
