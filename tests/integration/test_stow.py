"""Results go to a DICOMweb server by STOW-RS, whatever it answers: what the node does, and says."""

from __future__ import annotations

import logging
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from dicomnode.config.credentials import Credentials
from storage.models import DeliveryRow
from storage.records import DeliveryState
from support.stow_server import (
    Script,
    StowServer,
    answering,
    failing,
    never,
    response,
    running_stow_server,
    saying,
    storing,
    warning,
)
from support.wait import wait_for
from support.web_outbox import ONE, destination, filled

WAITING, STORED, REFUSED = DeliveryState.WAITING, DeliveryState.STORED, DeliveryState.REFUSED
SECRET = "Zm9vYmFyLXNlY3JldA.token"  # noqa: S105 - of this test


@pytest.fixture
def server() -> Iterator[StowServer]:
    with running_stow_server() as running:
        yield running


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


DELIVERER = """
import sys, threading
from pathlib import Path
from dicomnode.config.reading import kept_settings
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
