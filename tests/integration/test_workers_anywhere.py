"""Workers on hosts that have only the database and the object store: PostgreSQL and SeaweedFS."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dicomnode.config.object_store import ObjectStoreSettings
from inference.bundles.bundle import CARD
from storage.records import JobState
from support.node import Node
from support.postgresql import PostgresqlServer
from support.seaweedfs import seaweedfs
from support.syslog_server import syslog_server
from support.wait import wait_for
from support.worker_host import WorkerHost
from support.worker_site import SiteOfWorkers, site_of_workers


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStoreSettings]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as settings:
        yield settings


@pytest.fixture
def site(
    tmp_path: Path, shared_models: Path, postgresql: PostgresqlServer, store: ObjectStoreSettings
) -> Iterator[SiteOfWorkers]:
    with site_of_workers(tmp_path, shared_models, postgresql, store) as made:
        yield made


@pytest.mark.long
def test_the_plug_of_one_is_pulled_and_another_ends_its_work(site: SiteOfWorkers) -> None:
    """Four series; the first host dies while at one of them, for good. The other, which is to end
    when nothing is left, takes that up when the lease has run out, and ends; nothing of either is
    missed."""
    uids = site.send(4)
    first, second = site.host("first"), site.host("second")
    with ExitStack() as stack:
        for each in (first, second):
            stack.callback(each.close)
        first.start()

        def at_work() -> list[str]:
            return site.held_by(first, uids)

        wait_for(at_work, "the first works")
        first.pull_the_plug()
        (held,) = at_work()
        second.start("--until-empty")
        assert second.wait() == 0, second.log
        assert "nothing is left to analyse here" in second.log
        site.expect_one_set_of_results(uids)
        assert site.analysis(held).attempt == 2
        assert second.node_id not in {each.node_id for each in site.nodes()}, "it has left"
        for host in (first, second):
            assert not list((host.folder / "data" / "instances").rglob("*.dcm"))
        assert not list((second.folder / "data" / "results").rglob("*.dcm"))
        assert list((second.folder / "data" / "copies" / "instances").rglob("*.dcm"))


@pytest.mark.long
def test_one_that_is_asked_to_stop_hands_back_at_once(site: SiteOfWorkers) -> None:
    uids = site.send(2)
    host = site.host("host", DICOMNODE_INFERENCE__LEASE_SECONDS="300.0")
    try:
        host.start("--capability", "tape")
        wait_for(lambda: site.held_by(host, uids), "it works")
        (row,) = (each for each in site.nodes() if not each.receives)
        assert (row.workers, row.capabilities) == (1, "cpu tape")
        assert row.memory_bytes
        assert host.stop() == 0, host.log
    finally:
        host.close()
    assert all(site.analysis(uid).state is not JobState.RUNNING for uid in uids)
    assert all(site.analysis(uid).attempt <= 1 for uid in uids)
    assert all(each.receives for each in site.nodes())
    host.start("--until-empty")
    assert host.wait() == 0, host.log
    site.expect_one_set_of_results(uids)


@pytest.mark.long
def test_what_asks_for_a_gpu_waits_and_it_is_told_why(site: SiteOfWorkers) -> None:
    site.node.stop()
    text = site.node.config.read_text()
    site.node.config.write_text(text.replace("workers = 0", 'workers = 0\nneeds = "gpu"'))
    site.node.start()
    (uid,) = site.send(1)
    without, with_one = site.host("without"), site.host("with-one")
    with ExitStack() as stack:
        for each in (without, with_one):
            stack.callback(each.close)
        _leaves(site, without, uid)
        without.start()
        wait_for(lambda: any(not e.receives and e.memory_bytes for e in site.nodes()), "it lives")
        told = _told(site.node, "queue", "why", uid)
        assert "no worker that lives has gpu" in told
        assert "dicomnode worker --capability gpu" in told
        with_one.start("--until-empty", "--capability", "gpu")
        assert with_one.wait() == 0, with_one.log
        assert without.stop() == 0
    site.expect_one_set_of_results([uid])


@pytest.mark.long
def test_the_audit_trail_of_a_host_that_keeps_nothing_is_at_the_syslog_server(
    site: SiteOfWorkers,
) -> None:
    """From its start to its end, though its own folder goes, and nothing of it in the nodes'."""
    with syslog_server("tcp") as server:
        text = site.node.config.read_text()
        shared = site.node.folder / "audit.log"
        site.node.config.write_text(f'{text}\n[audit]\nfile = "{shared}"\n')
        host = site.host("host", DICOMNODE_AUDIT__SYSLOG=server.url)
        try:
            host.start("--until-empty")
            assert host.wait() == 0, host.log
        finally:
            host.close()
        wait_for(lambda: any(b"Application Stop" in e for e in server.messages), "its end")
    written = (host.folder / "data" / "audit" / "audit.log").read_bytes().splitlines()
    assert [each.replace(b"\xef\xbb\xbf", b"") for each in server.messages] == written
    assert b"Application Start" in written[0]
    assert not shared.exists()


@pytest.mark.long
def test_of_a_host_that_was_cloned_while_it_works_the_clone_ends(site: SiteOfWorkers) -> None:
    host, clone = site.host("host"), site.host("clone")
    with ExitStack() as stack:
        for each in (host, clone):
            stack.callback(each.close)
        host.start()
        wait_for(lambda: any(not e.receives and e.memory_bytes for e in site.nodes()), "it lives")
        shutil.copytree(host.folder / "data", clone.folder / "data")
        clone.start()
        assert clone.wait() == 2
        assert "two hosts bear the id of one node" in clone.log
        assert [each.node_id for each in site.nodes() if not each.receives] == [host.node_id]
        (uid,) = site.send(1, analysed_meanwhile=True)
        site.expect_one_set_of_results([uid])
        assert host.stop() == 0, host.log


@pytest.mark.long
def test_workers_with_other_models_leave_a_series_alone_and_it_is_told(
    site: SiteOfWorkers, shared_models: Path, tmp_path: Path
) -> None:
    """The same bundle, of a later version by its card."""
    other = tmp_path / "other-models"
    shutil.copytree(shared_models, other)
    card = (other / CARD).read_text()
    (other / CARD).write_text(re.sub('(?m)^version = ".*"', 'version = "99"', card))
    config = tmp_path / "other.toml"
    text = site.node.config.read_text()
    assert str(shared_models) in text
    config.write_text(text.replace(str(shared_models), str(other)))
    (uid,) = site.send(1)
    odd, right = WorkerHost(tmp_path / "odd", config), site.host("right")
    with ExitStack() as stack:
        for each in (odd, right):
            stack.callback(each.close)
        _leaves(site, odd, uid)
        odd.start()
        wait_for(lambda: any(not e.receives and e.equipment for e in site.nodes()), "it lives")
        told = _told(site.node, "status")
        assert "analyse nothing: they have other than the nodes have" in told
        assert " 99 " in told
        why = _told(site.node, "queue", "why", uid)
        assert "no worker that lives has the release, models and settings" in why
        right.start("--until-empty")
        assert right.wait() == 0, right.log
        assert odd.stop() == 0
    site.expect_one_set_of_results([uid])


def _leaves(site: SiteOfWorkers, host: WorkerHost, uid: str) -> None:
    """It ends, and the series waits as before."""
    host.start("--until-empty")
    assert host.wait() == 0, host.log
    assert site.analysis(uid).state is JobState.QUEUED


def _told(node: Node, *command: str) -> str:
    whole = [sys.executable, "-m", "dicomnode", *command, "--config", str(node.config)]
    done = subprocess.run(whole, capture_output=True, text=True, check=False)
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("toml", "why"),
    [
        ("", "workers need what the nodes use: [node] shares_database = true"),
        ("shares_database = true", "node.database_url names no PostgreSQL"),
        (
            'shares_database = true\ndatabase_url = "postgresql://db/x"',
            "object_store.url names no store",
        ),
    ],
)
def test_what_cannot_work_is_told_in_a_sentence(tmp_path: Path, toml: str, why: str) -> None:
    config = tmp_path / "dicomnode.toml"
    config.write_text(f'[node]\ndata_directory = "data"\n{toml}\n')
    command = [sys.executable, "-m", "dicomnode", "worker", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()
