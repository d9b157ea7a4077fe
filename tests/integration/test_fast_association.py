"""The fast receive path against real requestors and against scripted bad ones."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import random
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,
)
from pynetdicom.transport import ThreadedAssociationServer

from dicomnode.config.destinations import Destination
from dicomnode.fast_scp import association
from dicomnode.fast_scp.association import (
    FastAssociation,
    StoreRequest,
    request_handler,
    request_of,
)
from dicomnode.fast_scp.pdu import COMMAND, LAST, p_data_tf
from dicomnode.network.associations import associated, c_store, requestor
from storage.durable import GrowingFile
from storage.instances import InstanceFiles
from support.certificates import Authority
from support.data import PHILIPS
from support.phantom import write_series
from support.raw_peer import (
    ECHO_CONTEXT,
    STORE_CONTEXT,
    RawPeer,
    abort_rq,
    associate_rq,
    data_pdus,
    echo_command,
    element,
    release_rq,
    store_command,
    whole_command,
)
from support.tools import needed
from support.wait import PATIENCE_SECONDS, SLOWER, wait_for

ROOM = 1024
FOLDERS = 1  # of series, held open by `InstanceFiles`
TIMEOUT = 1.0
MAXIMUM_LENGTH = 32768
VERIFICATION = "1.2.840.10008.1.1"


@dataclass
class Acceptor:
    """An AE with the fast path, and what its handler was given."""

    ae: AE
    port: int
    files: InstanceFiles
    digests: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    unkept: list[tuple[str, ...]] = field(default_factory=list)
    answer: Callable[[StoreRequest], int | Dataset] = lambda _request: 0x0000
    fast: int = 0

    @property
    def peer(self) -> Destination:
        return Destination(name="node", ae_title="X", address="127.0.0.1", port=self.port)

    def store(self, request: StoreRequest) -> int | Dataset:
        self.digests[request.sop_instance_uid] = hashlib.sha256(request.data_set).hexdigest()
        assoc = request.association
        self.fast += isinstance(assoc, FastAssociation) and not assoc.dul._returned.is_set()
        if isinstance(request.content, GrowingFile):
            self.files.store("1.2", request.sop_instance_uid, bytes(ROOM), request.content)
        return self.answer(request)

    def is_idle(self) -> bool:
        return not [t for t in threading.enumerate() if t.name.startswith("AcceptorThread")]


@pytest.fixture
def acceptor(tmp_path: Path) -> Iterator[Acceptor]:
    ae = AE("DICOMNODE")
    ae.maximum_pdu_size = MAXIMUM_LENGTH
    ae.network_timeout = ae.acse_timeout = TIMEOUT
    ae.add_supported_context(VERIFICATION)
    ae.add_supported_context(StudyRootFind)
    for syntax in (None, *{pydicom.dcmread(f).file_meta.TransferSyntaxUID for f in PHILIPS[:1]}):
        ae.add_supported_context(CTImageStorage, syntax or ["1.2.840.10008.1.2.1"])
    made = Acceptor(ae, 0, InstanceFiles(tmp_path / "instances"))

    def note(event: evt.Event) -> None:
        made.events.append(event.event.name.removeprefix("EVT_"))

    told = (evt.EVT_ESTABLISHED, evt.EVT_RELEASED, evt.EVT_ABORTED, evt.EVT_CONN_CLOSE)
    server = ae.make_server(
        ("127.0.0.1", 0),
        evt_handlers=[
            (evt.EVT_C_STORE, lambda event: made.store(request_of(event))),
            (evt.EVT_C_ECHO, lambda _event: 0x0000),
            (evt.EVT_C_FIND, lambda _event: iter([(0x0000, None)])),
            *((event, note) for event in told),
        ],
        server_class=ThreadedAssociationServer,
        request_handler=request_handler(
            made.store,
            lambda: made.files.grow(ROOM),
            lambda _association, *told: made.unkept.append(told),
        ),
    )
    ae._servers.append(server)
    assert server.socket is not None
    server.socket.listen(256)
    made.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    yield made
    wait_for(made.is_idle, "no association is left")
    wait_for(
        lambda: len(os.listdir("/proc/self/fd")) <= descriptors + FOLDERS,  # noqa: PTH208
        "no descriptor is left",
        20,
    )
    ae.shutdown()


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    return write_series(tmp_path / "series", slices=1)[0]


def digest_of(file: Path) -> str:
    content = file.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    return hashlib.sha256(content[start:]).hexdigest()


def sent_by(acceptor: Acceptor, *files: Path, echo_between: bool = False) -> list[int | None]:
    first = pydicom.dcmread(files[0])
    contexts = [
        build_context(first.SOPClassUID, first.file_meta.TransferSyntaxUID),
        build_context(VERIFICATION),
    ]
    with associated(requestor("TESTER", contexts, 20), acceptor.peer) as association:
        statuses: list[int | None] = []
        for file in files:
            statuses.append(c_store(association, file))
            if echo_between:
                statuses.append(association.send_c_echo().get("Status"))
    return statuses


def test_pynetdicom_sends_and_echoes_in_one_association(acceptor: Acceptor, tmp_path: Path) -> None:
    files = write_series(tmp_path / "three", slices=3)
    assert sent_by(acceptor, *files, echo_between=True) == [0x0000] * 6
    assert sorted(acceptor.digests.values()) == sorted(map(digest_of, files))
    assert acceptor.fast == 3
    wait_for(lambda: "CONN_CLOSE" in acceptor.events, "the connection is closed")
    assert sorted(acceptor.events) == ["CONN_CLOSE", "ESTABLISHED", "RELEASED"]


@pytest.mark.parametrize("sender", [("storescu", "-xt"), ("dcmsend", "--decompress-never")])
def test_dcmtk_sends_a_real_series(
    acceptor: Acceptor, tmp_path: Path, sender: tuple[str, str]
) -> None:
    """DCMTK writes a data set anew when it sends it; after `dcmconv` it changes nothing more."""
    dcmconv = needed("dcmconv", "dcmtk")
    series = [tmp_path / file.name for file in PHILIPS[:12]]
    for file, converted in zip(PHILIPS, series, strict=False):
        subprocess.run([dcmconv, str(file), str(converted)], check=True, timeout=PATIENCE_SECONDS)
    command = [needed(sender[0], "dcmtk"), sender[1], "127.0.0.1", str(acceptor.port)]
    command += map(str, series)
    subprocess.run(
        command, check=True, env=os.environ | {"TCP_NODELAY": "1"}, timeout=PATIENCE_SECONDS
    )
    assert sorted(acceptor.digests.values()) == sorted(map(digest_of, series))
    assert acceptor.fast == len(series)


def test_a_peer_that_takes_only_short_pdus_gets_the_response_in_pieces(
    acceptor: Acceptor,
) -> None:
    with RawPeer(acceptor.port) as peer:
        peer.associate(maximum_length=64)
        peer.say(whole_command(store_command()), *data_pdus(b"\1" * 100, 30))
        pieces = [peer.hear()]
        while not pieces[-1][11] & LAST:
            pieces.append(peer.hear())
        assert len(pieces) == 2
        assert max(map(len, pieces)) <= 64 + 6
        assert b"".join(piece[12:] for piece in pieces).endswith(b"1.2.3.4\0")
        peer.say(release_rq())
        assert peer.hear()[0] == 6


def test_fragments_of_any_size_and_several_in_a_pdu(acceptor: Acceptor) -> None:
    data_set, request = os.urandom(300_000), store_command()
    pieces = [(STORE_CONTEXT, COMMAND, request[:10]), (STORE_CONTEXT, COMMAND | LAST, request[10:])]
    rng = random.Random(5)
    with RawPeer(acceptor.port) as peer:
        peer.associate()
        at = 0
        while at < len(data_set):
            size = rng.choice([0, 1, 7, 5000, 12000])
            last = LAST if at + size >= len(data_set) else 0
            pieces.append((STORE_CONTEXT, last, data_set[at : at + size]))
            at += size
            if len(pieces) >= 2:
                peer.say(p_data_tf(pieces))
                pieces = []
        if pieces:
            peer.say(p_data_tf(pieces))
        assert peer.hear()[0] == 4
        peer.say(release_rq())
        peer.hear()
    assert acceptor.digests == {"1.2.3.4": hashlib.sha256(data_set).hexdigest()}


def test_requests_sent_ahead_of_their_responses_are_all_answered(acceptor: Acceptor) -> None:
    with RawPeer(acceptor.port) as peer:
        peer.associate()
        for number in range(50):
            peer.say(whole_command(store_command(f"1.2.{number}")), *data_pdus(b"ab", 1))
        assert all(peer.hear()[0] == 4 for _ in range(50))
        peer.say(abort_rq())
        assert peer.hear() == b""
    assert len(acceptor.digests) == 50
    wait_for(lambda: "ABORTED" in acceptor.events, "the end is told")


def test_a_status_with_a_comment_and_a_fault_of_the_handler(
    acceptor: Acceptor, instance: Path
) -> None:
    def comment(_request: StoreRequest) -> Dataset:
        answer = Dataset()
        answer.Status, answer.ErrorComment = 0xA700, "disk is full"
        return answer

    def fail(_request: StoreRequest) -> int:
        raise ZeroDivisionError

    context = [build_context(CTImageStorage, "1.2.840.10008.1.2.1")]
    with associated(requestor("TESTER", context, 20), acceptor.peer) as association:
        acceptor.answer = comment
        answer = association.send_c_store(instance)
        assert (answer.Status, answer.ErrorComment) == (0xA700, "disk is full")
        acceptor.answer = fail
        assert association.send_c_store(instance).Status == 0xC211
        acceptor.answer = lambda _request: 0x0000
        assert association.send_c_store(instance).Status == 0x0000
    assert acceptor.fast == 3


def test_other_services_and_odd_commands_go_to_pynetdicom(
    acceptor: Acceptor, instance: Path
) -> None:
    contexts = [build_context(CTImageStorage, "1.2.840.10008.1.2.1"), build_context(StudyRootFind)]
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", ""
    with associated(requestor("TESTER", contexts, 20), acceptor.peer) as association:
        assert c_store(association, instance) == 0x0000
        found = list(association.send_c_find(query, StudyRootFind))
        assert [status.Status for status, _ in found] == [0x0000]
        assert c_store(association, instance) == 0x0000
    assert (acceptor.fast, len(acceptor.digests)) == (1, 1)


def test_an_odd_command_is_served_with_what_came_with_it(acceptor: Acceptor) -> None:
    odd = store_command("1.2.9", element(0x5010, b"odd "))  # a retired element
    data = b"\x08\0\x18\0UI\x06\x001.2.9\0"
    pieces = [(STORE_CONTEXT, COMMAND | LAST, odd), (STORE_CONTEXT, 0, data[:5])]
    with RawPeer(acceptor.port) as peer:
        peer.associate()
        peer.say(p_data_tf(pieces), *data_pdus(data[5:], 4))
        assert peer.hear()[0] == 4
        peer.say(release_rq())
        assert peer.hear()[0] == 6
    assert acceptor.digests == {"1.2.9": hashlib.sha256(data).hexdigest()}
    assert acceptor.fast == 0


def test_a_data_set_too_large_for_memory_grows_in_a_file(acceptor: Acceptor) -> None:
    block, digest = os.urandom(1 << 20), hashlib.sha256()
    with RawPeer(acceptor.port, 30) as peer:
        peer.associate()
        peer.say(whole_command(store_command("1.2.7")))
        for number in range(80):
            digest.update(block)
            pieces = data_pdus(block, 30_000)
            peer.say(*(pieces if number == 79 else [p[:11] + b"\0" + p[12:] for p in pieces]))
        assert peer.hear()[0] == 4
        peer.say(release_rq())
        peer.hear()
    assert acceptor.digests == {"1.2.7": digest.hexdigest()}
    (stored,) = (acceptor.files.open_path(path) for path in acceptor.files.iter_paths())
    assert stored.stat().st_size == ROOM + 80 * (1 << 20)
    assert list((stored.parents[2] / "incoming").iterdir()) == []


def test_a_data_set_that_the_disk_does_not_take_as_it_grows_is_refused_by_its_name(
    acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_files: InstanceFiles, _room: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(InstanceFiles, "grow", full)
    with RawPeer(acceptor.port, 30) as peer:
        peer.associate()
        peer.say(whole_command(store_command("1.2.7")))
        for number in range(66):
            pieces = data_pdus(bytes(1 << 20), 30_000)
            peer.say(*(pieces if number == 65 else [p[:11] + b"\0" + p[12:] for p in pieces]))
        status = b"\0\0\0\x09\2\0\0\0\0\xa7"  # (0000,0900), 0xA700
        assert status in peer.hear()
        peer.say(release_rq())
        peer.hear()
    assert acceptor.unkept == [(str(CTImageStorage), "1.2.7")]
    assert acceptor.digests == {}


COMMAND_PDU = whole_command(store_command())
WRONG = {
    "length 0": ([b"\x04\0\0\0\0\0"], 6),
    "absurd length": ([b"\x04\0\xff\xff\xff\xff"], 6),
    "longer than agreed": ([b"\x04\0" + (MAXIMUM_LENGTH + 2000).to_bytes(4, "big")], 6),
    "PDV length 1": ([b"\x04\0\0\0\0\x06\0\0\0\1\1\3"], 6),
    "PDV past the end": ([b"\x04\0\0\0\0\x06\0\0\0\x09\1\3"], 6),
    "context not accepted": ([whole_command(store_command(), 9)], 6),
    "context changes": ([COMMAND_PDU, *data_pdus(b"ab", 2, ECHO_CONTEXT)], 6),
    "data without command": (data_pdus(b"ab", 2), 5),
    "command amid data": ([COMMAND_PDU, p_data_tf([(1, 0, b"ab")]), COMMAND_PDU], 5),
    "endless command": ([p_data_tf([(1, COMMAND, bytes(16000))])] * 2, 6),
    "unknown PDU type": ([b"\x4f\0\0\0\0\0"], None),
    "A-ASSOCIATE-RQ again": ([associate_rq()], None),
    "command that nothing can decode": ([whole_command(b"\0\0\0\1\2\0\0\0\1\0")], 6),
    "A-ASSOCIATE-RQ of absurd length": ([b"\x01\0\x7f\xff\xff\xff"], 6),
}


@pytest.mark.parametrize(("pdus", "reason"), WRONG.values(), ids=WRONG.keys())
def test_wrong_pdus_are_answered_by_an_abort_with_its_reason(
    acceptor: Acceptor, pdus: list[bytes], reason: int | None
) -> None:
    with RawPeer(acceptor.port) as peer:
        assert peer.associate()[0] == 2
        peer.say(*pdus)
        abort = peer.hear()
        assert abort[0] == 7
        assert abort[8] == 2  # service provider (PS3.8 9.3.8)
        assert reason is None or abort[9] == reason
        assert peer.hear() == b""
    wait_for(lambda: "ABORTED" in acceptor.events, "the abort is told")
    assert acceptor.digests == {}


STALLS = {
    "nothing at all": [],
    "half a head": [b"\x04\0\0"],
    "half a PDU": [COMMAND_PDU[:50]],
    "half a data set": [COMMAND_PDU, p_data_tf([(1, 0, bytes(100))])],
}


@pytest.mark.parametrize("pdus", STALLS.values(), ids=STALLS.keys())
def test_a_peer_that_stalls_is_aborted_at_the_network_time_out(
    acceptor: Acceptor, pdus: list[bytes]
) -> None:
    with RawPeer(acceptor.port) as peer:
        peer.associate()
        begun = time.monotonic()
        peer.say(*pdus)
        assert peer.hear()[0] == 7
        assert 0.9 * TIMEOUT < time.monotonic() - begun < 3 * TIMEOUT * SLOWER


@pytest.mark.parametrize("begin", [b"", b"\x01\0\0", associate_rq()[:60]], ids=len)
def test_a_peer_that_never_ends_its_request_is_let_go(acceptor: Acceptor, begin: bytes) -> None:
    with RawPeer(acceptor.port) as peer:
        begun = time.monotonic()
        peer.say(begin)
        assert peer.hear() == b""
        assert time.monotonic() - begun < 3 * TIMEOUT * SLOWER


def test_a_peer_that_drips_a_pdu_byte_by_byte_is_aborted(acceptor: Acceptor) -> None:
    with RawPeer(acceptor.port) as peer:
        peer.associate()
        begun, at = time.monotonic(), 0
        while time.monotonic() - begun < 3 * TIMEOUT and acceptor.events == ["ESTABLISHED"]:
            peer.say(COMMAND_PDU[at : at + 1])
            at += 1
            threading.Event().wait(0.1)  # its pace
        assert peer.hear()[0] == 7
        assert at < len(COMMAND_PDU)


def test_bare_connections_are_gone_at_once(acceptor: Acceptor) -> None:
    acceptor.ae.acse_timeout = acceptor.ae.network_timeout = 2 * PATIENCE_SECONDS
    for _ in range(50):
        with RawPeer(acceptor.port):
            pass
    wait_for(acceptor.is_idle, "no thread waits for a request")


def test_shutdown_ends_an_association_amid_a_data_set(acceptor: Acceptor) -> None:
    acceptor.ae.network_timeout = 60 * SLOWER
    with RawPeer(acceptor.port) as peer:
        peer.associate()
        peer.say(COMMAND_PDU, p_data_tf([(1, 0, bytes(100))]))
        wait_for(lambda: acceptor.events, "it stands")
        begun = time.monotonic()
        acceptor.ae.shutdown()
        assert peer.hear()[0] == 7
        assert time.monotonic() - begun < 3 * SLOWER


def test_mutated_conversations_cost_nobody_else_anything(
    acceptor: Acceptor, instance: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    good = [associate_rq(), COMMAND_PDU, *data_pdus(os.urandom(3000), 700)]
    good += [whole_command(echo_command(), ECHO_CONTEXT), release_rq()]
    rng = random.Random(20261121)
    first = pydicom.dcmread(instance)
    context = build_context(CTImageStorage, first.file_meta.TransferSyntaxUID)
    acceptor.ae.network_timeout = 600  # who is innocent waits between the others
    with associated(requestor("INNOCENT", [context], 30), acceptor.peer) as innocent:
        acceptor.ae.network_timeout = TIMEOUT  # of the others; it reaches those that stand, too
        for each in acceptor.ae.active_associations:
            each.network_timeout = 600
        for number in range(300):
            with RawPeer(acceptor.port, 6 * TIMEOUT) as peer:
                peer.say_all(mutated(good, rng))
                while peer.hear():  # a time-out here would be a hang
                    pass
            if number % 50 == 0:
                assert c_store(innocent, instance) == 0x0000
        assert c_store(innocent, instance) == 0x0000
    assert acceptor.digests[first.SOPInstanceUID] == digest_of(instance)


def mutated(good: list[bytes], rng: random.Random) -> list[bytes]:
    """Bytes changed, inserted or left out anywhere; PDUs dropped, doubled, exchanged."""
    pdus = [bytearray(pdu) for pdu in good]
    for _ in range(rng.randint(1, 5)):
        pdu = rng.choice(pdus[1:] if rng.random() < 0.8 else pdus)
        at = rng.randrange(min(len(pdu), 120))
        noise = rng.randbytes(rng.randint(0, 4))
        pdu[at : at + rng.randint(0, 4)] = noise
        if not pdu:
            pdu += b"\4"
    for _ in range(rng.randint(0, 2)):
        pdus.insert(rng.randint(1, len(pdus)), rng.choice(pdus))
    if rng.random() < 0.3:
        del pdus[rng.randrange(len(pdus))]
    return [bytes(pdu) for pdu in pdus]


def test_tls_carries_it_as_well(acceptor: Acceptor, tmp_path: Path) -> None:
    """An SSLSocket holds bytes that no poll of its descriptor tells of."""
    files = write_series(tmp_path / "three", slices=3)
    issued = Authority(tmp_path / "authority", "TEST").issue("node")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.private_key)
    (server,) = acceptor.ae._servers
    server.ssl_context = context
    trusting = ssl.create_default_context(cafile=str(tmp_path / "authority" / "ca.pem"))
    ae = requestor("TESTER", [build_context(CTImageStorage, "1.2.840.10008.1.2.1")], 20)
    association = ae.associate("127.0.0.1", acceptor.port, tls_args=(trusting, "localhost"))
    assert [association.send_c_store(file).Status for file in files] == [0x0000] * 3
    association.release()
    assert sorted(acceptor.digests.values()) == sorted(map(digest_of, files))
    assert acceptor.fast == 3


def test_the_fast_path_fits_linux_and_bounded_pdus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ae = AE("X")
    ae.maximum_pdu_size = 131072
    assert association.fits(ae)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not association.fits(ae)
    monkeypatch.undo()
    ae.maximum_pdu_size = 0
    assert not association.fits(ae)
