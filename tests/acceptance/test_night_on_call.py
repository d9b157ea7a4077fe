"""A night on call: twelve faults, one after the other, in one node of real processes and sockets.

Of each is seen that it is told by webhook and mail, what `dicomnode status`, `dicomnode queue why`
and the status page say of it, and that the step that they name mends it: it is told to be over.

`pytest -s` shows what an administrator would read. Any fault can be chosen alone (`-k`).
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import update

from dicomnode.disk_gate import disk_space
from dicomnode.errors import PeerError
from dicomnode.network.associations import echo
from inference.bundles.bundle import load_card
from storage.models import SeriesRow
from storage.records import JobKind, JobState
from support.bad_series import half_images
from support.certificates import Authority, Credentials
from support.night import WARNING_BYTES, Night, night_on_call
from support.node import free_port
from support.pacs import Pacs, running_pacs
from support.postgresql import PostgresqlServer, postgresql_server
from support.small_disk import small_disk
from support.wait import wait_for

pytestmark = pytest.mark.slow  # one node through a night of ten minutes

MEGABYTES = 256
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"


class World:
    """What is around the node, and breaks."""

    def __init__(self, stack: ExitStack, folder: Path, models: Path) -> None:
        self.postgresql: PostgresqlServer = stack.enter_context(postgresql_server())
        self.folder = folder
        self._running = ExitStack()
        stack.callback(self.stop_pacs)
        self._pacs_port = free_port()
        self.pacs = self.start_pacs()
        self.authority = Authority(folder / "authority", "night")
        self.good = self.authority.issue("node")
        self.in_use = Credentials(folder / "node.pem", folder / "node.key")
        shutil.copy(self.good.certificate, self.in_use.certificate)
        shutil.copy(self.good.private_key, self.in_use.private_key)
        self.bundle = folder / "bundle"
        shutil.copytree(models, self.bundle)
        self.data = stack.enter_context(small_disk(folder / "data", MEGABYTES))
        database = stack.enter_context(self.postgresql.empty_database())
        self.night = stack.enter_context(
            night_on_call(
                folder,
                database,
                self.pacs.destination,
                self.in_use.certificate,
                self.in_use.private_key,
                self.bundle,
            )
        )

    def stop_pacs(self) -> None:
        self._running.close()

    def start_pacs(self, refused: str = "") -> Pacs:
        """`refused`: a SOP class that it does not take."""
        self.stop_pacs()
        self.pacs = self._running.enter_context(running_pacs(self._pacs_port, refused=refused))
        return self.pacs


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack, tmp_path_factory.mktemp("night"), shared_models)


@pytest.fixture
def night(world: World) -> Night:
    world.night.plant()
    return world.night


def test_a_source_is_silent(night: Night) -> None:
    """CT1 sent the last five hours ago: the rows say so, as no test waits for so long."""
    before = night.wait_until_analysed(night.send(night.series())).series
    assert before.last_received_at is not None
    earlier = before.last_received_at - timedelta(hours=5)
    with night.node.open_database().write() as session:
        session.execute(update(SeriesRow).values(last_received_at=earlier))
    night.plant()
    alert = night.told("source_silent:CT1")
    night.row("source silent", alert, "CT1 sends again", lambda: night.send(night.series()))


def test_a_corrupt_series(night: Night) -> None:
    """Half of each image is missing; then it is sent again, whole."""
    whole = night.series()
    uid = night.send([halved(file) for file in whole])
    alert = night.told("series_failed:pixel_data")
    assert "damaged? have it sent again" in alert.remedy
    why = night.why(uid)
    assert why.startswith("failed: pixel data: ")
    assert "cut short" in why
    night.row("corrupt series", alert, "CT1 sends it again", lambda: night.send(whole), why)
    night.wait_until_analysed(uid)


def halved(file: Path) -> Path:
    data_set = pydicom.dcmread(file)
    half_images(data_set, 0)
    half = file.with_suffix(".half")
    data_set.save_as(half)
    return half


def test_the_pacs_is_down(world: World, night: Night) -> None:
    world.stop_pacs()
    uid = night.send(night.series())
    alert = night.told("destination_away:pacs")
    why = night.why(uid)
    assert "Connection refused" in why
    assert "what waits is sent by itself" in alert.remedy
    night.row("PACS down", alert, "the PACS is started again", world.start_pacs, why)
    night.wait_until_analysed(uid)


def test_the_pacs_refuses_reports(world: World, night: Night) -> None:
    world.start_pacs(COMPREHENSIVE_3D_SR)
    uid = night.send(night.series())
    alert = night.told("deliveries_refused:pacs/sr")
    why = night.why(uid)
    assert 'set sr_class = "comprehensive"' in why
    again = f"dicomnode results renew {uid}"
    assert "dicomnode config reload" in alert.remedy
    assert again in alert.remedy

    def mend() -> None:
        night.change('name = "pacs"', 'name = "pacs"\nsr_class = "comprehensive"')
        night.give("dicomnode config reload")
        night.give(again)

    night.row("SR refused", alert, f'sr_class = "comprehensive"; reload; {again}', mend, why)

    def classes() -> list[str]:
        return [str(each.SOPClassUID) for each in world.pacs.received]

    wait_for(lambda: COMPREHENSIVE_SR in classes(), "the report arrives")


def test_an_unknown_ae(night: Night) -> None:
    with pytest.raises(PeerError):
        echo(night.node.peer, "CT9")
    alert = night.told("peer_rejected:127.0.0.1")
    entry = '{ ae_title = "CT9", networks = ["127.0.0.1"] }'
    assert entry in alert.remedy
    assert alert.remedy.endswith("then: dicomnode config reload")
    refused = night.dicomnode("queue", "refusals").stdout
    assert "CT9" in refused

    def mend() -> None:
        night.change("peers = [", f"peers = [\n    {entry},")
        night.give("dicomnode config reload")
        echo(night.node.peer, "CT9")

    night.row("unknown AE", alert, f"add {entry}; dicomnode config reload", mend)


def test_the_disk_is_nearly_full(world: World, night: Night) -> None:
    ballast = world.data / "ballast"
    ballast.write_bytes(b"\0" * (disk_space(world.data).free_bytes - WARNING_BYTES // 2))
    alert = night.told("disk_near_full")
    night.row("disk near full", alert, "rm what is not the node's", ballast.unlink)


def test_a_certificate_ends_soon(world: World, night: Night) -> None:
    ending = world.authority.issue("ending", 10, world.good.private_key)
    place = world.in_use.certificate
    shutil.copy(ending.certificate, place)
    alert = night.told("certificate_ending:receive.tls certificate")
    assert "ends in 9 days" in alert.text
    assert f"put a new one into {place}" in alert.remedy
    command = f"cp new.pem {place.name}"
    night.row(
        "certificate ending", alert, command, lambda: shutil.copy(world.good.certificate, place)
    )


def test_the_database_is_away(world: World, night: Night) -> None:
    world.postgresql.stop()
    uid = night.send(night.series())
    alert = night.told("database_away")
    assert "systemctl start postgresql" in alert.remedy
    why = night.why(uid)
    start = world.postgresql.launch
    night.row("database away", alert, "systemctl start postgresql", start, why)
    night.wait_until_analysed(uid)


def test_the_clock_jumps(night: Night) -> None:
    night.clock.off_by(7200)
    alert = night.told("clock_set")
    assert "set forwards by 2 h at" in alert.text
    assert "timedatectl" in alert.remedy
    night.row("clock jump", alert, "timedatectl set-ntp true", lambda: night.clock.off_by(0))


def _is_analysed_now(night: Night, uid: str) -> bool:
    detail = night.node.detail(uid)
    return detail is not None and any(
        job.kind is JobKind.ANALYSE and job.state is JobState.RUNNING for job in detail.jobs
    )


def in_its_analysis(night: Night, sign: signal.Signals) -> tuple[str, int]:
    """A series whose worker got a signal in the middle of it, and the worker's process."""
    while True:
        worker = night.node.pid("worker-1")
        uid = night.send(night.series(slices=60))
        wait_for(partial(_is_analysed_now, night, uid), "it is analysed")
        night.plant()
        os.kill(worker, sign)
        if _is_analysed_now(night, uid):
            return uid, worker
        os.kill(worker, signal.SIGCONT)
        night.wait_until_analysed(uid)


def test_a_worker_is_killed_for_memory(night: Night) -> None:
    """As the kernel does it: with SIGKILL, in the middle of a series."""
    uid, _worker = in_its_analysis(night, signal.SIGKILL)
    alert = night.told("process_lost:worker-1")
    why = night.why(uid)
    night.wait_until_analysed(uid)

    def mend() -> None:
        assert night.node.stop() == 0
        night.start()

    night.row("worker killed by memory", alert, "systemctl restart dicomnode", mend, why)


def test_a_job_is_stuck(night: Night) -> None:
    """The worker hangs as a whole: by itself it ends only what it can still look at."""
    uid, worker = in_its_analysis(night, signal.SIGSTOP)
    alert = night.told(f"job_stuck:{uid}")
    command = f"kill -9 {worker}"
    assert alert.remedy.startswith(f"{command}: ")
    why = night.why(uid)
    night.row("stuck job", alert, command, lambda: os.kill(worker, signal.SIGKILL), why)
    night.wait_until_analysed(uid)


def test_weights_are_bad(world: World, night: Night) -> None:
    """Somebody has changed a byte of them, and the worker starts again."""
    weights = world.bundle / load_card(world.bundle).weights
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    night.node.kill("worker-1")
    alert = night.told("process_down:worker-1")
    uid = night.send(night.series())
    wait_for(lambda: night.node.detail(uid), "it is in the index")
    assert alert.remedy.startswith("dicomnode model check ")
    checked = night.dicomnode("model", "check")
    assert checked.returncode == 1
    assert world.bundle.name in checked.stdout
    why = night.why(uid)

    def mend() -> None:
        weights.write_bytes(good)
        night.give("dicomnode model check")

    night.row("bad weights", alert, "dicomnode model check; the bundle is put back", mend, why)
    night.wait_until_analysed(uid)


def test_nobody_was_named(night: Night) -> None:
    """Of every patient this night there was a name, a number and a date of birth."""
    assert night.rows
    told = night.everything()
    assert "worker-1" in told
    for identity in ("Chest^Drawn", "Drawn", "DRAWN-1", "19500101"):
        assert identity not in told
