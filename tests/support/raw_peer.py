"""A requestor that says over a plain socket exactly what a test wants said."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from types import TracebackType

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RQ, A_RELEASE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    A_RELEASE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.transport import AddressInformation

from dicomnode.fast_scp.command_set import VERIFICATION
from dicomnode.fast_scp.pdu import COMMAND, LAST, p_data_tf

STORE_CONTEXT, ECHO_CONTEXT = 1, 3
_WINDOW = 0x53


def associate_rq(maximum_length: int = 16384, title: str = "RAW") -> bytes:
    """An A-ASSOCIATE-RQ PDU for CT Image Storage (context 1) and Verification (context 3)."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = title, "DICOMNODE"
    primitive.calling_presentation_address = AddressInformation("127.0.0.1", 1)
    primitive.called_presentation_address = AddressInformation("127.0.0.1", 1)
    contexts = [
        build_context(CTImageStorage, ExplicitVRLittleEndian),
        build_context(VERIFICATION, ExplicitVRLittleEndian),
    ]
    for number, context in zip((STORE_CONTEXT, ECHO_CONTEXT), contexts, strict=True):
        context.context_id = number
    primitive.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = maximum_length
    implementation.implementation_class_uid = "1.2.3"
    primitive.user_information = [length, implementation]
    return bytes(A_ASSOCIATE_RQ(primitive).encode())


def release_rq() -> bytes:
    return bytes(A_RELEASE_RQ(A_RELEASE()).encode())


def abort_rq() -> bytes:
    pdu = A_ABORT_RQ()
    pdu.source = pdu.reason_diagnostic = 0
    return bytes(pdu.encode())


def element(number: int, value: bytes) -> bytes:
    """Of group 0000, in Implicit VR Little Endian."""
    return b"\0\0" + number.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value


def command(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return element(0, len(body).to_bytes(4, "little")) + body


def store_command(uid: str = "1.2.3.4", *more: bytes, message_id: int = 7) -> bytes:
    """The command set of a C-STORE request."""
    value = uid.encode() + b"\0" * (len(uid) % 2)
    sop_class = CTImageStorage.encode() + b"\0" * (len(CTImageStorage) % 2)
    return command(
        element(0x0002, sop_class),
        element(0x0100, b"\1\0"),
        element(0x0110, message_id.to_bytes(2, "little")),
        element(0x0700, b"\0\0"),
        element(0x0800, b"\1\0"),
        element(0x1000, value),
        *more,
    )


def echo_command() -> bytes:
    """The command set of a C-ECHO request."""
    return command(
        element(0x0002, VERIFICATION.encode() + b"\0"),
        element(0x0100, b"\x30\0"),
        element(0x0110, b"\7\0"),
        element(0x0800, b"\1\1"),
    )


def whole_command(content: bytes, context: int = STORE_CONTEXT) -> bytes:
    """A command set as one P-DATA-TF PDU."""
    return p_data_tf([(context, COMMAND | LAST, content)])


def data_pdus(data_set: bytes, size: int, context: int = STORE_CONTEXT) -> list[bytes]:
    """A data set as P-DATA-TF PDUs of fragments of `size` bytes."""
    starts = range(0, max(len(data_set), 1), size)
    return [
        p_data_tf([(context, LAST if at + size >= len(data_set) else 0, data_set[at : at + size])])
        for at in starts
    ]


class RawPeer:
    """A connection; what comes back is cut into PDUs."""

    def __init__(self, port: int, seconds: float = 10.0, source: str = "") -> None:
        """`source`: the address of this machine to connect from."""
        own = (source, 0) if source else None
        self._socket = socket.create_connection(("127.0.0.1", port), seconds, own)

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def associate(self, maximum_length: int = 16384) -> bytes:
        """The acceptor's answer to an A-ASSOCIATE-RQ."""
        self.say(associate_rq(maximum_length))
        return self.hear()

    def say(self, *pdus: bytes) -> None:
        self._socket.sendall(b"".join(pdus))

    def say_all(self, pdus: Sequence[bytes]) -> None:
        """Whatever the answer; until the acceptor closes."""
        try:
            for each in pdus:
                self._socket.sendall(each)
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it closed before all was said

    def hear(self) -> bytes:
        """The next PDU; empty when the acceptor has closed."""
        head = self._exactly(6)
        return head + self._exactly(int.from_bytes(head[2:6], "big")) if head else b""

    def _exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            try:
                more = self._socket.recv(count - len(got))
            except ConnectionError:
                return b""
            if not more:
                return b""
            got += more
        return got


def associate_rq_of(
    *contexts: tuple[str, Sequence[str]],
    calling: bytes = b"RAW",
    called: bytes = b"DICOMNODE",
    window: tuple[int, int] | None = None,
) -> bytes:
    """An A-ASSOCIATE-RQ for (abstract syntax, transfer syntaxes), numbered 1, 3, 5 and on.

    The AE titles are padded with spaces; those of 16 bytes stand as they are. `window`: of
    asynchronous operations, invoked and performed.
    """
    body = b"\0\1\0\0" + called.ljust(16) + calling.ljust(16) + bytes(32)
    body += _item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, (abstract, syntaxes) in enumerate(contexts):
        names = [_item(0x30, abstract.encode()), *(_item(0x40, s.encode()) for s in syntaxes)]
        body += _item(0x20, bytes([2 * number + 1, 0, 0, 0]) + b"".join(names))
    user = _item(0x51, (16384).to_bytes(4, "big")) + _item(0x52, b"1.2.3")
    user += _item(_WINDOW, struct.pack(">HH", *window)) if window else b""
    body += _item(0x50, user)
    return b"\1\0" + len(body).to_bytes(4, "big") + body


def _item(kind: int, content: bytes) -> bytes:
    return bytes([kind, 0]) + len(content).to_bytes(2, "big") + content


def context_answers(associate_ac: bytes) -> list[tuple[int, str]]:
    """Result and transfer syntax of each presentation context, by its number."""
    found, at = {}, 74
    while at < len(associate_ac):
        length = int.from_bytes(associate_ac[at + 2 : at + 4], "big")
        content = associate_ac[at + 4 : at + 4 + length]
        if associate_ac[at] == 0x21:
            found[content[0]] = content[2], content[8:].decode()
        at += 4 + length
    return [found[number] for number in sorted(found)]


def window_of(associate_ac: bytes) -> tuple[int, int] | None:
    """Operations invoked and performed, as an A-ASSOCIATE-AC has them."""
    at = 74
    while associate_ac[at] != 0x50:
        at += 4 + int.from_bytes(associate_ac[at + 2 : at + 4], "big")
    at += 4
    while at < len(associate_ac):
        if associate_ac[at] == _WINDOW:
            invoked, performed = struct.unpack_from(">HH", associate_ac, at + 4)
            return invoked, performed
        at += 4 + int.from_bytes(associate_ac[at + 2 : at + 4], "big")
    return None


def status_of(response: bytes) -> int:
    """Status (0000,0900) in the P-DATA-TF PDU of a response."""
    return _number_in(response, b"\0\x09")


def responded_to(response: bytes) -> int:
    """Message ID Being Responded To (0000,0120) in the P-DATA-TF PDU of a response."""
    return _number_in(response, b"\x20\x01")


def _number_in(response: bytes, element: bytes) -> int:
    at = response.index(b"\0\0" + element + b"\2\0\0\0") + 8
    return int.from_bytes(response[at : at + 2], "little")
