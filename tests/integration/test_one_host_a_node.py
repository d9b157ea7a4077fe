"""One node, one host: a copy of its data directory is noticed, and an older one put back is mended.

PostgreSQL and the real processes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest

from storage.by_hand import hold, let_go
from storage.lost_nodes import lost_instances
from storage.nodes import all_nodes
from storage.records import JobKind, SeriesDetail, SeriesState
from support.node import Node
from support.pacs import Pacs, running_pacs
from support.phantom import series_uid, write_series
from support.postgresql import PostgresqlServer
from support.processes import family
from support.wait import PATIENCE_SECONDS, wait_for

TWO_HOSTS = "two hosts bear the id of one node"


class Machine(Node):
    """All of its processes can be stopped and woken at once, as a virtual machine."""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def signal_all(self, sent: signal.Signals) -> None:
        assert self.process is not None
        for pid in family(self.process.pid):
            os.kill(pid, sent)

    def refused(self) -> str:
        """What it says when it does not start."""
        with (self.folder / "node.log").open("a") as log:
            self.process = self.begin(log)
        assert self.process.wait(PATIENCE_SECONDS) == 2, self.log
        return self.log

    def joined(self) -> bool:
        with self.open_database().read() as session:
            return any(each.mark for each in all_nodes(session))

    def status(self) -> dict[str, Any]:
        command = [sys.executable, "-m", "dicomnode", "status", "--json", "--config"]
        done = subprocess.run([*command, str(self.config)], capture_output=True, check=False)
        return dict(json.loads(done.stdout))

    def troubles(self) -> dict[str, str]:
        return {each["name"].partition(":")[0]: each["text"] for each in self.status()["troubles"]}

    def copy_data(self, to: Path) -> None:
        passing = shutil.ignore_patterns("*.part", "incoming", "metrics")
        shutil.copytree(self.data, to, ignore=passing)


class House:
    def __init__(self, folder: Path, models: Path, pacs: Pacs) -> None:
        self.pacs = pacs
        self.first, self.copy = (
            Machine(folder / name, [pacs.destination], models=models) for name in ("first", "copy")
        )
        self.files = write_series(folder / "series")
        self.uid = series_uid(self.files)

    def start(self) -> None:
        self.first.start()
        wait_for(self.first.joined, f"it has joined; log:\n{self.first.log[-3000:]}")

    def expect_one_set_of_results_from(self, node: Machine) -> SeriesDetail:
        ended = node.wait_until_ended(self.uid)
        assert ended.series.state is SeriesState.ANALYSED, ended.series.reasons
        received = [str(each.SOPInstanceUID) for each in self.pacs.received]
        assert sorted(received) == sorted(each.sop_instance_uid for each in ended.results)
        return ended


@pytest.fixture
def house(
    tmp_path: Path,
    shared_models: Path,
    postgresql: PostgresqlServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    with postgresql.empty_database() as url, running_pacs() as pacs, ExitStack() as stack:
        (tmp_path / "store").mkdir()
        for name, value in {
            "NODE__DATABASE_URL": url,
            "NODE__SHARES_DATABASE": "true",
            "NODE__LOST_AFTER_SECONDS": "20",
            "OBJECT_STORE__URL": f"file://{tmp_path}/store",
            "OBJECT_STORE__SEAL_AFTER_SECONDS": "3600",
        }.items():
            monkeypatch.setenv(f"DICOMNODE_{name}", value)
        made = House(tmp_path, shared_models, pacs)
        for each in (made.first, made.copy):
            stack.callback(each.close)
        yield made


@pytest.mark.long
@pytest.mark.parametrize("shares", ["true", "false"])
def test_a_copy_does_not_start_while_the_node_lives(
    house: House, monkeypatch: pytest.MonkeyPatch, shares: str
) -> None:
    """Nor where the node has its PostgreSQL alone: the database is elsewhere, and is not copied."""
    monkeypatch.setenv("DICOMNODE_NODE__SHARES_DATABASE", shares)
    house.start()
    house.first.copy_data(house.copy.data)
    told = house.copy.refused()
    assert TWO_HOSTS in told
    assert f"it runs on {gethostname()}, and was started on {gethostname()} here" in told
    assert "receiver-1 started" not in told, "nothing was received there"
    trouble = wait_for(lambda: house.first.troubles().get("node_twice"), "it is told")
    assert gethostname() in trouble
    assert house.first.send(house.files) == house.files
    house.expect_one_set_of_results_from(house.first)


@pytest.mark.long
def test_one_that_wakes_up_after_a_copy_took_its_place_ends(house: House) -> None:
    """The first is stopped whole, as a machine that is moved; the copy waits until it is sure."""
    house.start()
    house.first.copy_data(house.copy.data)
    house.first.signal_all(signal.SIGSTOP)
    try:
        house.copy.start()
        assert "waits to see whether this node runs elsewhere" in house.copy.log
    finally:
        house.first.signal_all(signal.SIGCONT)
    assert house.first.process is not None
    assert house.first.process.wait(PATIENCE_SECONDS) == 2
    assert TWO_HOSTS in house.first.log
    assert "another host runs as this node" in house.first.log
    assert house.copy.send(house.files) == house.files
    house.expect_one_set_of_results_from(house.copy)
    assert "node_twice" in house.copy.troubles()
    assert TWO_HOSTS in house.first.refused(), "started again, as systemd does"


@pytest.mark.long
def test_one_that_was_killed_starts_again_at_once(house: House) -> None:
    house.start()
    for _ in range(2):
        house.first.kill("supervisor")
        house.first.start()
    assert "waits to see" not in house.first.log
    assert "node_twice" not in house.first.troubles()


@pytest.mark.long
def test_what_an_older_data_directory_lacks_is_sent_for(house: House) -> None:
    """Half of a series came after the copy that is put back; the source sends it again."""
    first, files, uid = house.first, house.files, house.uid
    half = len(files) // 2

    def indexed(count: int) -> bool:
        found = first.detail(uid)
        return found is not None and found.series.instance_count == count

    house.start()
    assert first.send(files[:half]) == files[:half]
    wait_for(lambda: indexed(half), "half is in the index")
    with first.open_database().write() as session:
        hold(session, uid, datetime.now(UTC))
    assert first.stop() == 0
    first.copy_data(first.folder / "older")
    first.start()
    assert first.send(files[half:]) == files[half:]
    wait_for(lambda: indexed(len(files)), "all is in the index")
    assert first.stop() == 0
    shutil.rmtree(first.data)
    (first.folder / "older").rename(first.data)
    first.start()
    missing = len(files) - half
    assert f"the last start had them: {missing} instances and 0 results" in first.log

    def is_sent_for() -> bool:
        detail = first.detail(uid)
        return detail is not None and any(job.kind is JobKind.FETCH for job in detail.jobs)

    wait_for(is_sent_for, "the archive is asked for them")
    assert first.send(files[half:]) == files[half:]

    def is_here() -> bool:
        with first.open_database().read() as session:
            return not lost_instances(session, uid)

    wait_for(is_here, "all is here again")
    with first.open_database().write() as session:
        assert let_go(session, uid, datetime.now(UTC))
    ended = house.expect_one_set_of_results_from(first)
    assert ended.series.instance_count == len(files)
    assert [each.state for each in ended.series.history] == ["node_lost"]
