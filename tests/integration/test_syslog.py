"""The audit trail at a syslog server, over real sockets: UDP, TCP and TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dicomnode.audit import trail
from dicomnode.audit.events import Changed
from dicomnode.audit.syslog import RETRY_SECONDS, Forwarder, sent_to_the_last
from dicomnode.audit.trail import of_node, record_command
from dicomnode.config.audit import AuditSettings
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.tls import DestinationTls
from support.audit_schema import checked
from support.certificates import Authority
from support.clock import StandingClock
from support.syslog_server import SyslogServer, syslog_server
from support.wait import wait_for

MARK = b"\xef\xbb\xbf"


class Sender:
    """A node's trail, and the one who sends it on."""

    def __init__(self, folder: Path, url: str, **more: Any) -> None:
        self.settings = Settings(
            node=NodeSettings(data_directory=folder), audit=AuditSettings(syslog=url, **more)
        )
        self.clock = StandingClock(datetime.now(UTC))
        self.forwarder = Forwarder(self.settings, self.clock)

    def record(self, *whats: str) -> None:
        for what in whats:
            record_command(self.settings, Changed("results retract", what, ("1.2.826",)))

    def send(self) -> None:
        while self.forwarder.look():
            pass

    def restart(self) -> None:
        self.forwarder.close()
        self.forwarder = Forwarder(self.settings, self.clock)


New = Callable[..., Sender]


@pytest.fixture
def new() -> Iterator[New]:
    """Makes senders, and closes their connections in the end."""
    made: list[Sender] = []

    def make(*arguments: Any, **named: Any) -> Sender:
        made.append(Sender(*arguments, **named))
        return made[-1]

    yield make
    for each in made:
        each.forwarder.close()


@contextmanager
def _server(scheme: str, folder: Path, port: int = 0) -> Iterator[tuple[SyslogServer, Any]]:
    if scheme != "tls":
        with syslog_server(scheme, port) as server:
            yield server, None
        return
    hospital = Authority(folder / "hospital", "hospital")
    with syslog_server(scheme, port, hospital.issue("syslog")) as server:
        yield server, DestinationTls(peer_ca=str(hospital.certificate))


def _whats(server: SyslogServer, count: int) -> list[str]:
    """What the first messages tell, each checked as RFC 5424 and PS3.15 A.5 have it."""
    wait_for(lambda: len(server.messages) >= count, f"{count} messages")
    told = []
    for message in server.messages:
        head, mark, xml = message.partition(MARK)
        assert mark
        assert head.startswith(b"<85>1 ")
        assert head.endswith(b" DICOM+RFC3881 - ")
        told.append(checked(xml.decode()).findtext("EventIdentification/EventOutcomeDescription"))
    return [str(each).rpartition(" ")[2] for each in told]


@pytest.mark.parametrize("scheme", ["udp", "tcp", "tls"])
def test_messages_arrive_whole_in_order_and_once(tmp_path: Path, scheme: str, new: New) -> None:
    with _server(scheme, tmp_path) as (server, tls):
        sender = new(tmp_path / "data", server.url, tls=tls)
        sender.record("first", "second")
        sender.send()
        sender.record("third")
        sender.send()
        # TCP keeps the order within a connection alone, and the restart opens another
        assert _whats(server, 3) == ["first", "second", "third"]
        sender.restart()
        sender.send()
        sender.record("fourth")
        sender.send()
        assert _whats(server, 4) == ["first", "second", "third", "fourth"]


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_server_that_is_away_is_told_once_and_gets_what_it_missed(
    tmp_path: Path, scheme: str, caplog: pytest.LogCaptureFixture, new: New
) -> None:
    caplog.set_level("INFO")
    with _server(scheme, tmp_path) as (server, tls):
        sender = new(tmp_path / "data", server.url, tls=tls)
        sender.record("first")
        sender.send()
        assert _whats(server, 1) == ["first"]
        port = int(server.url.rpartition(":")[2])
    for what in ("second", "third"):
        sender.record(what)
        sender.send()
        sender.clock.move(RETRY_SECONDS)
    told = [each.getMessage() for each in caplog.records]
    assert told == [
        f"sending the audit trail to the syslog server waits: {server.url}: Connection refused"
    ]
    hospital = tmp_path / "hospital"
    hospital.rename(tmp_path / "former") if hospital.exists() else None
    with _server(scheme, tmp_path, port) as (server, tls):
        if tls is not None:  # of the same name, by another authority
            sender.settings = sender.settings.model_copy(
                update={"audit": sender.settings.audit.model_copy(update={"tls": tls})}
            )
            sender.restart()
        sender.send()
        assert _whats(server, 2) == ["second", "third"]
    if scheme == "tcp":
        told = [each.getMessage() for each in caplog.records]
        assert told[1:] == ["sending the audit trail to the syslog server goes on"]


def test_a_node_sends_its_end_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "_trail", None)
    with _server("tcp", tmp_path) as (server, _tls):
        audit = AuditSettings(syslog=server.url)
        settings = Settings(node=NodeSettings(data_directory=tmp_path / "data"), audit=audit)
        with sent_to_the_last(settings), of_node(settings):
            pass
        wait_for(lambda: len(server.messages) == 2, "its start and its end")
        assert b"Application Start" in server.messages[0]
        assert b"Application Stop" in server.messages[1]
        Forwarder(settings).send_rest()
        record_command(settings, Changed("results retract", "more", ("1.2.826",)))
        Forwarder(settings).send_rest()
        wait_for(lambda: len(server.messages) == 3, "nothing comes twice")
        assert b"DICOM Instances Accessed" in server.messages[2]


def test_a_node_ends_though_the_server_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "_trail", None)
    with _server("tcp", tmp_path) as (server, _tls):
        audit = AuditSettings(syslog=server.url)
    settings = Settings(node=NodeSettings(data_directory=tmp_path / "data"), audit=audit)
    with sent_to_the_last(settings), of_node(settings):
        pass
    assert len(settings.audit_file.read_text().splitlines()) == 2


def test_a_server_that_nobody_vouches_for_gets_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, new: New
) -> None:
    stranger = Authority(tmp_path / "stranger", "stranger")
    with _server("tls", tmp_path) as (server, _tls):
        tls = DestinationTls(peer_ca=str(stranger.certificate))
        sender = new(tmp_path / "data", server.url, tls=tls)
        sender.record("first")
        sender.send()
        assert server.messages == []
    assert "certificate" in caplog.text


def test_a_trail_that_was_rotated_is_sent_over_all_its_files_and_a_loss_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, new: New
) -> None:
    with _server("tcp", tmp_path) as (server, _tls):
        sender = new(tmp_path / "data", server.url, files=2)
        trail = sender.settings.audit_file
        sender.record("first")
        trail.rename(trail.with_name("audit.log.1"))
        sender.record("second")
        trail.rename(trail.with_name("audit.log.2"))
        sender.record("third")
        sender.send()
        assert _whats(server, 3) == ["first", "second", "third"]
        trail.rename(trail.with_name("audit.log.3"))
        sender.record("fourth")
        for number in (1, 2, 3):
            trail.with_name(f"audit.log.{number}").unlink()
        trail.rename(trail.with_name("audit.log.5"))
        sender.record("fifth")
        sender.send()
        assert _whats(server, 5)[3:] == ["fourth", "fifth"]
    assert "2 files of the audit trail went before they were sent" in caplog.text
