"""A peer that speaks badly costs itself its association, and nobody else anything."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from dicomnode.network.associations import associated, c_store, requestor
from support.phantom import write_series
from support.receiver import Receiver
from support.wait import wait_for

Conversation = list[bytes]


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    return write_series(tmp_path / "series", slices=1)[0]


@contextmanager
def innocent(receiver: Receiver, instance: Path) -> Iterator[Association]:
    """Another peer's association, open all the while; at the end it must still work."""
    first = pydicom.dcmread(instance)
    context = build_context(first.SOPClassUID, first.file_meta.TransferSyntaxUID)
    with associated(requestor("INNOCENT", [context], 120), receiver.peer) as association:
        yield association
        assert c_store(association, instance) == 0x0000


def conversation(
    receiver: Receiver, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> Conversation:
    """The PDUs of a good conversation: A-ASSOCIATE-RQ, P-DATA-TF …, A-RELEASE-RQ."""
    sent: Conversation = []
    send = AssociationSocket.send

    def recorded(self: AssociationSocket, pdu: bytes) -> None:
        if self.assoc.is_requestor:
            sent.append(bytes(pdu))
        send(self, pdu)

    with monkeypatch.context() as patch:
        patch.setattr(AssociationSocket, "send", recorded)
        assert receiver.send(instance) == [0x0000]
    return sent


def say(receiver: Receiver, pdus: Conversation) -> None:
    """Send PDUs whatever the answer, then wait until the receiver has closed the connection."""
    with socket.create_connection(("127.0.0.1", receiver.peer.port), timeout=6) as peer:
        try:
            for number, pdu in enumerate(pdus):
                peer.sendall(pdu)
                if number == 0:
                    peer.recv(65536)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                pass
        except OSError:
            pass  # it closed before we had said all


def test_a_command_without_its_data_set_type_ends_only_its_association(
    receiver: Receiver, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command Data Set Type (0000,0800) is mandatory (PS3.7 9.3.1.1); pynetdicom asserts it."""
    pdus = conversation(receiver, instance, monkeypatch)
    command = bytearray(pdus[1])
    command[command.find(b"\x00\x00\x00\x08") + 2] = 0x01
    with innocent(receiver, instance):
        say(receiver, [pdus[0], bytes(command)])
    wait_for(receiver.is_idle, "no association is left")


def test_mutated_conversations_cost_nobody_else_anything(
    receiver: Receiver, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pdus = conversation(receiver, instance, monkeypatch)
    rng = random.Random(20261121)
    with innocent(receiver, instance):
        for _ in range(40):
            say(receiver, mutated(pdus, rng))
    wait_for(receiver.is_idle, "no association is left")


def mutated(pdus: Conversation, rng: random.Random) -> Conversation:
    """One to four bytes changed in the first 400 of a PDU, or PDUs dropped or repeated."""
    changed = [bytearray(pdu) for pdu in pdus]
    for _ in range(rng.randint(1, 4)):
        pdu = rng.choice(changed)
        # the length field (bytes 2 to 5) stays: waiting for a long PDU is not this test's matter
        at = rng.choice([0, 1, *range(6, min(len(pdu), 400))])
        pdu[at] = rng.randrange(256)
    if rng.random() < 0.3:
        changed.insert(rng.randrange(len(changed)), rng.choice(changed))
    if rng.random() < 0.3:
        del changed[rng.randrange(1, len(changed))]
    return [bytes(pdu) for pdu in changed]


@pytest.mark.parametrize("words", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00", b"\xff" * 64])
def test_a_peer_that_is_no_dicom_peer(receiver: Receiver, instance: Path, words: bytes) -> None:
    with innocent(receiver, instance):
        say(receiver, [words, b""])
    wait_for(receiver.is_idle, "no association is left")
