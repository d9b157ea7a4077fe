"""C-STORE and C-ECHO command sets (PS3.7 sections 6.3, 9.3.1 and 9.3.5). No I/O.

Read strictly: whatever is unusual is left to pynetdicom, which decodes any command set.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from struct import Struct

C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
VERIFICATION = "1.2.840.10008.1.1"

LONGEST_UID = 64  # PS3.5 section 9.1
_LONGEST_REFUSED = 1024

_NO_DATA_SET = 0x0101
_ELEMENT = Struct("<HHI")  # group, element, length: Implicit VR Little Endian (PS3.7 6.3.1)
_US = Struct("<H")
_UL = Struct("<I")
_UID = re.compile(rb"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")  # PS3.5 section 9.1

# Elements of group 0000 (PS3.7 annex E)
_GROUP_LENGTH = 0x0000
_AFFECTED_SOP_CLASS_UID = 0x0002
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_MESSAGE_ID_RESPONDED_TO = 0x0120
_PRIORITY = 0x0700
_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_AFFECTED_SOP_INSTANCE_UID = 0x1000
_MOVE_ORIGINATOR_AE_TITLE = 0x1030
_MOVE_ORIGINATOR_MESSAGE_ID = 0x1031

_ECHO = {_GROUP_LENGTH, _AFFECTED_SOP_CLASS_UID, _COMMAND_FIELD, _MESSAGE_ID, _DATA_SET_TYPE}
_STORE = _ECHO | {_PRIORITY, _AFFECTED_SOP_INSTANCE_UID}
_STORE_OPTIONS = {_MOVE_ORIGINATOR_AE_TITLE, _MOVE_ORIGINATOR_MESSAGE_ID}


@dataclass(frozen=True, slots=True)
class StoreCommand:
    """A C-STORE request; `priority` as in (0000,0700): 0 medium, 1 high, 2 low.

    `sop_instance_uid` may be longer than a UID can be.
    """

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    priority: int


@dataclass(frozen=True, slots=True)
class EchoCommand:
    """A C-ECHO request."""

    message_id: int


def read_command(encoded: bytes) -> StoreCommand | EchoCommand | None:
    """A request in the form that the standard gives it; None for any other command or form."""
    found = _elements(encoded)
    if found is None or len(found.get(_COMMAND_FIELD, b"")) != 2:
        return None
    (field,) = _US.unpack(found[_COMMAND_FIELD])
    if field == C_STORE_RQ:
        return _store_command(found)
    return _echo_command(found) if field == C_ECHO_RQ else None


def _elements(encoded: bytes) -> dict[int, bytes] | None:
    """Values by element number; None unless all is of group 0000, in order and whole."""
    found: dict[int, bytes] = {}
    at, last = 0, -1
    while at < len(encoded):
        if at + _ELEMENT.size > len(encoded):
            return None
        group, element, length = _ELEMENT.unpack_from(encoded, at)
        at += _ELEMENT.size + length
        if group != 0 or element <= last or at > len(encoded):
            return None
        found[element], last = encoded[at - length : at], element
    group_length = found.get(_GROUP_LENGTH, b"")
    whole = len(group_length) == 4 and _UL.unpack(group_length)[0] == len(encoded) - 12
    return found if whole else None


def _store_command(found: dict[int, bytes]) -> StoreCommand | None:
    if found.keys() - _STORE_OPTIONS != _STORE:
        return None
    numbers = [found[each] for each in (_MESSAGE_ID, _PRIORITY, _DATA_SET_TYPE)]
    sop_class = _uid(found[_AFFECTED_SOP_CLASS_UID])
    # one that is too long is for the handler to refuse: pynetdicom would abort the association
    sop_instance = _uid(found[_AFFECTED_SOP_INSTANCE_UID], _LONGEST_REFUSED)
    if any(len(number) != 2 for number in numbers) or not sop_class or not sop_instance:
        return None
    message_id, priority, data_set_type = (_US.unpack(number)[0] for number in numbers)
    if data_set_type == _NO_DATA_SET or priority > 2:
        return None
    return StoreCommand(message_id, sop_class, sop_instance, priority)


def _echo_command(found: dict[int, bytes]) -> EchoCommand | None:
    if found.keys() != _ECHO or _uid(found[_AFFECTED_SOP_CLASS_UID]) != VERIFICATION:
        return None
    if len(found[_MESSAGE_ID]) != 2 or found[_DATA_SET_TYPE] != _US.pack(_NO_DATA_SET):
        return None
    return EchoCommand(_US.unpack(found[_MESSAGE_ID])[0])


def _uid(value: bytes, longest: int = LONGEST_UID) -> str:
    """Padded to even length with one NUL (PS3.5 9.1); "" for what is no UID."""
    text = value[:-1] if value.endswith(b"\0") else value
    return text.decode("ascii") if len(text) <= longest and _UID.fullmatch(text) else ""


def store_response(request: StoreCommand, status: int) -> bytes:
    """The command set of a C-STORE response (PS3.7 table 9.3-2)."""
    return _with_group_length(
        _text(_AFFECTED_SOP_CLASS_UID, request.sop_class_uid)
        + _response(C_STORE_RSP, request.message_id, status)
        + _text(_AFFECTED_SOP_INSTANCE_UID, request.sop_instance_uid)
    )


def echo_response(request: EchoCommand, status: int) -> bytes:
    """The command set of a C-ECHO response (PS3.7 table 9.3-13)."""
    return _with_group_length(
        _text(_AFFECTED_SOP_CLASS_UID, VERIFICATION)
        + _response(C_ECHO_RSP, request.message_id, status)
    )


_RESPONSE = Struct("<" + "HHIH" * 4)


def _response(field: int, message_id: int, status: int) -> bytes:
    return _RESPONSE.pack(
        *(0, _COMMAND_FIELD, 2, field),
        *(0, _MESSAGE_ID_RESPONDED_TO, 2, message_id),
        *(0, _DATA_SET_TYPE, 2, _NO_DATA_SET),
        *(0, _STATUS, 2, status),
    )


def _text(element: int, uid: str) -> bytes:
    value = uid.encode("ascii") + b"\0" * (len(uid) % 2)
    return _ELEMENT.pack(0, element, len(value)) + value


def _with_group_length(rest: bytes) -> bytes:
    return _ELEMENT.pack(0, _GROUP_LENGTH, 4) + _UL.pack(len(rest)) + rest
