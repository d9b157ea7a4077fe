"""The way to a DICOMweb server: files, secrets, TLS, and a server that stands in the way."""

from __future__ import annotations

import contextlib
import errno
import ssl
import struct
import time
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
)

from dicomnode.config.credentials import Credentials
from dicomnode.config.destinations import WebDestination
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.deliver.web_sender import _FileError, web_sender
from dicomnode.errors import PeerCause, PeerError
from dicomnode.results.common.encoding import encode
from dicomnode.tls import DestinationTls
from storage.records import DeliveryState
from support.certificates import Authority
from support.node import free_port
from support.result_kinds import every_kind
from support.stow_server import (
    Handler,
    Request,
    StowServer,
    answering,
    never,
    response,
    running_stow_server,
)
from support.web_outbox import ONE, destination, filled, secondary_capture

WAITING, STORED, REFUSED = DeliveryState.WAITING, DeliveryState.STORED, DeliveryState.REFUSED
SECRET = "Zm9vYmFyLXNlY3JldA.token"  # noqa: S105 - of this test


@pytest.fixture
def server() -> Iterator[StowServer]:
    with running_stow_server() as running:
        yield running


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
