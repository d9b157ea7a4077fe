"""The door on the wire: who is refused gets the right A-ASSOCIATE-RJ, and the log knows why."""

from __future__ import annotations

import logging
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import AssociationSocket

from dicomnode.decisions.arrival.admission import AdmissionPolicy, Peer, RejectReason
from dicomnode.network.associations import requestor
from dicomnode.receive.refusals import Refusals
from storage.database import Database
from storage.refusals import recent
from support.acceptor import ANYBODY, Acceptor, running_acceptor
from support.phantom import write_series
from support.raw_peer import RawPeer, associate_rq_of
from support.tools import needed
from support.wait import PATIENCE_SECONDS

KNOWN = AdmissionPolicy(
    peers=(Peer("CT1", ("127.0.0.0/8",)), Peer("AWAY", ("192.0.2.7",))),
    called_ae_titles=("DICOMNODE",),
)
CALLING, CALLED = (
    RejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED,
    RejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED,
)


def dcmtk(program: str, acceptor: Acceptor, calling: str, called: str, *files: Path) -> str:
    """What the program said when it failed; "" when it did not."""
    command = [needed(program, "dcmtk"), "-aet", calling, "-aec", called]
    command += ["127.0.0.1", str(acceptor.port), *map(str, files)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    return "" if done.returncode == 0 else done.stderr + done.stdout


def association_request(port: int, monkeypatch: pytest.MonkeyPatch) -> bytearray:
    """The A-ASSOCIATE-RQ PDU of a good conversation."""
    sent: list[bytes] = []
    send = AssociationSocket.send

    def recorded(self: AssociationSocket, pdu: bytes) -> None:
        if self.assoc.is_requestor:
            sent.append(bytes(pdu))
        send(self, pdu)

    with monkeypatch.context() as patch:
        patch.setattr(AssociationSocket, "send", recorded)
        ae = requestor("CT1", [build_context(Verification)], 10)
        ae.associate("127.0.0.1", port, ae_title="DICOMNODE").release()
    return bytearray(sent[0])


def answer(port: int, request: bytearray) -> bytes:
    """All that is answered until the connection is closed."""
    answered = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(request)
        while block := peer.recv(65536):
            answered += block
    return answered


def test_who_is_named_is_served(tmp_path: Path) -> None:
    (file,) = write_series(tmp_path / "series", slices=1)
    with running_acceptor(KNOWN) as acceptor:
        assert dcmtk("echoscu", acceptor, "CT1", "DICOMNODE") == ""
        assert dcmtk("storescu", acceptor, "CT1", "DICOMNODE", file) == ""
        assert acceptor.gate.refused == {}
        assert len(acceptor.stored) == 1


@pytest.mark.parametrize(
    ("calling", "called", "told", "logged", "reject"),
    [
        ("MR1", "DICOMNODE", "Calling AE Title Not Recognized", "is not known", CALLING),
        ("AWAY", "DICOMNODE", "Calling AE Title Not Recognized", "not from this", CALLING),
        ("CT1", "STORESCP", "Called AE Title Not Recognized", "is not ours", CALLED),
    ],
)
def test_who_is_not_is_refused_even_an_echo(
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    calling: str,
    called: str,
    told: str,
    logged: str,
    reject: RejectReason,
) -> None:
    (file,) = write_series(tmp_path / "series", slices=1)
    with running_acceptor(KNOWN) as acceptor:
        assert told in dcmtk("echoscu", acceptor, calling, called)
        assert told in dcmtk("storescu", acceptor, calling, called, file)
        assert acceptor.gate.refused == {reject: 2}
        assert acceptor.stored == []
    lines = [r.getMessage() for r in caplog.records if "refused" in r.getMessage()]
    assert len(lines) == 2
    assert all(logged in line and f"'{calling}'" in line for line in lines)
    assert all("127.0.0.1" in line for line in lines)


def test_who_is_refused_leaves_a_trace_by_name(tmp_path: Path) -> None:
    with closing(Database.open(f"sqlite:///{tmp_path}/node.sqlite3")) as database:
        refusals = Refusals(database)
        with running_acceptor(KNOWN, refusals=refusals) as acceptor:
            assert dcmtk("echoscu", acceptor, "MR1", "DICOMNODE") != ""
        refusals.write()
        with database.read() as session:
            (row,) = recent(session, None, None, 9)
    assert (row.calling_ae_title, row.called_ae_title) == ("MR1", "DICOMNODE")
    assert (row.peer_address, row.status) == ("127.0.0.1", "A-ASSOCIATE-RJ 1/1/3")


def test_without_configuration_everybody_is_refused_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running_acceptor(AdmissionPolicy().for_node("DICOMNODE")) as acceptor:
        assert dcmtk("echoscu", acceptor, "CT1", "DICOMNODE") != ""
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "no peer is configured: every association will be refused" in warnings[0]


def test_the_reject_pdu_is_that_of_the_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    """PS3.8 table 9-21: type 03, length 4, then reserved, Result, Source, Reason/Diag."""
    with running_acceptor(KNOWN) as acceptor:
        request = association_request(acceptor.port, monkeypatch)
        request[26:42] = b"STRANGER        "  # calling AE title (PS3.8 table 9-11)
        assert answer(acceptor.port, request) == bytes.fromhex("03 00 00000004 00 01 01 03")
        request[10:26], request[26:42] = b"OTHER           ", b"CT1             "
        assert answer(acceptor.port, request) == bytes.fromhex("03 00 00000004 00 01 01 07")


def test_a_fault_of_the_door_leaves_it_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    """pynetdicom logs what a notification handler raises, and would go on to accept."""
    with running_acceptor(ANYBODY) as acceptor:
        request = association_request(acceptor.port, monkeypatch)
        monkeypatch.setattr(acceptor.gate, "_policy", None)
        assert answer(acceptor.port, request) == bytes.fromhex("03 00 00000004 00 01 01 01")
        assert acceptor.gate.refused == {RejectReason.NO_REASON_GIVEN: 1}


def test_many_refusals_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_acceptor(KNOWN) as acceptor:
        request = association_request(acceptor.port, monkeypatch)
        request[26:42] = b"STRANGER        "
        for _ in range(40):
            assert answer(acceptor.port, request)[:1] == b"\x03"
        assert acceptor.gate.refused == {CALLING: 40}
        assert dcmtk("echoscu", acceptor, "CT1", "DICOMNODE") == ""


@pytest.mark.parametrize(
    ("calling", "called", "answer"),
    [
        (b"CT1".ljust(16, b"\0"), b"DICOMNODE".ljust(16, b"\0"), b"\2"),
        (b"CT1\0 what else?!", b"DICOMNODE\0\xff\\\n\1\2\3", b"\2"),
        (b"MR1".ljust(16, b"\0"), b"DICOMNODE", CALLING),
        (bytes(16), b"DICOMNODE", CALLING),
        (b" " * 16, b"DICOMNODE", CALLING),
        (b"CT1\\", b"DICOMNODE", CALLING),
        (b"CT1\xc4", b"DICOMNODE", CALLING),
        (b"CT1\r\n", b"DICOMNODE", CALLING),
        (b"CT1", b"STORESCP".ljust(16, b"\0"), CALLED),
        (b"CT1", bytes(16), CALLED),
    ],
)
def test_ae_titles_are_read_up_to_a_nul_and_no_odd_one_ends_in_an_abort(
    calling: bytes, called: bytes, answer: bytes | RejectReason, caplog: pytest.LogCaptureFixture
) -> None:
    """DCMTK pads with spaces; some senders with NULs, or leave what was in the buffer."""
    with running_acceptor(KNOWN) as acceptor, RawPeer(acceptor.port) as peer:
        peer.say(
            associate_rq_of((Verification, ["1.2.840.10008.1.2"]), calling=calling, called=called)
        )
        heard = peer.hear()
        told = caplog.text  # before the acceptor is stopped, whose sockets may be read just then
    if isinstance(answer, RejectReason):
        assert (heard[0], tuple(heard[7:10])) == (3, answer.value)
    else:
        assert heard[:1] == answer
    assert "Traceback" not in told
