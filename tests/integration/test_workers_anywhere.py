"""Workers on hosts that have only the database and the object store: PostgreSQL and SeaweedFS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from dicomnode.config.object_store import ObjectStoreSettings
from storage.nodes import all_nodes
from storage.overview_records import Node as NodeRecord
from storage.records import JobKind, JobRecord, JobState, SeriesState
from support.node import Node
from support.pacs import Pacs, running_pacs
from support.phantom import series_uid, write_series
from support.postgresql import PostgresqlServer
from support.seaweedfs import SECRET, USER, VARIABLE, seaweedfs
from support.wait import wait_for
from support.worker_host import WorkerHost


class Site:
    """One node that receives, seals and sends, and has no worker; hosts of workers beside it."""

    def __init__(self, folder: Path, models: Path, pacs: Pacs, store: ObjectStoreSettings) -> None:
        self._folder = folder
        self.pacs = pacs
        toml = f"""[inference]
            workers = 0
            lease_seconds = 6.0
            [object_store]
            url = "{store.url}"
            endpoint = "{store.endpoint}"
            region = "{store.region}"
            credentials = {{ user = "{USER}", variable = "{VARIABLE}" }}
            seal_after_seconds = 0.5"""
        self.node = Node(folder / "node", [pacs.destination], toml, models=models)

    def host(self, name: str, **keys: str) -> WorkerHost:
        return WorkerHost(self._folder / name, self.node.config, **keys)

    def nodes(self) -> tuple[NodeRecord, ...]:
        with self.node.open_database().read() as session:
            return all_nodes(session)

    def send(self, count: int) -> list[str]:
        """So many series; their UIDs, once each waits for a worker and lies in the store."""
        uids = []
        for number in range(count):
            files = write_series(self._folder / f"series-{number}", seed=number)
            assert len(self.node.send(files)) == len(files)
            uids.append(series_uid(files))
        wait_for(lambda: self.all_sealed(uids), f"sealed; log:\n{self.node.log[-3000:]}")
        return uids

    def all_sealed(self, uids: Sequence[str]) -> bool:
        details = [self.node.detail(uid) for uid in uids]
        if not all(each and each.series.state is SeriesState.QUEUED for each in details):
            return False
        with self.node.open_database().read() as session:
            left = "SELECT count(*) FROM instance WHERE object_name IS NULL"
            return session.connection().exec_driver_sql(left).scalar() == 0

    def analysis(self, uid: str) -> JobRecord:
        detail = self.node.detail(uid)
        assert detail is not None
        (found,) = (each for each in detail.jobs if each.kind is JobKind.ANALYSE)
        return found

    def held_by(self, host: WorkerHost, uids: Sequence[str]) -> list[str]:
        """The series whose analysis a host holds now."""
        mine = f"{host.node_id}/"
        held = [(uid, self.analysis(uid)) for uid in uids]
        return [
            uid
            for uid, each in held
            if each.state is JobState.RUNNING and (each.owner or "").startswith(mine)
        ]

    def expect_one_set_of_results(self, uids: Sequence[str]) -> None:
        """Of each series in the PACS, as the node sent it."""
        wanted = []
        for uid in uids:
            detail = self.node.wait_until_ended(uid)
            assert detail.series.state is SeriesState.ANALYSED, detail.series.reasons
            assert detail.results
            assert all(each.object_name and not each.node_id for each in detail.results)
            wanted += [each.sop_instance_uid for each in detail.results]
        assert sorted(str(each.SOPInstanceUID) for each in self.pacs.received) == sorted(wanted)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStoreSettings]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as settings:
        yield settings


@pytest.fixture
def site(
    tmp_path: Path,
    shared_models: Path,
    postgresql: PostgresqlServer,
    store: ObjectStoreSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    with postgresql.empty_database() as url, running_pacs() as pacs, ExitStack() as stack:
        monkeypatch.setenv("DICOMNODE_NODE__DATABASE_URL", url)
        monkeypatch.setenv("DICOMNODE_NODE__SHARES_DATABASE", "true")
        monkeypatch.setenv(VARIABLE, SECRET)
        made = Site(tmp_path, shared_models, pacs, store)
        stack.callback(made.node.close)
        made.node.start()
        yield made


@pytest.mark.long
def test_the_plug_of_one_is_pulled_and_another_ends_its_work(site: Site) -> None:
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
def test_one_that_is_asked_to_stop_hands_back_at_once(site: Site) -> None:
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
def test_what_asks_for_a_gpu_waits_and_it_is_told_why(site: Site) -> None:
    site.node.stop()
    text = site.node.config.read_text()
    site.node.config.write_text(text.replace("workers = 0", 'workers = 0\nneeds = "gpu"'))
    site.node.start()
    (uid,) = site.send(1)
    without, with_one = site.host("without"), site.host("with-one")
    with ExitStack() as stack:
        for each in (without, with_one):
            stack.callback(each.close)
        without.start("--until-empty")
        assert without.wait() == 0, without.log
        assert site.analysis(uid).state is JobState.QUEUED
        without.start()
        wait_for(lambda: any(not e.receives and e.memory_bytes for e in site.nodes()), "it lives")
        told = _told(site.node, "queue", "why", uid)
        assert "no worker that lives has gpu" in told
        assert "dicomnode worker --capability gpu" in told
        with_one.start("--until-empty", "--capability", "gpu")
        assert with_one.wait() == 0, with_one.log
        assert without.stop() == 0
    site.expect_one_set_of_results([uid])


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
