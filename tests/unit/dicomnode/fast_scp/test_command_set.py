"""Command sets: pynetdicom encodes what we read and decodes what we make."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage
from pynetdicom.dimse_messages import (
    C_ECHO_RQ,
    C_ECHO_RSP,
    C_FIND_RQ,
    C_STORE_RQ,
    C_STORE_RSP,
    DIMSEMessage,
)
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_STORE
from pynetdicom.dsutils import decode, encode

from dicomnode.fast_scp.command_set import (
    VERIFICATION,
    EchoCommand,
    StoreCommand,
    echo_response,
    read_command,
    store_response,
)

UIDS = st.from_regex(r"[12]\.[1-9][0-9]{0,20}(\.[1-9][0-9]{0,9}){0,3}", fullmatch=True)


def store_primitive(message_id: int = 7, priority: int = 0) -> C_STORE:
    request = C_STORE()
    request.MessageID, request.Priority = message_id, priority
    request.AffectedSOPClassUID = CTImageStorage
    request.AffectedSOPInstanceUID = "1.2.3.45"
    request.DataSet = BytesIO(b"\0\0")
    return request


def encoded(message: DIMSEMessage, primitive: object) -> bytes:
    message.primitive_to_message(primitive)  # type: ignore[arg-type]
    found = encode(message.command_set, is_implicit_vr=True, is_little_endian=True)
    assert found is not None
    return found


@given(st.integers(0, 65535), st.integers(0, 2), st.booleans())
def test_a_store_request_is_read(message_id: int, priority: int, moved: bool) -> None:
    request = store_primitive(message_id, priority)
    if moved:
        request.MoveOriginatorApplicationEntityTitle = "ARCHIVE"
        request.MoveOriginatorMessageID = 3
    read = read_command(encoded(C_STORE_RQ(), request))
    assert read == StoreCommand(message_id, CTImageStorage, "1.2.3.45", priority)


@pytest.mark.parametrize(("digits", "read"), [(60, True), (61, True), (1020, True), (1021, False)])
def test_a_uid_that_is_too_long_is_read_so_that_it_can_be_refused(digits: int, read: bool) -> None:
    uid = b"1.2." + b"9" * digits
    uid += b"\0" * (len(uid) % 2)
    whole = encoded(C_STORE_RQ(), store_primitive())
    change = len(uid) - len(b"1.2.3.45")
    command = whole.replace(b"\x08\0\0\x001.2.3.45", len(uid).to_bytes(4, "little") + uid)
    command = command.replace(whole[8:12], (len(whole) - 12 + change).to_bytes(4, "little"), 1)
    found = read_command(command)
    assert (found is not None) == read
    assert found is None or isinstance(found, StoreCommand)
    assert found is None or found.sop_instance_uid == uid.rstrip(b"\0").decode()


def test_an_echo_request_is_read() -> None:
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 9, VERIFICATION
    assert read_command(encoded(C_ECHO_RQ(), request)) == EchoCommand(9)


def test_other_commands_are_left_to_pynetdicom() -> None:
    request = C_FIND()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.2.2.1"
    request.Identifier = BytesIO(b"\0\0")
    assert read_command(encoded(C_FIND_RQ(), request)) is None
    assert read_command(store_response(StoreCommand(1, "1.2", "1.3", 0), 0)) is None


UNUSUAL = {
    "wrong group length": lambda c: c[:8] + b"\x01" + c[9:],
    "cut short": lambda c: c[:-1],
    "more behind": lambda c: c + b"\0",
    "no command field": lambda c: c.replace(b"\0\0\x00\x01\x02", b"\0\0\x01\x01\x02"),
    "no data set": lambda c: c.replace(b"\x00\x08\x02\0\0\0\x01\0", b"\x00\x08\x02\0\0\0\x01\x01"),
    "priority 3": lambda c: c.replace(b"\x00\x07\x02\0\0\0\0\0", b"\x00\x07\x02\0\0\0\x03\0"),
    "no UID": lambda c: c.replace(b"1.2.3.45", b"1.2.3\\45"),
    "other group": lambda c: c.replace(b"\0\0\x00\x10", b"\x08\0\x00\x10"),
    "nothing": lambda c: c[:0],
}


@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_what_is_unusual_is_left_to_pynetdicom(change) -> None:  # type: ignore[no-untyped-def]
    whole = encoded(C_STORE_RQ(), store_primitive())
    changed = change(whole)
    assert changed != whole
    assert read_command(changed) is None


@settings(max_examples=200)
@given(st.integers(0, 150), st.binary(min_size=1, max_size=8))
def test_a_damaged_command_is_read_as_pydicom_reads_it_or_not_at_all(at: int, noise: bytes) -> None:
    damaged = bytearray(encoded(C_STORE_RQ(), store_primitive()))
    damaged[at : at + len(noise)] = noise
    read = read_command(bytes(damaged))
    if isinstance(read, StoreCommand):
        command = decode(BytesIO(damaged), is_implicit_vr=True, is_little_endian=True)
        assert command.MessageID == read.message_id
        assert command.AffectedSOPInstanceUID == read.sop_instance_uid
        assert command.AffectedSOPClassUID == read.sop_class_uid


@given(st.integers(0, 65535), UIDS, UIDS, st.integers(0, 65535))
def test_a_store_response_is_encoded_as_pynetdicom_does(
    message_id: int, sop_class: str, sop_instance: str, status: int
) -> None:
    response = C_STORE()
    response.MessageIDBeingRespondedTo, response.Status = message_id, status
    response.AffectedSOPClassUID = sop_class
    response.AffectedSOPInstanceUID = sop_instance
    made = store_response(StoreCommand(message_id, sop_class, sop_instance, 0), status)
    assert made == encoded(C_STORE_RSP(), response)


def test_an_echo_response_is_encoded_as_pynetdicom_does() -> None:
    response = C_ECHO()
    response.MessageIDBeingRespondedTo, response.Status = 9, 0
    response.AffectedSOPClassUID = VERIFICATION
    assert echo_response(EchoCommand(9), 0) == encoded(C_ECHO_RSP(), response)
