"""P-DATA-TF PDUs taken apart and made (PS3.8 sections 9.3.1 and 9.3.5, annex E). No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

from dicomnode.decisions.arrival.admission import readable_ae_title
from dicomnode.errors import PeerCause, PeerError

PDU_HEAD = Struct(">BxI")  # type, reserved, length of what follows
A_ASSOCIATE_RQ, P_DATA_TF = 0x01, 0x04
COMMAND, LAST = 0x01, 0x02  # bits of the message control header (PS3.8 E.2)

UNEXPECTED_PARAMETER, INVALID_VALUE = 5, 6  # reasons of an A-ABORT PDU (PS3.8 9.3.8)

_PDV_HEAD = Struct(">IBB")  # length of what follows, presentation context ID, control header
_SMALLEST_LENGTH = 64
"""A peer that says it takes even less than this at a time is not obeyed to the letter."""


_CALLED, _CALLING, _AFTER_TITLES = 10, 26, 42  # where an A-ASSOCIATE-RQ has them (table 9-11)


class ProtocolError(PeerError):
    """The peer broke the Upper Layer protocol; `reason` is for the A-ABORT (PS3.8 9.3.8)."""

    def __init__(self, reason: int, what: str) -> None:
        super().__init__(what, PeerCause.NO_DICOM)
        self.reason = reason


class Fragment(NamedTuple):
    """One Presentation Data Value: a piece of a command set or of a data set."""

    context_id: int
    control: int
    data: memoryview


def fragments(body: memoryview) -> list[Fragment]:
    """The fragments in the body of one P-DATA-TF PDU; they must fill it exactly.

    Raises:
        ProtocolError: there is none, or a length is too small or leads out of the PDU.
    """
    found, at, size = [], 0, len(body)
    while at < size:
        if size - at < _PDV_HEAD.size:
            raise ProtocolError(INVALID_VALUE, "P-DATA-TF PDU ends within a PDV's head")
        length, context_id, control = _PDV_HEAD.unpack_from(body, at)
        end = at + 4 + length
        if length < 2 or end > size:
            raise ProtocolError(INVALID_VALUE, f"PDV length {length} does not fit its PDU")
        found.append(Fragment(context_id, control, body[at + 6 : end]))
        at = end
    if not found:
        raise ProtocolError(INVALID_VALUE, "P-DATA-TF PDU without a PDV")
    return found


def p_data_tf(pieces: Iterable[tuple[int, int, bytes | memoryview]]) -> bytes:
    """One P-DATA-TF PDU of (presentation context ID, control header, fragment)."""
    pdvs = [
        part
        for context_id, control, data in pieces
        for part in (_PDV_HEAD.pack(len(data) + 2, context_id, control), data)
    ]
    return b"".join((PDU_HEAD.pack(P_DATA_TF, sum(map(len, pdvs))), *pdvs))


def command_pdus(context_id: int, command: bytes, maximum_length: int) -> bytes:
    """The P-DATA-TF PDUs of a command set, none longer than the receiver takes.

    `maximum_length`: of the peer (PS3.8 D.1.1), 0 for no limit.
    """
    room = (max(maximum_length, _SMALLEST_LENGTH) if maximum_length else len(command) + 6) - 6
    pieces = [command[at : at + room] for at in range(0, len(command), room)]
    last = len(pieces) - 1
    return b"".join(
        p_data_tf([(context_id, COMMAND | (LAST if number == last else 0), piece)])
        for number, piece in enumerate(pieces)
    )


def with_readable_titles(pdu: bytes) -> bytes:
    """An A-ASSOCIATE-RQ PDU whose AE titles pynetdicom can read; any other as it is.

    It aborts for a character that no AE title has, NUL as padding among them, and for 16 spaces;
    the peer would never learn that it is not admitted.
    """
    if pdu[:1] != bytes([A_ASSOCIATE_RQ]) or len(pdu) < _AFTER_TITLES:
        return pdu
    fields = pdu[_CALLED:_CALLING], pdu[_CALLING:_AFTER_TITLES]
    titles = [readable_ae_title(field).encode("ascii").ljust(16) for field in fields]
    return b"".join((pdu[:_CALLED], *titles, pdu[_AFTER_TITLES:]))
