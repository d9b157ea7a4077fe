"""A Storage SCU over a bare socket: quick enough to load a receiver, and it tells what it was told.

Nothing of pynetdicom: a fault in the library cannot hide itself by being on both sides. PDUs are
those of PS3.8 section 9.3, command sets those of PS3.7 section 9.3.1 and annex E.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from support.stamped import Stamped

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_IMPLEMENTATION = "2.25.155486018203937302711265180143520842921"

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
_COMMAND_LAST, _DATA_MORE, _DATA_LAST = 3, 0, 2  # message control header (PS3.8 E.2)
_CONTEXT_ID = 1
_AT_ONCE = 1 << 20  # bytes of a request that are sent in one piece
_STATUS = b"\x00\x00\x00\x09"  # (0000,0900)


class AssociationRejected(ConnectionError):  # noqa: N818 - the standard's own word
    """A-ASSOCIATE-RJ; result, source and reason as in PS3.8 section 9.3.4."""

    def __init__(self, result: int, source: int, reason: int) -> None:
        super().__init__(f"rejected: result {result}, source {source}, reason {reason}")
        self.told = (result, source, reason)


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body


def associate_rq(
    calling: str, called: str, sop_class: str = CT_IMAGE_STORAGE, maximum_pdu_length: int = 16384
) -> bytes:
    """An A-ASSOCIATE-RQ PDU with one presentation context, Explicit VR Little Endian."""
    context = struct.pack(">Bxxx", _CONTEXT_ID)
    context += _item(0x30, sop_class.encode()) + _item(0x40, EXPLICIT_LITTLE_ENDIAN.encode())
    user = _item(0x51, struct.pack(">I", maximum_pdu_length))
    user += _item(0x52, _IMPLEMENTATION.encode())
    body = struct.pack(">Hxx16s16s32x", 1, called.ljust(16).encode(), calling.ljust(16).encode())
    body += _item(0x10, _APPLICATION_CONTEXT.encode()) + _item(0x20, context) + _item(0x50, user)
    return pdu(ASSOCIATE_RQ, body)


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def data_pdu(control: int, fragment: bytes | memoryview) -> bytes:
    """A P-DATA-TF PDU with one fragment."""
    head = struct.pack(">IBB", len(fragment) + 2, _CONTEXT_ID, control)
    return pdu(DATA, head + bytes(fragment))


def store_rq(message_id: int, sop_class: str, sop_instance_uid: str) -> bytes:
    """The command set of a C-STORE request (PS3.7 table 9.3-1), Implicit VR Little Endian."""
    elements = _element(0x0002, _uid(sop_class)) + _element(0x0100, struct.pack("<H", 1))
    elements += _element(0x0110, struct.pack("<H", message_id))
    elements += _element(0x0700, struct.pack("<H", 0)) + _element(0x0800, struct.pack("<H", 0))
    elements += _element(0x1000, _uid(sop_instance_uid))
    return _element(0x0000, struct.pack("<I", len(elements))) + elements


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0x0000, number, len(value)) + value


def _uid(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


class Scu:
    """One association, open from the start; ConnectionError or TimeoutError when it breaks."""

    def __init__(
        self,
        port: int,
        calling: str = "TESTER",
        called: str = "DICOMNODE",
        sop_class: str = CT_IMAGE_STORAGE,
        timeout: float = 60.0,
        address: str = "127.0.0.1",
    ) -> None:
        """Raises AssociationRejected."""
        self._sop_class = sop_class
        self._message_id = 0
        self.socket = socket.create_connection((address, port), timeout)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.sendall(associate_rq(calling, called, sop_class))
            self._fragment_length = self._accepted() - 6
        except BaseException:
            self.socket.close()
            raise

    def store(self, sop_instance_uid: str, data_set: bytes) -> int:
        """C-STORE one instance; the status that was answered."""
        pdus = self.request(sop_instance_uid, data_set)
        for part in pdus if len(data_set) > _AT_ONCE else [b"".join(pdus)]:
            self.socket.sendall(part)
        kind, body = self._receive()
        if kind != DATA:
            raise ConnectionError(f"PDU of type {kind} instead of a response")
        return _status(body)

    def store_instance(self, instance: Stamped) -> int:
        return self.store(instance.sop_instance_uid, instance.data_set)

    def request(self, sop_instance_uid: str, data_set: bytes) -> Iterator[bytes]:
        """The PDUs of a C-STORE request."""
        self._message_id = self._message_id % 65535 + 1
        command = store_rq(self._message_id, self._sop_class, sop_instance_uid)
        yield data_pdu(_COMMAND_LAST, command)
        content, length = memoryview(data_set), self._fragment_length
        for start in range(0, len(content), length):
            last = start + length >= len(content)
            yield data_pdu(_DATA_LAST if last else _DATA_MORE, content[start : start + length])

    def release(self) -> None:
        """A-RELEASE, and the end of the connection."""
        with self.socket:
            self.socket.sendall(pdu(RELEASE_RQ, bytes(4)))
            kind, _body = self._receive()
            if kind != RELEASE_RP:
                raise ConnectionError(f"PDU of type {kind} instead of A-RELEASE-RP")

    def close(self) -> None:
        """End the connection without a word."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.release()
        self.close()

    def _accepted(self) -> int:
        """The receiver's maximum PDU length, once the presentation context is accepted."""
        kind, body = self._receive()
        if kind == ASSOCIATE_RJ:
            raise AssociationRejected(*body[1:4])
        if kind != ASSOCIATE_AC:
            raise ConnectionError(f"PDU of type {kind} instead of A-ASSOCIATE-AC")
        items = dict(_items(body[68:]))
        if items[0x21][2] != 0:
            raise ConnectionError(f"presentation context refused: {items[0x21][2]}")
        (length,) = struct.unpack(">I", dict(_items(items[0x50]))[0x51])
        return int(length) or 1 << 20  # 0: no limit (PS3.8 D.1)

    def _receive(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._exactly(6))
        return kind, self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        content = bytearray()
        while len(content) < length:
            part = self.socket.recv(length - len(content))
            if not part:
                raise ConnectionError("the receiver closed the connection")
            content += part
        return bytes(content)


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    while content:
        kind, length = struct.unpack(">BxH", content[:4])
        yield kind, content[4 : 4 + length]
        content = content[4 + length :]


def _status(body: bytes) -> int:
    """Status (0000,0900) of the command set in a P-DATA-TF PDU."""
    elements = body[6:]
    while elements:
        (length,) = struct.unpack("<I", elements[4:8])
        if elements[:4] == _STATUS:
            return int.from_bytes(elements[8:10], "little")
        elements = elements[8 + length :]
    raise ConnectionError("a response without a status")
