"""Associations and C-STORE requests as the field makes them: taken like any other, or named."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from sqlalchemy import select

from dicomnode.decisions.arrival.admission import AdmissionPolicy, Peer
from dicomnode.fast_scp.pdu import COMMAND, LAST, p_data_tf
from storage.models import SeriesRow
from support.acceptor import running_acceptor
from support.phantom import write_series
from support.raw_peer import (
    STORE_CONTEXT,
    RawPeer,
    associate_rq,
    data_pdus,
    element,
    release_rq,
    store_command,
    whole_command,
)
from support.receiver import Receiver
from support.wait import wait_for

CALLED, CALLING = slice(10, 26), slice(26, 42)  # PS3.8 table 9-11, behind the head of the PDU


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    return write_series(tmp_path / "series", slices=1)[0]


def encoded(data_set: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, data_set)
    return buffer.getvalue()


def answered(port: int, *pdus: bytes) -> Dataset:
    """The command set of the response to a C-STORE request."""
    with RawPeer(port) as peer:
        assert peer.associate()[0] == 2
        peer.say(*pdus)
        response = peer.hear()
        peer.say(release_rq())
        assert peer.hear()[0] == 6
    assert response[0] == 4
    return pydicom.dcmread(BytesIO(response[12:]), force=True)


def priorities(receiver: Receiver) -> list[int]:
    """Of the series that were received: 0 first."""
    with receiver.database.read() as session:
        return list(session.scalars(select(SeriesRow.priority)))


MEDIUM, HIGH, LOW = 0, 1, 2  # Priority (0000,0700), PS3.7 table 9.3-1
MOVED = element(0x1030, b"ARCHIVE ") + element(0x1031, b"\3\0")
WHOLE = 1 << 15

WAYS: dict[str, tuple[int, bytes, int]] = {
    "plain": (MEDIUM, b"", WHOLE),
    "high priority": (HIGH, b"", WHOLE),
    "low priority": (LOW, b"", WHOLE),
    "with move originator": (MEDIUM, MOVED, WHOLE),
    "command in PDVs of one byte": (MEDIUM, b"", 1),
    "command in PDVs of seven bytes, with move originator": (HIGH, MOVED, 7),
}
"""Priority, what the command has more, and the longest PDV of it."""


def command_pieces(uid: str, way: str) -> list[tuple[int, int, bytes]]:
    priority, more, longest = WAYS[way]
    command = store_command(uid, more)
    command = command.replace(element(0x0700, b"\0\0"), element(0x0700, bytes([priority, 0])))
    starts = range(0, len(command), longest)
    return [
        (STORE_CONTEXT, COMMAND | (LAST if at == starts[-1] else 0), command[at : at + longest])
        for at in starts
    ]


@pytest.mark.parametrize("one_pdu", [True, False], ids=["one PDU", "a PDU each"])
@pytest.mark.parametrize("way", WAYS)
def test_a_request_is_served_however_it_is_made(
    receiver: Receiver, instance: Path, way: str, one_pdu: bool
) -> None:
    data_set = pydicom.dcmread(instance)
    pieces = command_pieces(str(data_set.SOPInstanceUID), way)
    pdus = [p_data_tf(pieces)] if one_pdu else [p_data_tf([piece]) for piece in pieces]
    response = answered(receiver.peer.port, *pdus, *data_pdus(encoded(data_set), 16000))
    assert response.Status == 0x0000
    assert response.AffectedSOPInstanceUID == data_set.SOPInstanceUID
    kept = wait_for(lambda: priorities(receiver), "it is indexed")
    assert kept == [{HIGH: 0, MEDIUM: 1, LOW: 2}[WAYS[way][0]]]


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_leading_zeros_of_a_uid_are_kept(receiver: Receiver, instance: Path, keyword: str) -> None:
    """Wrong by PS3.5 section 9.1, and sent by scanners: it names the instance all the same."""
    data_set = pydicom.dcmread(instance)
    data_set[keyword].value = "1.2.0840.00123.07"
    request = whole_command(store_command(str(data_set.SOPInstanceUID)))
    response = answered(receiver.peer.port, request, *data_pdus(encoded(data_set), 16000))
    assert response.Status == 0x0000
    wait_for(lambda: priorities(receiver), "it is indexed")
    (kept,) = (receiver.files.open_path(path) for path in receiver.files.iter_paths())
    assert pydicom.dcmread(kept)[keyword].value == "1.2.0840.00123.07"


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_a_uid_of_more_than_64_characters_is_refused_and_named(
    receiver: Receiver, instance: Path, keyword: str
) -> None:
    data_set = pydicom.dcmread(instance)
    data_set[keyword].value = "1.2." + "9" * 61
    request = whole_command(store_command(str(data_set.SOPInstanceUID)))
    response = answered(receiver.peer.port, request, *data_pdus(encoded(data_set), 16000))
    assert response.Status == 0xC000  # Cannot Understand (PS3.4 table B.2-1)
    assert response.ErrorComment.startswith(keyword)
    assert list(receiver.files.iter_paths()) == []


TITLES = {
    "as they are": (b"DICOMNODE       ", b"CT1             "),
    "spaces before": (b"       DICOMNODE", b"             CT1"),
    "spaces around": (b"   DICOMNODE    ", b"  CT1           "),
}


@pytest.mark.parametrize("titles", TITLES)
def test_spaces_around_titles_mean_nothing(titles: str) -> None:
    """PS3.8 table 9-11: leading and trailing spaces are not significant."""
    policy = AdmissionPolicy(peers=(Peer("CT1", ("127.0.0.0/8",)),)).for_node("DICOMNODE")
    request = bytearray(associate_rq())
    request[CALLED], request[CALLING] = TITLES[titles]
    with running_acceptor(policy) as acceptor, RawPeer(acceptor.port) as peer:
        peer.say(bytes(request))
        assert peer.hear()[0] == 2  # A-ASSOCIATE-AC
        peer.say(release_rq())
        assert peer.hear()[0] == 6
        assert acceptor.gate.refused == {}


def test_private_classes_are_kept_beside_the_series_they_belong_to(
    receiver: Receiver, tmp_path: Path
) -> None:
    """A study is forwarded whole: raw data of the scanner come with the images."""

    def private(data_set: Dataset, number: int) -> None:
        if number == 1:
            data_set.SOPClassUID = "1.3.12.2.1107.5.9.1"  # Siemens CSA Non-Image Storage
            data_set.add_new(0x00291010, "OB", b"raw data")

    files = write_series(tmp_path / "both", slices=3, change=private)
    assert receiver.send(*files) == [0x0000] * 3
    kept = [pydicom.dcmread(receiver.files.open_path(path)) for path in receiver.files.iter_paths()]
    assert [each[0x00291010].value for each in kept if 0x00291010 in each] == [b"raw data"]
