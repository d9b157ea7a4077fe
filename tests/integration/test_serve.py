"""`dicomnode serve`: starts, restarts what dies, stops in time, runs once on a data directory."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomnode.network.associations import echo
from storage.records import JobState, SeriesState
from support.certificates import Authority
from support.node import Node, free_port
from support.pacs import Pacs, running_pacs
from support.phantom import series_uid, write_series
from support.tools import needed
from support.untrained import make_untrained_bundle
from support.wait import PATIENCE_SECONDS, SLOWER, wait_for

ROLES = ("nursery", "receiver", "monitor", "assessor", "deliverer", "cleaner", "worker")
RESULTS = 1 + 1 + 2 + 1  # report, montage, key slices, segmentation
QUICK = "[completeness]\nquiet_seconds = 0.5\n[results]\nkey_slices = 2\n"


@pytest.fixture(scope="module")
def pacs() -> Iterator[Pacs]:
    with running_pacs() as pacs:
        yield pacs


@pytest.fixture(scope="module")
def standing(
    pacs: Pacs, tmp_path_factory: pytest.TempPathFactory, shared_models: Path
) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("standing") / "node"
    node = Node(folder, [pacs.destination], toml=QUICK, models=shared_models)
    yield node
    node.close()


@pytest.fixture
def running(standing: Node) -> Node:
    """A node for all tests, each of which it survives, or is started again after: that takes
    twenty seconds of a processor."""
    if standing.process is None or standing.process.poll() is not None:
        standing.start()
    return standing


def serve(config: Path) -> subprocess.CompletedProcess[str]:
    """What `dicomnode serve` says that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "dicomnode", "serve", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done


def test_a_second_start_on_the_same_data_directory_says_so_and_ends(running: Node) -> None:
    assert "already running" in serve(running.config).stderr
    running.wait_until_it_answers()


def test_a_database_of_another_node_is_refused(running: Node, tmp_path: Path) -> None:
    """Its rows name files that are not in this node's data directory."""
    url = f"sqlite:///{running.settings.node.data_directory / 'node.sqlite3'}"
    config = tmp_path / "other.toml"
    config.write_text(f'[node]\ndata_directory = "other"\ndatabase_url = "{url}"\n')
    assert "belongs to the node" in serve(config).stderr


def test_stop_signals_reach_a_role_that_is_started_alone(running: Node) -> None:
    worker = running.pid("worker")
    os.kill(worker, signal.SIGTERM)
    wait_for(lambda: running.pid("worker") != worker, "the supervisor starts another")


def test_peers_wait_while_a_killed_receiver_is_started_again(running: Node) -> None:
    """The supervisor holds the listening socket: nobody is refused a connection."""
    running.kill("receiver")
    echo(running.peer, "TESTER", timeout=30)


def test_none_but_the_worker_holds_what_computes(running: Node) -> None:
    """It costs a process two seconds and 150 MiB; and the nursery may be forked: it is alone."""
    computes = re.compile("torch|openvino|SimpleITK")
    maps = {role: Path(f"/proc/{running.pid(role)}/maps") for role in ROLES}
    wait_for(lambda: computes.search(maps["worker"].read_text()), "the worker loads")
    assert [role for role in ROLES if computes.search(maps[role].read_text())] == ["worker"]
    assert "\nThreads:\t1\n" in Path(f"/proc/{running.pid('nursery')}/status").read_text()


def test_the_worker_lets_the_others_go_first(running: Node) -> None:
    def niceness(role: str) -> int:
        return os.getpriority(os.PRIO_PROCESS, running.pid(role))

    own = os.getpriority(os.PRIO_PROCESS, 0)
    wait_for(lambda: niceness("worker") == min(own + 10, 19), "the worker gives way")
    assert {niceness(role) for role in ROLES if role != "worker"} == {own}


def test_processes_outlive_the_one_they_were_forked_of_and_start_without_it(running: Node) -> None:
    """Nothing else is lost with it; a receiver that dies then is started by itself."""
    before = {role: running.pid(role) for role in ROLES[1:]}
    running.kill("nursery")
    running.kill("receiver-1")
    wait_for(lambda: "they start by themselves" in running.log, "it is told")
    new = wait_for(lambda: running.pid("receiver-1"), "another receiver")
    assert f"PPid:\t{running.pid('supervisor')}\n" in Path(f"/proc/{new}/status").read_text()
    assert b"-m\0dicomnode\0role\0receiver-1" in Path(f"/proc/{new}/cmdline").read_bytes()
    echo(running.peer, "TESTER", timeout=30)
    kept = {role: running.pid(role) for role in ROLES[2:]}
    assert kept == {role: before[role] for role in ROLES[2:]}
    running.stop()  # the next test has a whole node again


@pytest.mark.long
def test_the_same_series_twice_gives_one_result_and_a_late_slice_gives_a_new_one(
    running: Node, pacs: Pacs, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "series", slices=13)
    uid = series_uid(files)
    running.send(files[:-1])
    first = running.wait_until_ended(uid)
    ended = running.ended_associations()
    running.send(files[:-1])
    wait_for(lambda: running.ended_associations() > ended, "the second time is indexed")
    again = running.wait_until_ended(uid)
    assert again.jobs == first.jobs
    assert again.results == first.results
    assert len(pacs.received) == len(first.results)
    running.send(files[-1:])
    wait_for(lambda: len(pacs.by_uid()) == 2 * len(first.results), "a second set")
    renewed = running.wait_until_ended(uid)
    assert renewed.series.instance_count == len(files)
    assert renewed.series.input_digest != first.series.input_digest


@pytest.mark.parametrize(
    "stop", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_a_stop_ends_all_processes_within_ten_seconds(running: Node, stop: signal.Signals) -> None:
    children = [running.pid(role) for role in ROLES]
    assert running.process is not None
    began = time.monotonic()
    running.process.send_signal(stop)
    assert running.process.wait(PATIENCE_SECONDS) == 0
    assert time.monotonic() - began < 10 * SLOWER
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


@pytest.mark.long
def test_a_stop_is_in_time_even_while_the_database_is_locked(running: Node) -> None:
    blocker = sqlite3.connect(running.settings.node.data_directory / "node.sqlite3")
    blocker.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 10 * SLOWER
    blocker.close()


@pytest.mark.long
def test_a_node_with_tls_takes_a_series_though_a_receiver_is_killed(
    tmp_path: Path, shared_models: Path
) -> None:
    """DCMTK sends over mutual TLS, and again when a receiver was killed."""
    hospital = Authority(tmp_path / "ca", "hospital")
    own, peer = hospital.issue("node"), hospital.issue("peer")
    port = free_port()
    toml = f"""
[receive.tls]
certificate = "{own.certificate}"
private_key = "{own.private_key}"
peer_ca = "{hospital.certificate}"
port = {port}
"""
    node = Node(tmp_path / "node", toml=QUICK + toml, models=shared_models)
    series = write_series(tmp_path / "series", slices=4)
    command = [needed("storescu", "dcmtk"), "-aec", "DICOMNODE", "+tls"]
    command += [str(peer.private_key), str(peer.certificate), "+cf", str(hospital.certificate)]
    command += ["127.0.0.1", str(port), *map(str, series)]
    try:
        node.start()
        assert node.log.count(f"listening as DICOMNODE on port {port} with TLS") >= 1
        subprocess.run(command, check=True, timeout=PATIENCE_SECONDS)
        node.kill("receiver-1")
        subprocess.run(command, check=True, timeout=PATIENCE_SECONDS)
        assert node.wait_until_ended(series_uid(series)).series.state is SeriesState.SKIPPED
        plain = [part for part in command if part not in ("+tls", "+cf")]
        plain = [part for part in plain if not part.endswith((".pem", ".key"))]
        refused = subprocess.run(plain, check=False, timeout=PATIENCE_SECONDS, capture_output=True)
        assert refused.returncode != 0
        wait_for(lambda: "DICOM without TLS" in node.log, "the refusal is told")
    finally:
        node.close()


@pytest.mark.long
def test_a_stop_in_the_middle_of_an_analysis_hands_the_job_back(tmp_path: Path) -> None:
    """On one thread, slices of full size take longer than a worker may go on after the wish, where
    they are not computed before the job is there."""
    slow = QUICK + '[inference]\nengine = "torch"\nthreads = 1\nbegin_early = false\n'
    node = Node(tmp_path / "node", toml=slow, models=make_untrained_bundle(tmp_path / "models"))
    try:
        check_that_it_is_handed_back(node, write_series(tmp_path / "series", slices=120))
    finally:
        node.close()


def check_that_it_is_handed_back(node: Node, files: list[Path]) -> None:
    node.start()
    node.send(files)
    uid = series_uid(files)

    def analysing() -> bool:
        detail = node.detail(uid)
        return detail is not None and any(
            job.state is JobState.RUNNING and job.kind.value == "analyse" for job in detail.jobs
        )

    wait_for(analysing, "the analysis runs")
    began = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - began < 10 * SLOWER
    detail = node.detail(uid)
    assert detail is not None
    assert [job.state for job in detail.jobs if job.kind.value == "analyse"] == [JobState.QUEUED]
    node.start()
    wait_for(analysing, "another worker has it")


def test_children_end_when_their_supervisor_is_killed(running: Node) -> None:
    children = [running.pid(role) for role in ROLES]
    running.kill("supervisor")
    wait_for(
        lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()],
        "no orphan works on",
        15,
    )


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('[inference]\nbundle = "no-such-folder"\n', "no-such-folder"),
        ("[receive]\nportt = 1\n", "receive.portt"),
        ("", "COVNet demonstration 0.1 (covnet, demonstration)"),
    ],
)
def test_what_cannot_start_says_why(tmp_path: Path, toml: str, told: str) -> None:
    config = tmp_path / "dicomnode.toml"
    config.write_text(toml)
    assert told in serve(config).stderr


@pytest.mark.long
def test_weights_that_are_not_those_of_the_card_end_the_node(tmp_path: Path) -> None:
    """It receives meanwhile, but not for ever."""
    bundle = make_untrained_bundle(tmp_path / "models")
    (weights,) = bundle.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    told = serve(Node(tmp_path / "node", models=bundle).config).stderr
    assert f"bundle {bundle.name}: {weights.name}: sha256 is " in told
    assert told.endswith("dicomnode: the models cannot be loaded\n")
    assert "listening as DICOMNODE" in told


@pytest.mark.long
def test_a_dead_destination_holds_up_no_other_and_gets_its_own_later(
    tmp_path: Path, shared_models: Path
) -> None:
    retry = QUICK + "[delivery.retry]\nfirst_delay_seconds = 0.2\nlongest_delay_seconds = 0.5\n"
    files = write_series(tmp_path / "series")
    uid = series_uid(files)
    with running_pacs() as alive, running_pacs() as placeholder:
        dead = placeholder.destination.model_copy(update={"name": "dead"})
        placeholder.close()
        node = Node(tmp_path / "node", [alive.destination, dead], toml=retry, models=shared_models)
        try:
            node.start()
            node.send(files)
            wait_for(lambda: len(alive.by_uid()) == RESULTS, "the living destination has all")
            detail = node.detail(uid)
            assert detail is not None
            waiting = [each for each in detail.deliveries if each.destination == "dead"]
            assert len(waiting) == RESULTS
            assert all(each.stored_at is None for each in waiting)
            wait_for(lambda: _errors(node, uid), "the failure is told in the queue")
            with running_pacs(port=dead.port) as revived:
                node.wait_until_ended(uid, 60)
                assert set(revived.by_uid()) == set(alive.by_uid())
        finally:
            node.close()


def _errors(node: Node, uid: str) -> bool:
    detail = node.detail(uid)
    return detail is not None and any(
        "cannot be reached" in (d.error or "") for d in detail.deliveries
    )


@pytest.mark.long
def test_a_node_whose_database_was_removed_does_not_start(
    tmp_path: Path, shared_models: Path
) -> None:
    """Else all would be made and sent again, under the UIDs of what may have been withdrawn."""
    files = write_series(tmp_path / "series")
    with running_pacs() as pacs:
        node = Node(tmp_path / "sending", [pacs.destination], toml=QUICK, models=shared_models)
        try:
            node.start()
            node.send(files)
            node.wait_until_ended(series_uid(files))
            for each in node.settings.node.data_directory.glob("node.sqlite3*"):
                each.unlink()
            node.kill("assessor")
            node.kill("worker")
            wait_for(lambda: node.log.count("is gone") >= 2, "neither works without it")
            assert node.stop() == 0
            for _ in range(2):
                assert "back from its back-up" in serve(node.config).stderr
            assert len(pacs.received) == RESULTS
        finally:
            node.close()
