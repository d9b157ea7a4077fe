"""Schedulers place workers: the array job for Slurm and the manifests for Kubernetes do work."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from storage.nodes import all_nodes
from storage.records import JobKind, SeriesState
from support.node import Node
from support.phantom import series_uid, write_series
from support.postgresql import PostgresqlServer
from support.slurm import slurm
from support.sources import ROOT
from support.wait import wait_for

SCRIPT = ROOT / "etc" / "slurm" / "dicomnode-workers.sbatch"
MANIFESTS = sorted((ROOT / "etc" / "kubernetes").glob("*.yaml"))


class Queue:
    """A node without workers, and series in its queue, which lie in an object store."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder = folder
        self.node = Node(folder / "node", toml="[inference]\nworkers = 0\n", models=models)

    def fill(self, count: int) -> list[str]:
        uids = []
        for number in range(count):
            files = write_series(self.folder / f"series-{number}", seed=number)
            self.node.send(files)
            uids.append(series_uid(files))
        wait_for(lambda: all(map(self.is_sealed, uids)), "sealed, and waiting")
        return uids

    def is_sealed(self, uid: str) -> bool:
        detail = self.node.detail(uid)
        with self.node.open_database().read() as session:
            left = "SELECT count(*) FROM instance WHERE object_name IS NULL"
            unsealed = session.connection().exec_driver_sql(left).scalar()
        return detail is not None and detail.series.state is SeriesState.QUEUED and not unsealed

    def expect_all_done(self, uids: list[str]) -> None:
        for uid in uids:
            detail = self.node.detail(uid)
            assert detail is not None
            assert detail.series.state is SeriesState.ANALYSED, detail.series.reasons
        with self.node.open_database().read() as session:
            assert all(each.receives for each in all_nodes(session)), "workers have left"


@pytest.fixture
def queue(
    tmp_path: Path,
    shared_models: Path,
    postgresql: PostgresqlServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Queue]:
    with postgresql.empty_database() as url, ExitStack() as stack:
        monkeypatch.setenv("DICOMNODE_NODE__DATABASE_URL", url)
        monkeypatch.setenv("DICOMNODE_NODE__SHARES_DATABASE", "true")
        (tmp_path / "store").mkdir()
        monkeypatch.setenv("DICOMNODE_OBJECT_STORE__URL", f"file://{tmp_path}/store")
        monkeypatch.setenv("DICOMNODE_OBJECT_STORE__SEAL_AFTER_SECONDS", "0.5")
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        made = Queue(tmp_path, shared_models)
        monkeypatch.setenv("DICOMNODE_CONFIG", str(made.node.config))
        stack.callback(made.node.close)
        made.node.start()
        yield made


@pytest.mark.long
def test_what_slurm_runs_empties_the_queue_and_leaves_nothing(queue: Queue) -> None:
    """Its body, with the variables that Slurm sets; the script asks for no more of it."""
    uids = queue.fill(2)
    scratch = queue.folder / "scratch"
    scratch.mkdir()
    given = {"SLURM_TMPDIR": str(scratch), "SLURM_CPUS_PER_TASK": "1", "SLURM_MEM_PER_NODE": "8192"}
    done = subprocess.run(
        ["bash", str(SCRIPT), "--capability", "tape"],
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "has cpu, tape, 8192 MiB" in done.stderr
    queue.expect_all_done(uids)
    assert list(scratch.iterdir()) == []


@pytest.mark.long
def test_what_slurm_ends_ends_its_worker_and_leaves_nothing(queue: Queue) -> None:
    scratch = queue.folder / "scratch"
    scratch.mkdir()
    config = queue.node.config
    config.write_text(config.read_text().replace("workers = 0", 'workers = 0\nneeds = "gpu"'))
    uids = queue.fill(1)
    given = {"SLURM_TMPDIR": str(scratch), "DICOMNODE_INFERENCE__LEASE_SECONDS": "600.0"}
    with subprocess.Popen(
        ["bash", str(SCRIPT), "--capability", "gpu"], env=os.environ | given
    ) as running:

        def at_work() -> bool:
            detail = queue.node.detail(uids[0])
            jobs = detail.jobs if detail else ()
            return any(each.kind is JobKind.ANALYSE and each.started_at for each in jobs)

        wait_for(at_work, "it works")
        running.terminate()
        assert running.wait(60) == 0
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_slurm_itself_runs_the_array(queue: Queue) -> None:
    uids = queue.fill(3)
    folder = queue.folder / "slurm"
    folder.mkdir()
    with slurm(folder) as cluster:
        options = ["--array=1-2", "--cpus-per-task=1", "--mem=2G", f"--chdir={queue.folder}"]
        cluster.run("sbatch", "--wait", *options, str(SCRIPT))
        assert len(list(queue.folder.glob("dicomnode-workers-*.log"))) == 2
    queue.expect_all_done(uids)


def manifest(path: Path) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    (found,) = yaml.safe_load_all(path.read_text())
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.name))
def test_a_manifest_is_what_kubernetes_takes(path: Path) -> None:
    """By the schema of Kubernetes itself, which allows no other field."""
    validate = pytest.importorskip("kubernetes_validate").validate
    found = manifest(path)
    validate(found, "1.34", strict=True)
    broken = found | {"spec": found["spec"] | {"paralelism": 4}}
    with pytest.raises(Exception, match="paralelism"):
        validate(broken, "1.34", strict=True)


@pytest.mark.long
def test_what_the_pod_runs_empties_the_queue(queue: Queue) -> None:
    """Its arguments and variables, with its folders elsewhere."""
    uids = queue.fill(1)
    pod = manifest(ROOT / "etc" / "kubernetes" / "workers-job.yaml")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    places = {"/etc/dicomnode": str(queue.node.config.parent), "/var/lib": str(queue.folder)}

    def here(text: str) -> str:
        for its, ours in places.items():
            text = text.replace(its, ours)
        return text

    given = {each["name"]: here(each["value"]) for each in container["env"]}
    entry = next(
        shlex.split(line.removeprefix("ENTRYPOINT ").strip("[]").replace(",", " "))
        for line in (ROOT / "etc" / "container" / "Containerfile").read_text().splitlines()
        if line.startswith("ENTRYPOINT")
    )
    command = [*entry, *map(here, container["args"])]
    done = subprocess.run(
        command, env=os.environ | given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    queue.expect_all_done(uids)
