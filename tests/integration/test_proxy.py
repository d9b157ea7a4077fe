"""Peers behind a proxy: who they are is read from its header, in front of DICOM and of TLS."""

from __future__ import annotations

import logging
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pynetdicom import evt

from dicomnode.config.sections import ReceiveSettings
from dicomnode.network import proxy_protocol
from dicomnode.network.associations import accept_verification, application_entity, listen
from dicomnode.network.listeners import bind_listener
from dicomnode.network.tls_acceptor import ServerTls
from dicomnode.offline.demo import listens
from dicomnode.receive import receiver as receiver_module
from dicomnode.tls import DestinationTls, TlsPolicy, client_context
from support.certificates import Authority
from support.node import free_port
from support.proxy_header import proxy_header
from support.raw_peer import RawPeer, associate_rq, release_rq
from support.receiver import Receiver, running_receiver
from support.sources import ROOT
from support.tools import needed
from support.wait import PATIENCE_SECONDS, wait_for

PROXY, SCANNER = "127.0.0.2", "127.0.0.3"
ACCEPTED, ABORTED = b"\x02", b"\x07"
SETTINGS = ReceiveSettings(acse_timeout_seconds=60.0, proxies=(PROXY,))


@pytest.fixture
def receiver_settings() -> ReceiveSettings:
    return SETTINGS


def peers_of(receiver: Receiver) -> list[str]:
    return [str(each.requestor.address) for each in receiver.ae.active_associations]


@pytest.mark.parametrize("fast", [True, False])
def test_the_peer_that_the_proxy_names_is_the_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    if not fast:
        monkeypatch.setattr(receiver_module, "fits", lambda _ae: False)
    with running_receiver(tmp_path / "data", SETTINGS) as receiver:
        for source in ("192.0.2.7", "2001:db8::7"):
            with RawPeer(receiver.peer.port, PATIENCE_SECONDS, PROXY) as peer:
                peer.say(proxy_header(source) + associate_rq())
                assert peer.hear()[:1] == ACCEPTED
                assert peers_of(receiver) == [source]
                peer.say(release_rq())
                peer.hear()
            wait_for(receiver.is_idle, "the association ended")


def test_of_nobody_else_a_header_is_read(receiver: Receiver) -> None:
    with RawPeer(receiver.peer.port, PATIENCE_SECONDS, SCANNER) as peer:
        assert peer.associate()[:1] == ACCEPTED
        assert peers_of(receiver) == [SCANNER]
    with RawPeer(receiver.peer.port, PATIENCE_SECONDS, SCANNER) as peer:
        peer.say_all([proxy_header("192.0.2.7"), associate_rq()])
        assert peer.hear()[:1] in (ABORTED, b"")


def said_by_the_proxy(receiver: Receiver, said: bytes) -> bytes:
    with RawPeer(receiver.peer.port, PATIENCE_SECONDS, PROXY) as peer:
        peer.say_all([said])
        return peer.hear()


def test_without_a_header_the_proxy_is_not_served_and_told_why(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert said_by_the_proxy(receiver, associate_rq()) == b""
        assert said_by_the_proxy(receiver, b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n") == b""
        assert said_by_the_proxy(receiver, proxy_header("192.0.2.7")[:20]) == b""
    for why in ("no PROXY header", "version 1", "half a PROXY header"):
        assert f"connection from the proxy {PROXY} closed: " in caplog.text
        assert why in caplog.text
    assert receiver.is_idle()


def test_a_look_of_the_proxy_is_closed_without_a_word(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for said in (b"", proxy_header("192.0.2.7", command=0x20)):
            assert said_by_the_proxy(receiver, said) == b""
    assert "proxy" not in caplog.text


def test_a_header_that_does_not_end_keeps_nobody_waiting(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_protocol, "HEADER_SECONDS", PATIENCE_SECONDS)
    with RawPeer(receiver.peer.port, PATIENCE_SECONDS, PROXY) as silent:
        silent.say(proxy_header("192.0.2.7")[:13])
        with RawPeer(receiver.peer.port, PATIENCE_SECONDS, PROXY) as peer:
            peer.say(proxy_header("192.0.2.8") + associate_rq())
            assert peer.hear()[:1] == ACCEPTED


def test_a_header_that_does_not_end_is_waited_for_in_bounds(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(proxy_protocol, "HEADER_SECONDS", 0.1)
    with (
        caplog.at_level(logging.WARNING),
        RawPeer(receiver.peer.port, PATIENCE_SECONDS, PROXY) as silent,
    ):
        silent.say(proxy_header("192.0.2.7")[:13])
        assert silent.hear() == b""
    assert "no whole PROXY header within 0.1 s" in caplog.text


@contextmanager
def tls_port(tmp_path: Path) -> Iterator[tuple[int, TlsPolicy, list[str]]]:
    node = Authority(tmp_path / "ca", "hospital").issue("node")
    policy = TlsPolicy(str(node.certificate), str(node.private_key), require_peer_certificate=False)
    ae, came = application_entity("DICOMNODE"), list[str]()
    accept_verification(ae)
    listener = bind_listener(("127.0.0.1", 0))
    seen = {evt.EVT_REQUESTED: lambda event: came.append(str(event.assoc.requestor.address))}
    listen(ae, listener, seen, ServerTls(policy), proxies=[PROXY])
    try:
        yield listener.getsockname()[1], policy, came
    finally:
        ae.shutdown()


def test_the_header_stands_in_front_of_tls(tmp_path: Path) -> None:
    with tls_port(tmp_path) as (port, _policy, came):
        trusted = DestinationTls(peer_ca=str(tmp_path / "ca" / "ca.pem"))
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS, (PROXY, 0))
        with closing(connection):
            connection.sendall(proxy_header("192.0.2.7"))
            context = client_context(trusted)
            with context.wrap_socket(connection, server_hostname="127.0.0.1") as secured:
                secured.sendall(associate_rq())
                assert secured.recv(1) == ACCEPTED
        assert came == ["192.0.2.7"]


@contextmanager
def running_haproxy(folder: Path, node_port: int) -> Iterator[int]:
    """As the product's own example has it, with one node, on this machine."""
    program, port = needed("haproxy", "haproxy"), free_port()
    example = (ROOT / "etc" / "address" / "haproxy.cfg").read_text()
    plain = example.partition("# DICOM over TLS")[0].splitlines(keepends=True)
    text = "".join(line for line in plain if "node2" not in line)
    text = text.replace("bind :104", f"bind 127.0.0.1:{port}")
    text = text.replace("192.0.2.11:11112", f"127.0.0.1:{node_port} source {PROXY}")
    (folder / "haproxy.cfg").write_text(text)
    command = [program, "-db", "-f", str(folder / "haproxy.cfg")]
    with (folder / "haproxy.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: listens(port), "HAProxy listens")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def test_behind_haproxy_the_true_peer_is_seen(receiver: Receiver, tmp_path: Path) -> None:
    with (
        running_haproxy(tmp_path, receiver.peer.port) as port,
        RawPeer(port, PATIENCE_SECONDS, SCANNER) as peer,
    ):
        assert peer.associate()[:1] == ACCEPTED
        # who looked whether HAProxy listens has left, which takes a moment to be seen
        wait_for(lambda: peers_of(receiver) == [SCANNER], "the true peer is the only one")
        peer.say(release_rq())
        peer.hear()


def test_the_example_for_haproxy_is_one() -> None:
    program = needed("haproxy", "haproxy")
    file = ROOT / "etc" / "address" / "haproxy.cfg"
    done = subprocess.run(
        [program, "-c", "-f", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
