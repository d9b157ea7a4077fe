"""The HTTP server of the monitor over real sockets."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dicomnode.config.http import HttpSettings
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.metrics.files import begin_anew, folder_in
from dicomnode.monitor.http import serving
from dicomnode.monitor.loops import Station
from storage.database import Database
from support.node import free_port
from support.wait import PATIENCE_SECONDS, wait_for


@contextmanager
def served(folder: Path, port: int) -> Iterator[Station]:
    settings = Settings(node=NodeSettings(data_directory=folder), http=HttpSettings(port=port))
    with closing(Database.open_later(settings.database_url)) as database:
        station = Station(settings, "node/monitor/1/", threading.Event(), database)
        serving_thread = threading.Thread(target=serving(station).look)
        serving_thread.start()
        try:
            yield station
        finally:
            station.stop.set()
            serving_thread.join(PATIENCE_SECONDS)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    port = free_port()
    with served(tmp_path, port) as station:
        wait_for(lambda: answers(port), "it listens")
        yield station


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def get(station: Station, path: str, host: str = "localhost") -> tuple[int, str, str]:
    """Status, media type and text."""
    port = station.settings.http.port
    with closing(http.client.HTTPConnection("127.0.0.1", port, PATIENCE_SECONDS)) as connection:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type") or "", answer.read().decode()


def test_it_lives_and_tells_its_metrics(station: Station) -> None:
    begin_anew(folder_in(station.settings.node.data_directory))
    assert get(station, "/healthz")[::2] == (200, "ok\n")
    status, kind, text = get(station, "/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    list(text_string_to_metric_families(text))
    assert get(station, "/metrics", host="evil.example")[0] == 421


def raw(station: Station, sent: bytes) -> bytes:
    """All that is answered until the connection is closed."""
    address = ("127.0.0.1", station.settings.http.port)
    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answered = b""
        while block := connection.recv(65536):
            answered += block
    return answered


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".ljust(16384, b"x"), b" 431 "),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\n", b" 413 "),
        (b"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n", b" 405 "),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, x\r\n\r\n", b" 501 "),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b" 400 "),
    ],
)
def test_what_is_too_much_or_no_request_is_refused(
    station: Station, sent: bytes, status: bytes
) -> None:
    first_line = raw(station, sent).split(b"\r\n", 1)[0]
    assert status in first_line + b" "
    assert b"Traceback" not in first_line
    assert get(station, "/healthz")[0] == 200


def test_a_port_that_is_anothers_is_told_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as holder:
        port = holder.getsockname()[1]
        settings = Settings(
            node=NodeSettings(data_directory=tmp_path), http=HttpSettings(port=port)
        )
        with closing(Database.open_later(settings.database_url)) as database:
            station = Station(settings, "node/monitor/1/", threading.Event(), database)
            loop = serving(station)
            threads = threading.active_count()
            loop.look()
            loop.look()
    assert caplog.messages == [
        f"no status page: cannot listen on 127.0.0.1:{port}: Address already in use"
    ]
    assert station.outlook.http_fault == f"127.0.0.1:{port}: Address already in use"
    assert threading.active_count() == threads
