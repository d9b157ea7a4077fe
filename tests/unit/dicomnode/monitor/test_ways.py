"""Troubles reach a webhook and a mailbox, and who has them says so."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from pydantic import ValidationError

from dicomnode.config.alerts import AlertSettings, MailSettings, Webhook
from dicomnode.config.credentials import Credentials
from dicomnode.decisions.operating.message import Message
from dicomnode.decisions.operating.troubles import Severity
from dicomnode.errors import ConfigurationError, PeerError
from dicomnode.monitor import ways
from dicomnode.monitor.ways import LogWay, MailWay, WebhookWay, ways_of
from storage.overview_records import TroubleRecord
from support.alert_receivers import MailServer, WebhookServer, running
from support.certificates import Authority

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
AWAY = TroubleRecord(
    *("destination_away:pacs", "error", "pacs is away — refused", "mend pacs"), NOW, NOW, NOW
)
MESSAGE = Message("NODE", "ct-ai", "1.2", NOW, (AWAY,), (AWAY,))
ALL = frozenset(Severity)


@pytest.fixture
def webhook() -> Iterator[WebhookServer]:
    server = WebhookServer()
    with running(server):
        yield server


def secret(folder: Path) -> str:
    (folder / "secret").write_text("s3cret\n")
    return str(folder / "secret")


def test_a_webhook_gets_the_document_with_the_token(webhook: WebhookServer, tmp_path: Path) -> None:
    who = Credentials(file=secret(tmp_path))
    WebhookWay(Webhook(url=f"{webhook.url}/hook", credentials=who), ALL).tell(MESSAGE)
    WebhookWay(Webhook(url=webhook.url), ALL).tell(MESSAGE)
    (path, headers, body), (root, _, _) = webhook.taken
    assert (path, root) == ("/hook", "/")
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Content-Type"] == "application/json"
    assert body == MESSAGE.as_json()


@pytest.mark.parametrize("status", [302, 400, 500])
def test_a_webhook_that_does_not_take_it_has_not_got_it(
    webhook: WebhookServer, status: int
) -> None:
    webhook.status = status
    with pytest.raises(PeerError, match=f"answered HTTP {status}"):
        WebhookWay(Webhook(url=webhook.url), ALL).tell(MESSAGE)


def mail(server: MailServer, **settings: object) -> MailWay:
    given = {"server": "localhost", "port": server.port, "security": "none"} | settings
    whom = {"sender": "node@hospital.example", "to": ["a@x.example", "b@x.example"]}
    return MailWay(MailSettings.model_validate(given | whom), ALL)


def test_a_mailbox_gets_the_text() -> None:
    server = MailServer()
    with running(server):
        mail(server).tell(MESSAGE)
    (taken,) = server.taken
    assert taken.isascii()  # RFC 6152: this server did not say that it takes more
    found = message_from_bytes(taken, policy=default)
    assert found["Subject"] == "[dicomnode error] NODE: 1 trouble began, 1 trouble over"
    assert (found["From"], found["To"]) == ("node@hospital.example", "a@x.example, b@x.example")
    assert found["Message-ID"].endswith("@hospital.example>")
    assert found.get_content().replace("\r\n", "\n") == MESSAGE.text


def test_a_password_goes_out_under_starttls_only_to_the_server_that_is_vouched_for(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path / "ca", "Hospital CA")
    other = Authority(tmp_path / "other", "Another CA")
    server = MailServer(authority.issue("mail"))
    who = {"file": secret(tmp_path), "user": "node"}
    with running(server):
        settings = {"security": "starttls", "credentials": who}
        mail(server, **settings, peer_ca=str(authority.certificate)).tell(MESSAGE)
        with pytest.raises(PeerError, match="certificate verify failed"):
            mail(server, **settings, peer_ca=str(other.certificate)).tell(MESSAGE)
    assert server.logins == ["\0node\0s3cret"]
    assert len(server.taken) == 1


def test_a_server_that_offers_no_starttls_gets_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "Hospital CA")
    server = MailServer()
    with running(server):
        ca = str(authority.certificate)
        with pytest.raises(PeerError, match="SMTPNotSupportedError"):
            mail(server, security="starttls", peer_ca=ca).tell(MESSAGE)
    assert server.taken == []


def test_why_a_mail_does_not_go_out_is_told_without_what_the_server_quotes() -> None:
    server = MailServer()
    server.refuses = "550 a@x.example is unknown"
    with running(server), pytest.raises(PeerError) as refused:
        mail(server).tell(MESSAGE)
    assert str(refused.value) == "the mail server answered 550"
    with pytest.raises(PeerError, match="cannot be reached: Connection refused"):
        mail(server).tell(MESSAGE)


def test_a_mail_server_that_says_nothing_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ways, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        given = {"server": "127.0.0.1", "port": port, "security": "none"}
        whom = {"sender": "node@x.example", "to": ["a@x.example"]}
        with pytest.raises(PeerError, match=r"silent for 0\.05 s"):
            MailWay(MailSettings.model_validate(given | whom), ALL).tell(MESSAGE)


def test_a_secret_that_is_not_there_is_ours_to_mend(webhook: WebhookServer) -> None:
    who = Credentials(file="/nowhere/token")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        WebhookWay(Webhook(url=webhook.url, credentials=who), ALL).tell(MESSAGE)


def test_the_log_tells_all_and_the_others_what_is_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    LogWay().tell(MESSAGE)
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", "trouble: pacs is away — refused; what to do: mend pacs"),
        ("INFO", "over: pacs is away — refused"),
    ]
    hook = Webhook(url="http://127.0.0.1/hook")
    log, web = ways_of(AlertSettings(least=Severity.ERROR, webhook=hook))
    assert (log.name, set(log.severities)) == ("log", {"error", "warning"})
    assert (web.name, set(web.severities)) == ("webhook", {"error"})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"security": "starttls"}, "peer_ca is needed"),
        ({"security": "none", "peer_ca": "ca.pem"}, "goes with neither"),
        ({"security": "none", "credentials": {"file": "x", "user": "u"}}, "goes with neither"),
        ({"peer_ca": "ca.pem", "credentials": {"file": "x"}}, "credentials need user"),
        ({"peer_ca": "ca.pem", "to": []}, "at least 1 item"),
        ({"peer_ca": "ca.pem", "sender": "node@x\r\nBcc: all@x"}, "pattern"),
    ],
)
def test_a_mail_server_is_asked_in_no_way_that_others_overhear(
    given: dict[str, object], told: str
) -> None:
    base = {"server": "mail", "sender": "node@x.example", "to": ["a@x.example"]}
    with pytest.raises(ValidationError, match=told):
        MailSettings.model_validate(base | given)
