"""Results go to a DICOMweb server by STOW-RS, whatever it answers: what the node does, and says."""

from __future__ import annotations

import contextlib
import errno
import logging
import ssl
import struct
import subprocess
import sys
import time
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from sqlalchemy import update

from dicomnode.config import WebDestination
from dicomnode.credentials import Credentials
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.deliver.web_sender import _FileError, web_sender
from dicomnode.errors import PeerCause, PeerError
from dicomnode.results.common.encoding import encode
from dicomnode.tls import DestinationTls
from storage.models import DeliveryRow
from storage.records import DeliveryState
from support.certificates import Authority
from support.node import free_port
from support.result_kinds import every_kind
from support.stow_server import (
    Handler,
    Request,
    Script,
    StowServer,
    answering,
    failing,
    response,
    running_stow_server,
    saying,
    storing,
    warning,
)
from support.wait import wait_for
from support.web_outbox import Outbox

WAITING, STORED, REFUSED = DeliveryState.WAITING, DeliveryState.STORED, DeliveryState.REFUSED
SECRET = "Zm9vYmFyLXNlY3JldA.token"  # noqa: S105 - of this test


@pytest.fixture
def server() -> Iterator[StowServer]:
    with running_stow_server() as running:
        yield running


def filled(folder: Path, destination: WebDestination, number: int = 1) -> Outbox:
    """So many results wait for the destination."""
    return Outbox(folder, destination, _objects(number))


@cache
def _objects(number: int) -> dict[str, bytes]:
    uids = [f"2.25.{each}" for each in range(1, number + 1)]
    return {uid: secondary_capture(uid) for uid in uids}


def secondary_capture(uid: str, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A Part 10 file of a tiny picture."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, uid
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows = made.Columns = 16
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.PixelData = bytes(range(256))
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    file = BytesIO()
    pydicom.dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def destination(server: StowServer, **more: Any) -> WebDestination:
    return WebDestination(name="archive", url=server.url, **more)


ONE = "2.25.1"
RETRY_DATE = format_datetime(datetime.now(UTC) + timedelta(days=400), usegmt=True)
XML = """<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel>
<DicomAttribute tag="00081199" vr="SQ"><Item number="1"><DicomAttribute tag="00081155" vr="UI">
<Value number="1">2.25.1</Value></DicomAttribute></Item></DicomAttribute></NativeDicomModel>"""

ANSWERS: dict[str, tuple[Script, DeliveryState, str, str]] = {
    "stored": (answering(200, response({ONE: 0})), STORED, "HTTP 200", ""),
    "stored, told in XML": (answering(200, XML.encode()), STORED, "HTTP 200", ""),
    "there already": (failing(409, 0x0111), STORED, "HTTP 409 0x0111", ""),
    "a warning": (warning(0xB006), STORED, "HTTP 202 0xB006", "some attributes were discarded"),
    "200, but it failed": (failing(200, 0xC000), REFUSED, "HTTP 200 0xC000", "is not understood"),
    "200, but out of resources": (failing(200, 0xA700), WAITING, "HTTP 200 0xA700", "disk is full"),
    "200, both": (
        answering(200, response({ONE: 0}, {ONE: 0x0122})),
        REFUSED,
        "HTTP 200 0x0122",
        "choose another class for this destination",
    ),
    "200, of another object": (
        answering(200, response({"2.25.77": 0})),
        WAITING,
        "HTTP 200",
        "does not name the object among those that it stored",
    ),
    "200, a page": (
        answering(200, b"<!DOCTYPE html><html>Sign in</html>", Content_Type="text/html"),
        WAITING,
        "HTTP 200",
        "see whether url is the address of its DICOMweb service",
    ),
    "204": (answering(204), WAITING, "HTTP 204", "does not name the object"),
    "302": (
        answering(302, Location="http://127.0.0.1:1/elsewhere"),
        WAITING,
        "HTTP 302",
        "it is at another address, which is not followed",
    ),
    "400": (answering(400), REFUSED, "HTTP 400", "the request is not understood"),
    "401": (answering(401), WAITING, "HTTP 401", "see the credentials of this destination"),
    "403": (answering(403), WAITING, "HTTP 403", "not allowed to store there"),
    "404": (answering(404), WAITING, "HTTP 404", "nothing is at this address"),
    "405": (answering(405), WAITING, "HTTP 405", "nothing can be stored at this address"),
    "406": (answering(406), REFUSED, "HTTP 406", "neither in JSON nor in XML"),
    "409 with a reason": (
        failing(409, 0xA900),
        REFUSED,
        "HTTP 409 0xA900",
        "does not match its SOP",
    ),
    "409 without": (answering(409), REFUSED, "HTTP 409", "does not say why: see its log"),
    "413": (answering(413), REFUSED, "HTTP 413", "raise its limit for the size of a request"),
    "415": (answering(415), REFUSED, "HTTP 415", "does not take DICOM objects in this encoding"),
    "429": (answering(429, Retry_After="90"), WAITING, "HTTP 429", "it asks for 90 s"),
    "500": (answering(500, b"{}"), WAITING, "HTTP 500", "a fault there: see its log"),
    "503": (answering(503, Retry_After=RETRY_DATE), WAITING, "HTTP 503", "it asks for 3600 s"),
    "507": (answering(507), WAITING, "HTTP 507", "see whether its disk is full"),
    "closed without a word": (saying(b""), WAITING, "broken off", "the connection broke off"),
    "closed in the head": (saying(b"HTTP/1.1 200 OK\r\nConte"), WAITING, "HTTP 200", ""),
    "closed in the body": (
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"),
        WAITING,
        "broken off",
        "the connection broke off before the request was answered (closed it)",
    ),
    "a chunk that is none": (
        saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        WAITING,
        "broken off",
        "the connection broke off",
    ),
    "no HTTP": (saying(b"+OK POP3 ready\r\n"), WAITING, "no HTTP", "answered with what is no HTTP"),
    "a status that is none": (saying(b"HTTP/1.1 abc Odd\r\n\r\n"), WAITING, "no HTTP", "no HTTP"),
    "a head without end": (
        saying(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"),
        WAITING,
        "no HTTP",
        "no HTTP",
    ),
}
"""What the server answers; state and status of the delivery, and what the administrator reads."""


@pytest.mark.parametrize("name", ANSWERS)
def test_what_an_answer_leads_to(server: StowServer, tmp_path: Path, name: str) -> None:
    script, state, status, told = ANSWERS[name]
    outbox = filled(tmp_path / "data", destination(server))
    server.scripts.append(script)
    assert outbox.deliver() == 1
    (row,) = outbox.rows()
    assert (row.state, row.status) == (state, status)
    assert told in (row.error or "")
    assert (row.error is None) == (state is STORED and not told)
    assert [each.path for each in server.requests] == ["/dicom-web/studies"]


OPEN = {
    "200 without a word": (answering(200), WAITING),
    "409 without a word": (answering(409), REFUSED),
    "a fault of any kind": (failing(409, 0x0110), WAITING),
}


@pytest.mark.parametrize("name", OPEN)
def test_a_server_whose_answer_leaves_it_open_is_asked(
    server: StowServer, tmp_path: Path, name: str
) -> None:
    """One that holds an object already, from a deliverer that was killed, may not say so."""
    script, state = OPEN[name]
    outbox = filled(tmp_path / "data", destination(server), number=2)
    server.scripts.extend([script, script])
    server.listed.append("2.25.2")
    outbox.deliver()
    absent, present = outbox.rows()
    assert (absent.state, present.state) == (state, STORED)
    assert (present.error or "").startswith("it lists the object, though STOW-RS answered HTTP ")
    path = "/dicom-web/studies/1.2.3/series/1.2.3.4/instances?SOPInstanceUID="
    assert server.queries == [f"{path}2.25.1", f"{path}2.25.2"]


def test_a_server_whose_answer_is_plain_is_not_asked(server: StowServer, tmp_path: Path) -> None:
    outbox = filled(tmp_path / "data", destination(server), number=4)
    server.scripts.extend([storing, failing(409, 0xC000), failing(200, 0xA700)])
    server.listed.extend(["2.25.2", "2.25.3"])
    outbox.deliver()
    assert [row.state for row in outbox.rows()] == [STORED, REFUSED, WAITING, STORED]
    assert server.queries == []


def test_a_server_that_asks_for_patience_gets_it(server: StowServer, tmp_path: Path) -> None:
    """Also for the objects that were not sent: it is asked once, not for each of them."""
    outbox = filled(tmp_path / "data", destination(server), number=3)
    server.scripts.append(answering(503, Retry_After="500"))
    before = datetime.now(UTC)
    assert outbox.deliver() == 3
    assert len(server.requests) == 1
    rows = outbox.rows()
    assert all(row.not_before - before > timedelta(seconds=499) for row in rows)
    assert {(row.state, row.attempt) for row in rows} == {(WAITING, 1)}
    assert outbox.deliver() == 0
    outbox.make_due()
    assert outbox.deliver() == 3
    assert {row.state for row in outbox.rows()} == {STORED}


def test_an_object_that_is_refused_stops_no_other(server: StowServer, tmp_path: Path) -> None:
    """Nor one at which the connection breaks off; the others share a connection."""
    outbox = filled(tmp_path / "data", destination(server), number=4)
    server.scripts.extend([failing(409, 0x0122), saying(b"")])
    assert outbox.deliver() == 4
    assert [row.state for row in outbox.rows()] == [REFUSED, WAITING, STORED, STORED]
    assert len({each.connection for each in server.requests}) == 2


def test_what_arrives_is_the_file_byte_for_byte(server: StowServer, tmp_path: Path) -> None:
    outbox = filled(tmp_path / "data", destination(server), number=3)
    outbox.deliver()
    assert {each.uid: each.part for each in server.requests} == outbox.contents
    for each in server.requests:
        assert each.headers["content-type"].startswith(
            'multipart/related; type="application/dicom"'
        )
        assert "application/dicom+json" in each.headers["accept"]
        assert "authorization" not in each.headers


def sent(server: StowServer, path: Path, timeout: float = 20.0, **more: Any) -> Outcome:
    with web_sender(destination(server, **more), timeout) as sender:
        return sender.send(path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "1.dcm"
    path.write_bytes(secondary_capture(ONE))
    return path


def test_a_file_that_is_deflated_is_inflated(server: StowServer, tmp_path: Path) -> None:
    """Receivers were seen to answer that they stored one, and to lose its pixels."""
    path = tmp_path / "deflated.dcm"
    path.write_bytes(secondary_capture(ONE, DeflatedExplicitVRLittleEndian))
    assert sent(server, path).ending is Ending.STORED
    assert server.requests[0].part == secondary_capture(ONE)


@pytest.mark.parametrize("compressed", [True, False])
def test_jpeg_goes_as_it_is_where_the_site_asks_for_it(
    server: StowServer, tmp_path: Path, compressed: bool
) -> None:
    made = every_kind()["slice"]
    path = tmp_path / "slice.dcm"
    path.write_bytes(encode(made))
    assert sent(server, path, compressed=compressed).ending is Ending.STORED
    (request,) = server.requests
    arrived = pydicom.dcmread(BytesIO(request.part))
    assert (request.part == path.read_bytes()) is compressed
    assert arrived.SOPInstanceUID == made.sop_instance_uid
    assert np.array_equal(arrived.pixel_array, pydicom.dcmread(path).pixel_array)


def test_a_file_that_is_no_dicom_is_not_sent(server: StowServer, tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(b"content")
    with pytest.raises(InvalidDicomError):
        sent(server, tmp_path / "1.dcm")
    assert server.requests == []


def test_a_file_that_fails_amid_the_request_is_no_fault_of_the_network(
    server: StowServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_file: object) -> bytes:
        raise _FileError(OSError(errno.EIO, "Input/output error"))

    monkeypatch.setattr("dicomnode.deliver.web_sender._next", fails)
    with pytest.raises(OSError, match="Input/output error") as caught:
        sent(server, file)
    assert caught.value.errno == errno.EIO


def never(handler: Handler, _request: Request) -> None:
    """Until the other side goes."""
    handler.rfile.read(1)


def test_a_server_that_does_not_answer_in_time(server: StowServer, file: Path) -> None:
    server.scripts.append(never)
    with pytest.raises(PeerError, match=r"the request was not answered within 0\.2 s") as caught:
        sent(server, file, timeout=0.2)
    assert caught.value.cause is PeerCause.NO_ANSWER


@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"]
)
def test_a_server_whose_answer_comes_byte_by_byte(
    server: StowServer, tls_server: StowServer, authority: Authority, file: Path, begin: bytes
) -> None:
    """In its head, or after it: no single wait is long."""

    def endless(handler: Handler, _request: Request) -> None:
        handler.wfile.write(begin)
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b" ")
                time.sleep(0.05)

    for each, tls in ((server, None), (tls_server, tls_of(authority))):
        each.scripts.append(endless)
        with pytest.raises(PeerError, match=r"not answered within 0\.5 s") as caught:
            sent(each, file, timeout=0.5, tls=tls)
        assert caught.value.cause is PeerCause.NO_ANSWER


def test_of_a_huge_answer_no_more_is_kept_than_an_answer_has(
    server: StowServer, file: Path
) -> None:
    server.scripts.append(answering(200, b" " * (3 << 20) + response({ONE: 0})))
    outcome = sent(server, file)
    assert outcome.ending is Ending.AGAIN
    assert "does not name the object" in outcome.text


def test_a_server_that_refuses_a_large_object_before_it_has_read_it(
    server: StowServer, tmp_path: Path
) -> None:
    """It answers and closes while we still send."""

    def early(handler: Handler) -> None:
        handler.reply(413, b"", {"Connection": "close"})
        handler.close_connection = True

    server.answers_at_once(early)
    try:
        assert sent(server, large_file(tmp_path, 50 << 20)).status == "HTTP 413"
    except PeerError as error:  # a reset may overtake the answer
        assert error.cause is PeerCause.LOST


def test_nobody_listens(tmp_path: Path, file: Path) -> None:
    port = free_port()
    nowhere = WebDestination(name="archive", url=f"http://127.0.0.1:{port}")
    with pytest.raises(PeerError) as caught, web_sender(nowhere, 5.0) as sender:
        sender.send(file)
    assert caught.value.cause is PeerCause.UNREACHABLE
    assert str(caught.value) == f"archive (127.0.0.1:{port}) cannot be reached: Connection refused"


def test_a_host_that_is_unknown(file: Path) -> None:
    nowhere = WebDestination(name="archive", url="http://no-such-host.invalid/dicom-web")
    with pytest.raises(PeerError, match="reached: ") as caught, web_sender(nowhere, 5.0) as sender:
        sender.send(file)
    assert caught.value.cause is PeerCause.UNREACHABLE


def large_file(folder: Path, size: int) -> Path:
    """A picture of `size` bytes, which take no room on the disk."""
    path = folder / "large.dcm"
    content = secondary_capture(ONE)
    head = content[: content.rindex(b"\xe0\x7f\x10\x00") + 8]
    with path.open("wb") as file:
        file.write(head + struct.pack("<I", size))
        file.truncate(len(head) + 4 + size)
    return path


def test_a_large_object_never_lies_in_memory(server: StowServer, tmp_path: Path) -> None:
    path = large_file(tmp_path, 200 << 20)
    server.scripts.append(answering(200, response({ONE: 0})))
    tracemalloc.start()
    try:
        assert sent(server, path).ending is Ending.STORED
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert server.requests[0].length > 200 << 20
    assert peak < 8 << 20


@pytest.mark.parametrize("user", ["", "node"])
def test_who_we_are_is_read_anew_for_each_request(
    server: StowServer, file: Path, tmp_path: Path, user: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    server.scripts.extend([answering(401), answering(401)])
    with web_sender(destination(server, credentials=Credentials(str(secret), user=user)), 20) as to:
        for text in (SECRET, "another", "third"):
            secret.write_text(text)
            with contextlib.suppress(PeerError):
                to.send(file)
    given = [each.headers["authorization"] for each in server.requests]
    expected = [SECRET, "another", "third"]
    if user:
        pairs = [b64encode(f"node:{each}".encode()).decode() for each in expected]
        assert given == [f"Basic {each}" for each in pairs]
    else:
        assert given == [f"Bearer {each}" for each in expected]


def test_a_redirect_takes_nothing_elsewhere(server: StowServer, file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    credentials = Credentials(str(tmp_path / "secret"))
    with running_stow_server() as other:
        for status in (301, 302, 303, 307, 308):
            server.scripts.append(answering(status, Location=f"{other.url}/studies"))
            with pytest.raises(PeerError):
                sent(server, file, credentials=credentials)
        assert other.requests == []
    assert len(server.requests) == 5


def test_a_proxy_of_the_environment_is_not_asked(
    server: StowServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert sent(server, file).ending is Ending.STORED


@pytest.mark.parametrize(
    "answer", ["401", "500", "200, a page", "closed without a word", "no HTTP"]
)
@pytest.mark.parametrize("user", ["", "node"])
def test_a_secret_shows_nowhere(
    server: StowServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: str, user: str
) -> None:
    """In no log, even at its most talkative, no row, no settings, no file of the node."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "secret").write_text(SECRET)
    credentials = Credentials(str(tmp_path / "secret"), user=user)
    outbox = filled(tmp_path / "data", destination(server, credentials=credentials))
    server.scripts.append(ANSWERS[answer][0])
    outbox.deliver()
    encoded = b64encode(f"{user}:{SECRET}".encode()).decode()
    assert server.requests[0].headers["authorization"].endswith(encoded if user else SECRET)
    outbox.database.close()
    shown = [caplog.text, repr(outbox.settings), outbox.settings.model_dump_json()]
    files = [each.read_bytes() for each in (tmp_path / "data").rglob("*") if each.is_file()]
    for hidden in (SECRET, encoded):
        assert not any(hidden in each for each in shown)
        assert not any(hidden.encode() in each for each in files)


def test_a_secret_that_is_not_there_is_waited_for(server: StowServer, tmp_path: Path) -> None:
    credentials = Credentials(str(tmp_path / "secret"))
    outbox = filled(tmp_path / "data", destination(server, credentials=credentials), number=2)
    outbox.deliver()
    assert server.requests == []
    assert {(row.state, row.status, row.error) for row in outbox.rows()} == {
        (
            WAITING,
            "set-up",
            "archive: credentials: the file cannot be read: No such file or directory",
        )
    }
    (tmp_path / "secret").write_text("token")
    outbox.make_due()
    outbox.deliver()
    assert {row.state for row in outbox.rows()} == {STORED}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "authority", "hospital")


@pytest.fixture
def tls_server(authority: Authority) -> Iterator[StowServer]:
    """It wants a certificate of ours."""
    own = authority.issue("pacs")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.private_key)
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    with running_stow_server(context) as running:
        yield running


def tls_of(authority: Authority, certificate: bool = True, server_name: str = "") -> DestinationTls:
    tls = DestinationTls(str(authority.certificate), server_name=server_name)
    if not certificate:
        return tls
    own = authority.issue("node")
    return replace(tls, certificate=str(own.certificate), private_key=str(own.private_key))


def test_over_tls_with_a_certificate_of_each_side(
    tls_server: StowServer, authority: Authority, file: Path
) -> None:
    assert sent(tls_server, file, tls=tls_of(authority)).ending is Ending.STORED
    assert tls_server.requests[0].part == file.read_bytes()
    named = tls_of(authority, server_name="localhost")
    assert sent(tls_server, file, tls=named).ending is Ending.STORED


def test_tls_that_cannot_be_agreed_on(
    tls_server: StowServer, authority: Authority, file: Path, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "other", "elsewhere")
    faults = {
        "certificate verify failed": DestinationTls(str(stranger.certificate)),
        "Hostname mismatch": tls_of(authority, server_name="pacs.example"),
    }
    for words, tls in faults.items():
        with pytest.raises(PeerError, match=f"TLS failed: .*{words}") as caught:
            sent(tls_server, file, tls=tls)
        assert caught.value.cause is PeerCause.TLS
    assert tls_server.requests == []


def test_a_server_that_wants_a_certificate_which_we_have_not(
    tls_server: StowServer, authority: Authority, tmp_path: Path
) -> None:
    """In TLS 1.3 its refusal comes while we send already: a reset may overtake the reason."""
    tls = tls_of(authority, certificate=False)
    outbox = filled(tmp_path / "data", destination(tls_server, tls=tls))
    outbox.deliver()
    (row,) = outbox.rows()
    assert (row.state, row.status in {"TLS failed", "broken off"}) == (WAITING, True)
    assert row.status == "broken off" or "alert certificate required" in (row.error or "")
    assert tls_server.requests == []


def test_tls_towards_a_port_without(server: StowServer, authority: Authority, file: Path) -> None:
    server.url = server.url.replace("http:", "https:")
    with pytest.raises(PeerError) as caught:
        sent(server, file, tls=tls_of(authority))
    assert caught.value.cause in {PeerCause.TLS, PeerCause.LOST}


def test_no_tls_towards_a_port_with(tls_server: StowServer, file: Path) -> None:
    tls_server.url = tls_server.url.replace("https:", "http:")
    with pytest.raises(PeerError) as caught:
        sent(tls_server, file)
    assert caught.value.cause in {PeerCause.LOST, PeerCause.NO_HTTP}


def test_a_certificate_of_ours_that_is_not_there_is_waited_for(
    tls_server: StowServer, tmp_path: Path
) -> None:
    tls = DestinationTls(str(tmp_path / "none.pem"))
    outbox = filled(tmp_path / "data", destination(tls_server, tls=tls))
    outbox.deliver()
    (row,) = outbox.rows()
    assert (row.state, row.status) == (WAITING, "set-up")
    assert "none.pem: No such file or directory" in (row.error or "")


DELIVERER = """
import sys, threading
from pathlib import Path
from dicomnode.config import kept_settings
from dicomnode.deliver.deliverer import Deliverer
settings = kept_settings(Path(sys.argv[1]))
Deliverer(settings, settings.destinations[0], "node/deliverer/2/").deliver_some(threading.Event())
"""


def test_a_deliverer_that_is_killed_amid_a_request_is_taken_over(
    server: StowServer, tmp_path: Path
) -> None:
    """The server had stored the object and could not say so: it says that it is there already."""
    outbox = filled(tmp_path / "data", destination(server), number=3)
    kept = tmp_path / "settings.json"
    kept.write_text(outbox.settings.model_dump_json())
    server.scripts.extend([storing, never])
    process = subprocess.Popen([sys.executable, "-c", DELIVERER, str(kept)])
    wait_for(lambda: len(server.requests) == 2, "the second object has come")
    process.kill()
    process.wait()
    assert [row.state.value for row in outbox.rows()] == ["stored", "sending", "sending"]
    with outbox.database.write() as session:
        ended = datetime.now(UTC) - timedelta(seconds=1)
        held = update(DeliveryRow).where(DeliveryRow.state == DeliveryState.SENDING)
        session.execute(held.values(lease_until=ended))
    server.scripts.append(failing(409, 0x0111))
    assert outbox.deliver() == 2
    assert [row.state for row in outbox.rows()] == [STORED] * 3
    assert [each.uid for each in server.requests] == ["2.25.1", "2.25.2", "2.25.2", "2.25.3"]
