"""Workers on a Ray cluster: killed, their host gone, the head gone; every job is done all the same.

The hosts are Ray's own for tests, all on this machine, and ask for a token. Times until work goes
on are printed (`pytest -s`): they are Ray's, and bounded here only by what a site may expect.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from dicomnode.errors import ConfigurationError, PeerError
from dicomnode.placement.authentication import check_authentication, lets_anybody_in
from storage.database import Database
from storage.models import JobRow
from storage.records import JobKind, JobState
from support.postgresql import PostgresqlServer
from support.ray_cluster import ENVIRONMENT, RayTestCluster, kill, ray_test_cluster
from support.sources import ROOT
from support.storage_samples import instance, queue, receive
from support.wait import wait_for

STAND_IN = ROOT / "tests" / "support" / "stand_in_worker.py"


class Site:
    """A queue, a cluster with two hosts, and `dicomnode workers` beside."""

    def __init__(self, folder: Path, url: str, cluster: RayTestCluster) -> None:
        self.folder, self.cluster = folder, cluster
        self.database = Database.open(url)
        self.scratch = folder / "scratch"
        self.config = folder / "dicomnode.toml"
        self.config.write_text(
            f'[node]\ndata_directory = "{folder}/data"\ndatabase_url = "{url}"\n'
        )
        self.program = folder / "dicomnode"
        path = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
        self.program.write_text(
            f'#!/bin/sh\nPYTHONPATH={path} exec {sys.executable} {STAND_IN} "$@"\n'
        )
        self.program.chmod(0o755)
        self._queued = 0

    def enter(self, jobs: int) -> None:
        for _ in range(jobs):
            self._queued += 1
            receive(self.database, instance(1, f"1.2.826.1.{self._queued}"))
            queue(self.database)

    def command(self, *options: str) -> list[str]:
        named = ("--ray", self.cluster.address, "--config", str(self.config))
        where = ("--scratch", str(self.scratch), "--program", str(self.program))
        return [sys.executable, "-m", "dicomnode", "workers", *named, *where, *options]

    @contextmanager
    def workers(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / "workers.log").open("ab") as log:
            running = subprocess.Popen(self.command(*options), stderr=log, cwd=ROOT)
        try:
            yield running
        finally:
            running.terminate()
            assert running.wait(60) == 0

    def began(self) -> set[int]:
        """Processes of the workers that have begun, and live."""
        return {pid for pid in self.placed() if runs(pid)}

    def placed(self) -> set[int]:
        """The last of each folder, dead or alive."""
        return {int(each.read_text() or 0) for each in self.scratch.glob("*/began")}

    def done(self) -> int:
        which = (JobRow.kind == JobKind.ANALYSE, JobRow.state == JobState.DONE)
        with self.database.read() as session:
            return session.scalar(select(func.count()).where(*which)) or 0

    def all_done(self) -> bool:
        return self.done() == self._queued


def state(pid: int) -> list[str]:
    """State and parent of a process; none where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return []


def runs(pid: int) -> bool:
    return state(pid)[:1] not in ([], ["Z"])


def parent(pid: int) -> int:
    return int(state(pid)[1])


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayTestCluster]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with ray_test_cluster(tmp_path / "ray.log") as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, postgresql: PostgresqlServer, cluster: RayTestCluster) -> Iterator[Site]:
    with postgresql.migrated_database() as url:
        made = Site(tmp_path, url, cluster)
        with closing(made.database):
            yield made


def goes_on(site: Site, after: str, began: float, gone: set[int]) -> None:
    """Two workers that are none of those that are gone, and they work."""
    wait_for(lambda: len(site.began() - gone) >= 2, f"{after}: two others stand")
    site.enter(4)
    wait_for(site.all_done, f"{after}: work goes on")
    print(f"{after}: work goes on after {time.monotonic() - began:.1f} s")


@pytest.mark.long
def test_a_cluster_that_lets_anybody_in_is_refused(
    tmp_path: Path, cluster: RayTestCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.head()
    assert not lets_anybody_in(cluster.address)
    check_authentication(cluster.address)
    with monkeypatch.context() as patch:
        patch.delenv("RAY_AUTH_MODE")
        with pytest.raises(ConfigurationError, match="RAY_AUTH_MODE=token"):
            check_authentication(cluster.address)
    with monkeypatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", "another" * 6)
        with pytest.raises(ConfigurationError, match="does not take the token of this host: let"):
            check_authentication(cluster.address)
    with monkeypatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        with ray_test_cluster(tmp_path / "open.log") as unguarded:
            unguarded.head()
            assert lets_anybody_in(unguarded.address)
            patch.setenv("RAY_AUTH_MODE", "token")
            with pytest.raises(ConfigurationError, match="lets anybody run programs"):
                check_authentication(unguarded.address)


def test_where_no_cluster_is_it_says_so(cluster: RayTestCluster) -> None:
    with pytest.raises(PeerError, match="no Ray cluster answers"):
        lets_anybody_in(cluster.address)


@pytest.mark.slow
def test_whatever_is_killed_work_goes_on_and_nothing_is_lost(site: Site) -> None:
    head = site.cluster.head()
    hosts = [site.cluster.host(2) for _ in range(2)]
    with site.workers("--count", "2"):
        goes_on(site, "the begin", time.monotonic(), set())
        site.enter(8)

        began, one = time.monotonic(), min(site.began())
        os.kill(one, signal.SIGKILL)
        goes_on(site, "a worker killed", began, {one})
        site.enter(8)

        began, one = time.monotonic(), min(site.began())
        os.kill(parent(one), signal.SIGKILL)
        goes_on(site, "its actor killed", began, {one})
        site.enter(8)

        began = time.monotonic()
        kill(hosts[0])
        goes_on(site, "a host without power", began, site.placed() - site.began())
        site.enter(8)

        began, former = time.monotonic(), site.began()
        kill(head)
        wait_for(site.all_done, "workers go on without a head")
        site.cluster.head()
        site.cluster.host(2)
        goes_on(site, "the head without power", began, former)
        wait_for(lambda: len(site.began() - former) == len(site.began()) == 2, "the former end")
    assert site.began() == set(), "no worker outlives the command"


@pytest.mark.long
def test_more_are_placed_while_much_waits_and_end_when_nothing_is_left(site: Site) -> None:
    site.cluster.head()
    site.cluster.host(3)
    site.enter(1)
    with site.workers("--at-most", "3", "--patience", "2"):
        wait_for(site.all_done, "a first one is placed")
        wait_for(lambda: not site.began(), "and ends by itself")
        site.enter(60)
        wait_for(lambda: len(site.began()) == 3, "three work")
        wait_for(site.all_done, "all is done")
        wait_for(lambda: not site.began(), "they end by themselves")
