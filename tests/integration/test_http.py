"""The HTTP server of the monitor over real sockets."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dicomnode.config.http import HttpSettings
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.judge import judge
from dicomnode.metrics.files import begin_anew, folder_in
from dicomnode.monitor.http import serving
from dicomnode.monitor.loops import Readiness, Seen, Station
from storage.database import Database
from support.node import Node, free_port
from support.phantom import write_series
from support.seen import KEY, quiet_node, troubled_node
from support.sources import ROOT
from support.tools import needed, npm_folder, promtool
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


def see(station: Station, facts: Facts) -> None:
    """As the loop that looks at the node would."""
    station.outlook.seen = Seen(facts, judge(facts, HealthPolicy(), facts.at))


def test_it_lives_and_tells_its_metrics(station: Station) -> None:
    folder = folder_in(station.settings.node.data_directory)
    begin_anew(folder)
    count_in_another_process(folder)
    assert get(station, "/healthz")[::2] == (200, "ok\n")
    see(station, troubled_node())
    status, kind, text = get(station, "/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    told = {each.name for each in text_string_to_metric_families(text)}
    assert {"dicomnode_instances_received", "dicomnode_deliveries", "dicomnode_troubles"} <= told
    assert promtool("check", "metrics", read=text) == ""
    assert get(station, "/metrics", host="evil.example")[0] == 421


def count_in_another_process(folder: Path) -> None:
    code = (
        "import sys, pathlib; from dicomnode.metrics.files import count_as; "
        "count_as('receiver-1', pathlib.Path(sys.argv[1])); "
        "from dicomnode.metrics.counters import count_received, STAGE_SECONDS; "
        "count_received('CT1', 1000); STAGE_SECONDS.labels('total').observe(3)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True)


def test_it_is_ready_while_all_is_there_and_somebody_looks(station: Station) -> None:
    status, kind, text = get(station, "/readyz")
    assert (status, kind) == (503, "application/json")
    assert json.loads(text) == {"ready": False, "reasons": ["the node was not looked at yet"]}
    facts = replace(quiet_node(), at=datetime.now(UTC))
    see(station, facts)
    assert get(station, "/readyz")[::2] == (200, '{"ready": true, "reasons": []}\n')
    see(station, replace(facts, node=None, at=facts.at - timedelta(minutes=5)))
    status, _, text = get(station, "/readyz")
    assert status == 503
    told = json.loads(text)["reasons"]
    assert told[0] == "no receiver runs"
    assert re.fullmatch(r"the node was looked at 3\d\d s ago, and not since", told[1])


def test_it_is_ready_as_it_was_seen_last_and_not_when_nobody_looks_any_more(
    station: Station,
) -> None:
    see(station, replace(quiet_node(), at=datetime.now(UTC)))
    station.outlook.readiness = Readiness(("the disk is full",), station.clock.seconds())
    status, _, text = get(station, "/readyz")
    assert (status, json.loads(text)["reasons"]) == (503, ["the disk is full"])
    assert get(station, "/readyz", host="evil.example")[::2] == (503, '{"ready": false}\n')
    station.outlook.readiness = Readiness((), station.clock.seconds())
    assert get(station, "/readyz")[0] == 200
    station.outlook.readiness = Readiness((), station.clock.seconds() - 6)
    assert json.loads(get(station, "/readyz")[2])["reasons"] == [
        "the node was looked at 6 s ago, and not since"
    ]


def test_the_page_is_there_before_the_first_look_and_without_a_database(station: Station) -> None:
    status, kind, text = get(station, "/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert "has not been looked at yet" in text
    see(station, quiet_node())
    assert "All is well" in get(station, "/still")[2]
    see(station, replace(quiet_node(), database_fault="it is away"))
    assert "the database does not answer" in get(station, "/")[2]
    assert get(station, "/style.css")[:2] == (200, "text/css; charset=utf-8")
    assert get(station, "/icon.svg")[:2] == (200, "image/svg+xml")


@pytest.mark.long
def test_chromium_shows_it_wide_and_narrow_light_and_dark(station: Station) -> None:
    """Nothing is asked of elsewhere, nothing complained of; no line is cut, and no text is pale."""
    modules, chromium = npm_folder("playwright-core"), needed("chromium", "chromium")
    see(station, troubled_node())
    address = f"http://127.0.0.1:{station.settings.http.port}"
    done = subprocess.run(
        ["node", str(ROOT / "tests/support/page.mjs"), str(modules), chromium, f"{address}/"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen) == 4
    for told in seen.values():
        assert set(told["requests"]) == {
            f"{address}{each}" for each in ("/", "/style.css", "/icon.svg")
        }
        assert told["complaints"] == []
        assert told["wider"] <= 0
        assert told["pale"] == []
        assert "errors and" in told["title"]
        assert "killed by the kernel: out of memory" in told["text"]
        assert KEY not in told["text"]
    assert len({told["styled"] for told in seen.values()}) == 2, "light and dark differ"


@pytest.mark.long
def test_a_node_that_runs_tells_of_all_its_processes_and_counts_on_over_a_kill(
    tmp_path: Path,
) -> None:
    port, files = free_port(), write_series(tmp_path / "series", slices=3)
    node = Node(tmp_path / "node", toml=f"[http]\nport = {port}\n")
    node.start()
    try:
        wait_for(lambda: fetched(port, "/readyz")[0] == 200, "it is ready")
        node.send(files)
        wait_for(lambda: sample(port, "instances_received_total") == 3, "three are counted")
        for role in ("receiver-1", "receiver-2"):
            node.kill(role)
        wait_for(
            lambda: sample(port, "process_restarts_total", role="receiver-2") == 1, "it is told"
        )
        node.wait_until_it_answers()
        node.send(files)
        wait_for(lambda: sample(port, "instances_received_total") == 6, "it counts on")
        wait_for(lambda: sample(port, "associations_open") == 0, "and nobody is left open")
        assert "receiver-1" in fetched(port, "/")[1]
    finally:
        node.close()


def fetched(port: int, path: str) -> tuple[int, str]:
    """Status and text; 0 while nobody answers."""
    try:
        with closing(http.client.HTTPConnection("localhost", port, PATIENCE_SECONDS)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
    except OSError:
        return 0, ""


def sample(port: int, name: str, **labels: str) -> float:
    """The sum of the samples that have these labels."""
    families = text_string_to_metric_families(fetched(port, "/metrics")[1])
    return sum(
        each.value
        for family in families
        for each in family.samples
        if each.name == f"dicomnode_{name}" and labels.items() <= each.labels.items()
    )


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
