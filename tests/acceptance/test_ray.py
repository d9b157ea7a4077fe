"""A node, PostgreSQL, an object store, and `dicomnode worker` itself on a Ray cluster of two hosts.

A worker is killed while it analyses, and the head of the cluster while others do: each series has
one set of results in the PACS. Times until work goes on are printed (`pytest -s`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from storage.records import JobKind, JobState, SeriesState
from support.postgresql import postgresql_server
from support.processes import family
from support.ray_cluster import ENVIRONMENT, RayTestCluster, kill, ray_test_cluster
from support.seaweedfs import seaweedfs
from support.sources import ROOT
from support.wait import wait_for
from support.worker_site import SiteOfWorkers, site_of_workers


@pytest.fixture
def site(
    tmp_path: Path, shared_models: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SiteOfWorkers]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "seaweedfs").mkdir()
    with (
        postgresql_server() as postgresql,
        seaweedfs(tmp_path / "seaweedfs") as store,
        site_of_workers(tmp_path, shared_models, postgresql, store) as made,
    ):
        yield made


@pytest.fixture
def cluster(site: SiteOfWorkers, tmp_path: Path) -> Iterator[RayTestCluster]:
    """Its hosts know what the node knows."""
    with ray_test_cluster(tmp_path / "ray.log") as made:
        yield made


@contextmanager
def placed(site: SiteOfWorkers, cluster: RayTestCluster, folder: Path) -> Iterator[None]:
    """`dicomnode workers`, with two workers; none of them outlives it."""
    named = ("--ray", cluster.address, "--config", str(site.node.config))
    options = ("--count", "2", "--scratch", str(folder / "scratch"))
    command = [sys.executable, "-m", "dicomnode", "workers", *named, *options]
    with (folder / "workers.log").open("ab") as log:
        running = subprocess.Popen(command, stderr=log, cwd=ROOT)
    try:
        yield
    finally:
        running.terminate()
        assert running.wait(60) == 0


def owners(site: SiteOfWorkers, uids: Sequence[str], *states: JobState) -> dict[str, str]:
    """Who analyses a series, or did last, where that is in one of these states."""
    details = {uid: site.node.detail(uid) for uid in uids}
    return {
        uid: job.owner
        for uid, each in details.items()
        for job in (each.jobs if each else ())
        if job.kind is JobKind.ANALYSE and job.state in states and job.owner
    }


def running(site: SiteOfWorkers, uids: Sequence[str]) -> dict[str, str]:
    return owners(site, uids, JobState.RUNNING)


def ended(site: SiteOfWorkers, uids: Sequence[str]) -> int:
    details = [site.node.detail(uid) for uid in uids]
    return sum(each is not None and each.series.state is SeriesState.ANALYSED for each in details)


def killed_at_work(site: SiteOfWorkers, uids: Sequence[str]) -> tuple[str, str] | None:
    """The series that it was at, and its name; None where it had just ended."""
    for uid, owner in running(site, uids).items():
        processes = host_of(owner)
        send_to(processes, signal.SIGSTOP)
        if running(site, [uid]).get(uid) == owner:
            send_to(processes, signal.SIGKILL)
            return uid, owner
        send_to(processes, signal.SIGCONT)
    return None


def send_to(processes: Sequence[int], what: signal.Signals) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, what)


def host_of(owner: str) -> list[int]:
    """The processes of the `dicomnode worker` that signs so: "node_id/worker-1/PID/"."""
    stat = Path(f"/proc/{owner.split('/')[2]}/stat").read_text()
    return family(int(stat.rpartition(")")[2].split()[1]))


@pytest.mark.long
def test_a_worker_and_the_head_are_killed_and_each_series_has_one_set_of_results(
    site: SiteOfWorkers, cluster: RayTestCluster, tmp_path: Path
) -> None:
    head = cluster.head()
    for _ in range(2):
        cluster.host(1)
    uids = site.send(6)
    began = time.monotonic()
    with placed(site, cluster, tmp_path):
        wait_for(lambda: ended(site, uids) >= 1, "a first series is analysed")
        print(f"from the command to the first results: {time.monotonic() - began:.1f} s")

        uid, owner = wait_for(lambda: killed_at_work(site, uids), "one is killed at its work")
        began, taken = time.monotonic(), (JobState.RUNNING, JobState.DONE)
        wait_for(lambda: owners(site, [uid], *taken).get(uid, owner) != owner, "another goes on")
        print(f"a worker killed: another has its series after {time.monotonic() - began:.1f} s")
        wait_for(lambda: ended(site, uids) == len(uids), "all are analysed")
        assert site.analysis(uid).attempt == 2

        more = site.send(6, analysed_meanwhile=True)
        held = wait_for(lambda: running(site, more), "a series is being analysed")
        before, former = ended(site, more), cluster.analysing()
        assert {each.split("/")[2] for each in held.values()} <= former
        began = time.monotonic()
        kill(head)
        wait_for(lambda: ended(site, more) > before, "workers go on without a head")
        print(f"the head killed: the next series ended after {time.monotonic() - began:.1f} s")
        cluster.head()
        cluster.host(2)
        wait_for(lambda: cluster.analysing() - former, "the new head has one begun")
        print(f"a worker that a new head placed has begun after {time.monotonic() - began:.1f} s")
        last: list[str] = []

        def one_of_the_new_works() -> bool:
            """Those of the former head go on for two minutes at most."""
            if ended(site, last) == len(last):
                last.extend(site.send(2, analysed_meanwhile=True))
            who = owners(site, last, JobState.RUNNING, JobState.DONE).values()
            return any(each.split("/")[2] not in former for each in who)

        wait_for(one_of_the_new_works, "one that the new head placed works")
        print(f"and one works after {time.monotonic() - began:.1f} s")
        wait_for(lambda: ended(site, [*more, *last]) == len(more) + len(last), "all are analysed")
    site.expect_one_set_of_results([*uids, *more, *last])
