"""Paths, and what becomes of a request before a page is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dicomnode.config.credentials import Credentials
from dicomnode.config.http import HttpSettings
from dicomnode.web.application import Answer, Application
from dicomnode.web.guard import HEADERS
from support.audit_file import event_of, messages, recording, studies_of


class Client:
    """Asks an application, as a server would."""

    def __init__(self, settings: HttpSettings) -> None:
        self.asked = 0
        self.application = Application(
            settings,
            {"/": self._page, "/fault": self._fault, "/readyz": lambda: Answer(b"no: why\n")},
            {"/healthz": lambda: Answer(b"ok\n"), "/readyz": lambda: Answer(b"no\n")},
        )

    def _page(self) -> Answer:
        self.asked += 1
        return Answer(b"page")

    def _fault(self) -> Answer:
        raise KeyError("DOE^JOHN")

    def get(self, path: str, method: str = "GET", **more: str) -> tuple[int, dict[str, str], bytes]:
        told: list[Any] = []
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_HOST": "localhost:1"} | more
        body = b"".join(self.application(environ, lambda *given: told.extend(given)))
        return int(told[0].split()[0]), dict(told[1]), body


@pytest.fixture
def client() -> Client:
    return Client(HttpSettings())


def test_every_answer_has_the_headers_that_keep_it_safe(client: Client) -> None:
    for path, method in (("/", "GET"), ("/nowhere", "GET"), ("/", "POST"), ("/healthz", "HEAD")):
        _, headers, _ = client.get(path, method)
        assert HEADERS.items() <= headers.items()


def test_head_tells_the_length_and_no_body(client: Client) -> None:
    status, headers, body = client.get("/", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "4", b"")


def test_what_is_not_there(client: Client) -> None:
    assert client.get("/../etc/passwd")[0] == 404
    assert client.get("")[0] == 404


def test_a_fault_is_told_without_its_text(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    status, _, body = client.get("/fault")
    assert status == 500
    assert b"DOE" not in body
    assert caplog.messages == ["/fault cannot be told"]


def test_the_page_is_not_even_made_for_who_may_not_look(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    client = Client(HttpSettings(address="0.0.0.0", token=Credentials(file=str(secret))))  # noqa: S104
    assert client.get("/")[0] == 401
    assert client.get("/", HTTP_AUTHORIZATION="Bearer wrong")[0] == 401
    assert client.get("/nowhere")[0] == 401
    assert client.asked == 0
    assert client.get("/", HTTP_AUTHORIZATION="Bearer s3cret", HTTP_HOST="node7:11180")[0] == 200
    assert client.get("/healthz", HTTP_HOST="")[0] == 200
    assert client.get("/healthz", "POST")[0] == 405
    secret.write_text("other")
    assert client.get("/", HTTP_AUTHORIZATION="Bearer s3cret")[0] == 401, "read anew each time"


def test_whoever_may_not_look_hears_in_brief_whether_it_is_ready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    client = Client(HttpSettings(address="0.0.0.0", token=Credentials(file=str(secret))))  # noqa: S104
    assert client.get("/readyz")[::2] == (200, b"no\n")
    assert client.get("/readyz", "POST")[0] == 405
    assert client.get("/readyz", HTTP_AUTHORIZATION="Bearer s3cret")[::2] == (200, b"no: why\n")
    assert caplog.messages == []
    asked = {"HTTP_AUTHORIZATION": "Bearer wrong", "REMOTE_ADDR": "192.0.2.7"}
    assert client.get("/readyz", **asked)[::2] == (200, b"no\n")
    assert caplog.messages == ["HTTP with a wrong token from 192.0.2.7"]
    local = Client(HttpSettings())
    assert local.get("/readyz", HTTP_HOST="evil.example")[::2] == (200, b"no\n")
    assert local.get("/readyz")[::2] == (200, b"no: why\n")


def test_a_token_that_is_gone_lets_nobody_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(HttpSettings(token=Credentials(file=str(tmp_path / "gone"))))
    assert client.get("/", HTTP_AUTHORIZATION="Bearer x")[0] == 503
    assert client.get("/", HTTP_AUTHORIZATION="Bearer x")[0] == 503
    (told,) = caplog.messages
    assert told.startswith("[http] token: credentials: the file cannot be read")


def test_a_wrong_token_is_told_and_recorded_and_a_missing_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TOKEN", "right")
    client = Client(HttpSettings(token=Credentials(variable="TOKEN")))
    with recording(tmp_path) as file:
        assert client.get("/")[0] == 401
        for _ in range(3):
            asked = {"HTTP_AUTHORIZATION": "Bearer wrong", "REMOTE_ADDR": "192.0.2.7"}
            assert client.get("/", **asked)[0] == 401
    assert caplog.messages == [
        "HTTP with a wrong token from 192.0.2.7",
        "HTTP with a wrong token from 192.0.2.7 (2 times so far)",
    ]
    assert [(event_of(each), studies_of(each)) for each in messages(file)] == [
        ("Security Alert", ["192.0.2.7"])
    ] * 2
