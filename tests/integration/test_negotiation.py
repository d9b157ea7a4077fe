"""What the receiver accepts of an association, over a bare socket, on both of its paths."""

from __future__ import annotations

import logging
import struct

import pytest
from pydicom.uid import CTImageStorage
from pynetdicom import sop_class

import dicomnode.receive.receiver
from dicomnode.config.sections import ReceiveSettings
from dicomnode.fast_scp.storage_classes import is_storage_class
from support.raw_peer import (
    RawPeer,
    associate_rq_of,
    command,
    context_answers,
    data_pdus,
    element,
    release_rq,
    responded_to,
    status_of,
    store_command,
    whole_command,
    window_of,
)
from support.receiver import Receiver
from support.wait import wait_for

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
JPEG_XL, FULL_PROGRESSION = (f"1.2.840.10008.1.2.4.{number}" for number in (110, 55))
ARITHMETIC, MPEG, HEVC = (f"1.2.840.10008.1.2.4.{number}" for number in (52, 100, 107))
JPIP, JPIP_DEFLATE, HIERARCHICAL = (f"1.2.840.10008.1.2.4.{number}" for number in (94, 95, 59))
DEFLATED_FRAMES, XML, VIDEO_FLOW = (f"1.2.840.10008.1.2.{end}" for end in ("8.1", "6.2", "7.1"))
GE, PAPYRUS = "1.2.840.113619.5.2", "1.2.840.10008.1.20"
REJECTED_CLASS, REJECTED_SYNTAX = 3, 4


@pytest.fixture(params=["fast", "plain"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(dicomnode.receive.receiver, "fits", lambda _ae: False)
    return str(request.param)


@pytest.fixture
def receiver_settings(path: str) -> ReceiveSettings:
    return ReceiveSettings(acse_timeout_seconds=10.0)


def answers(receiver: Receiver, *contexts: tuple[str, list[str]]) -> list[tuple[int, str]]:
    with RawPeer(receiver.peer.port) as peer:
        peer.say(associate_rq_of(*contexts))
        answer = peer.hear()
        assert answer[:1] == b"\2", answer
        peer.say(release_rq())
        assert peer.hear()[:1] == b"\6"
    return context_answers(answer)


@pytest.mark.parametrize(
    ("proposed", "accepted"),
    [
        ([IMPLICIT], IMPLICIT),
        ([EXPLICIT, IMPLICIT], EXPLICIT),
        ([BIG_ENDIAN, IMPLICIT], BIG_ENDIAN),
        ([DEFLATED, EXPLICIT], DEFLATED),
        ([f"{EXPLICIT}.98", EXPLICIT], f"{EXPLICIT}.98"),
        *[([new, IMPLICIT], new) for new in (JPEG_XL, FULL_PROGRESSION)],
        *[([odd, IMPLICIT], IMPLICIT) for odd in (GE, ARITHMETIC, MPEG, HEVC, JPIP, JPIP_DEFLATE)],
        *[([odd, EXPLICIT], EXPLICIT) for odd in (HIERARCHICAL, DEFLATED_FRAMES, XML, VIDEO_FLOW)],
        ([GE, ARITHMETIC, EXPLICIT, IMPLICIT], EXPLICIT),
        *[([odd], odd) for odd in (ARITHMETIC, MPEG, HEVC, JPIP, HIERARCHICAL, DEFLATED_FRAMES)],
        ([GE, MPEG, ARITHMETIC], MPEG),
        ([JPIP_DEFLATE, ARITHMETIC], ARITHMETIC),
    ],
)
def test_the_first_syntax_that_can_be_decoded_is_accepted(
    receiver: Receiver, proposed: list[str], accepted: str
) -> None:
    assert answers(receiver, (CTImageStorage, proposed)) == [(0, accepted)]


@pytest.mark.parametrize("odd", [GE, JPIP_DEFLATE, XML, VIDEO_FLOW, PAPYRUS, "1.2.3.4"])
def test_a_syntax_that_cannot_be_parsed_is_not_accepted_alone(receiver: Receiver, odd: str) -> None:
    found = answers(receiver, (CTImageStorage, [odd]), (CTImageStorage, [IMPLICIT]))
    assert found[0][0] == REJECTED_SYNTAX
    assert found[1] == (0, IMPLICIT)


OTHER_SERVICES = sorted(
    {
        *(
            uid
            for name, table in vars(sop_class).items()
            if name.endswith("_CLASSES") and name not in ("_SERVICE_CLASSES", "_STORAGE_CLASSES")
            for uid in table.values()
        ),
        "1.2.840.10008.5.1.4.31",  # Modality Worklist Information Model - FIND
        "1.2.840.10008.1.20.2",  # Storage Commitment Pull, retired
        "1.2.840.10008.3.1.2.3.3",  # Modality Performed Procedure Step
        "1.2.840.10008.5.1.1.9",  # Basic Grayscale Print Management, a Meta SOP Class
        "1.2.840.10008.5.1.4.34.4.1",  # UPS Push, trial
        "1.2.840.10008.5.1.4.1.2.3.1",  # Patient/Study Only Query/Retrieve, retired
        "1.2.840.10008.1.40",  # Procedural Event Logging
        "1.2.840.10008.5.1.4.33",  # Instance Availability Notification
        "1.2.840.10008.4.2",  # Storage Service Class: a service, no SOP class
        "1.2.840.10008.5.1.4.1.2.99.1",  # not yet named
    }
    - {"1.2.840.10008.1.1", "1.2.840.10008.1.20.1"}
)


def test_storage_commitment_is_accepted(receiver: Receiver) -> None:
    found = answers(receiver, ("1.2.840.10008.1.20.1", [EXPLICIT, IMPLICIT]))
    assert found[0][0] == 0


def test_no_other_service_is_accepted(receiver: Receiver) -> None:
    assert len(OTHER_SERVICES) > 80
    for at in range(0, len(OTHER_SERVICES), 100):
        some = OTHER_SERVICES[at : at + 100]
        found = answers(
            receiver, *((uid, [IMPLICIT]) for uid in some), (CTImageStorage, [IMPLICIT])
        )
        taken = [uid for uid, (result, _) in zip(some, found, strict=False) if result != 3]
        assert not taken
        assert found[-1] == (0, IMPLICIT)


def test_every_storage_class_is_accepted(receiver: Receiver) -> None:
    known = sorted(sop_class._STORAGE_CLASSES.values())
    unknown = ["1.2.840.113619.4.26", "1.2.3.4.5", "1.2.840.10008.5.1.4.1.1.9999.1"]
    retired = ["1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.9", "1.2.840.10008.5.1.1.30"]
    wanted = ["1.2.840.10008.1.1", *unknown, *retired, *known]
    for at in range(0, len(wanted), 120):
        some = wanted[at : at + 120]
        found = answers(receiver, *((uid, [EXPLICIT]) for uid in some))
        assert found == [(0, EXPLICIT)] * len(some)


def ct_instance(uid: str) -> bytes:
    """A CT instance of 2 x 2 pixels in Implicit VR Little Endian."""
    texts = {
        (8, 0x16): CTImageStorage,
        (8, 0x18): uid,
        (0x20, 0xD): "1.2.3",
        (0x20, 0xE): "1.2.3.4",
    }
    texts |= {(8, 0x60): "CT"}
    values = {tag: text.encode() + b"\0" * (len(text) % 2) for tag, text in texts.items()}
    values |= {(0x28, 0x10): b"\2\0", (0x28, 0x11): b"\2\0", (0x7FE0, 0x10): bytes(8)}
    return b"".join(
        struct.pack("<HHI", *tag, len(value)) + value for tag, value in sorted(values.items())
    )


@pytest.mark.parametrize(
    ("proposed", "answered"),
    [
        (None, None),
        ((1, 1), None),
        ((4, 1), (4, 1)),
        ((0, 0), (16, 1)),
        ((500, 8), (16, 1)),
        ((1, 5), (1, 1)),
    ],
)
def test_a_window_of_operations_is_answered_where_one_is_proposed(
    receiver: Receiver, proposed: tuple[int, int] | None, answered: tuple[int, int] | None
) -> None:
    """PS3.7 D.3.3.3: never more than was proposed, and nothing unasked."""
    with RawPeer(receiver.peer.port) as peer:
        peer.say(associate_rq_of((CTImageStorage, [IMPLICIT]), window=proposed))
        answer = peer.hear()
        assert context_answers(answer) == [(0, IMPLICIT)]
        assert window_of(answer) == answered


def test_requests_sent_without_waiting_are_answered_in_order(receiver: Receiver) -> None:
    """The third is not the instance that its command names: each answer is to its own request."""
    uids = {number: f"1.2.3.4.{number}" for number in (21, 3, 400, 65535, 5, 6, 70, 8)}
    sent = [
        pdu
        for number, uid in uids.items()
        for pdu in (
            whole_command(store_command(uid, message_id=number)),
            *data_pdus(ct_instance("1.2.3.4.9" if number == 400 else uid), 99),
        )
    ]
    with RawPeer(receiver.peer.port) as peer:
        peer.say(associate_rq_of((CTImageStorage, [IMPLICIT]), window=(8, 1)))
        assert window_of(peer.hear()) == (8, 1)
        peer.say(*sent)
        heard = [peer.hear() for _ in uids]
        peer.say(release_rq())
        assert peer.hear()[:1] == b"\6"
    assert [responded_to(each) for each in heard] == list(uids)
    assert [status_of(each) for each in heard] == [0, 0, 0xA900, 0, 0, 0, 0, 0]
    wait_for(lambda: receiver.indexed("1.2.3.4") == 7, "the others are known")


def test_what_was_offered_in_a_private_syntax_too_is_stored(receiver: Receiver) -> None:
    with RawPeer(receiver.peer.port) as peer:
        peer.say(associate_rq_of((CTImageStorage, [GE, IMPLICIT])))
        assert context_answers(peer.hear()) == [(0, IMPLICIT)]
        peer.say(
            whole_command(store_command("1.2.3.4.5")), *data_pdus(ct_instance("1.2.3.4.5"), 999)
        )
        assert status_of(peer.hear()) == 0x0000
    wait_for(lambda: receiver.indexed("1.2.3.4") == 1, "the instance is known")


def test_what_cannot_be_decoded_is_kept_and_named(receiver: Receiver) -> None:
    """JPEG XL: Explicit VR Little Endian around pixels that nobody here can decode."""
    uid, text = "1.2.3.4.6", {(8, 0x16): CTImageStorage, (8, 0x18): "1.2.3.4.6"}
    text |= {(0x20, 0xD): "1.2.3", (0x20, 0xE): "1.2.3.4"}
    data_set = b"".join(
        struct.pack("<HH2sH", *tag, b"UI", len(value) + len(value) % 2)
        + value.encode()
        + b"\0" * (len(value) % 2)
        for tag, value in text.items()
    )
    with RawPeer(receiver.peer.port) as peer:
        peer.say(associate_rq_of((CTImageStorage, [JPEG_XL])))
        assert context_answers(peer.hear()) == [(0, JPEG_XL)]
        peer.say(whole_command(store_command(uid)), *data_pdus(data_set, 999))
        assert status_of(peer.hear()) == 0x0000
    wait_for(lambda: receiver.indexed("1.2.3.4") == 1, "the instance is known")


@pytest.mark.parametrize(
    "calling",
    [
        b"SENDER\0\0\0\0\0\0\0\0\0\0",
        b"SENDER\0garbag\xff\\\n",
        b"SENDER  \0       ",
        b"  SENDER\0\0\0\0\0\0\0\0",
    ],
)
def test_an_ae_title_ends_at_the_first_nul(
    receiver: Receiver, calling: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with RawPeer(receiver.peer.port) as peer, caplog.at_level(logging.WARNING):
        peer.say(
            associate_rq_of(
                (CTImageStorage, [IMPLICIT]), calling=calling, called=b"NODE".ljust(16, b"\0")
            )
        )
        assert context_answers(peer.hear()) == [(0, IMPLICIT)]
        peer.say(
            whole_command(store_command("1.2.3.4.5")), *data_pdus(ct_instance("1.2.3.4.5"), 999)
        )
        assert status_of(peer.hear()) == 0x0000
        peer.say(release_rq())
        assert peer.hear()[:1] == b"\6"
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("field", [0x0010, 0x0020, 0x0021, 0x0100, 0x0110, 0x0120, 0x0130, 0x0140])
def test_another_service_on_a_storage_context_is_aborted_and_told(
    receiver: Receiver, field: int, caplog: pytest.LogCaptureFixture
) -> None:
    """C-GET, C-FIND, C-MOVE and those of PS3.7 chapter 10: no traceback, no silence."""
    asked = command(
        element(0x0002, CTImageStorage.encode() + b"\0"),
        element(0x0100, field.to_bytes(2, "little")),
        element(0x0110, b"\7\0"),
        element(0x0700, b"\0\0"),
        element(0x0800, b"\1\0"),
    )
    with RawPeer(receiver.peer.port) as peer, caplog.at_level(logging.WARNING):
        peer.say(associate_rq_of((CTImageStorage, [IMPLICIT])))
        peer.hear()
        peer.say(whole_command(asked), *data_pdus(ct_instance("1.2.3.4.5"), 999))
        assert peer.hear()[:1] == b"\7"
        wait_for(lambda: "is not served on" in caplog.text, "the log tells")
    assert "Traceback" not in caplog.text


def test_only_known_storage_classes_are_named_so() -> None:
    assert is_storage_class(CTImageStorage)
    assert not is_storage_class("1.2.840.10008.1.1")  # Verification is no storage either
    assert not is_storage_class(IMPLICIT)
