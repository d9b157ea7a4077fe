"""`kill -9` of the deliverer at random moments, with storage commitment on.

Every object arrives, as far as the PACS can see once; none is told as committed that it does not
hold. The PACS loses some that it has answered with success, and says so when it is asked.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import _config, evt
from sqlalchemy import func, select

from dicomnode.config.sections import DeliverySettings
from dicomnode.decisions.retry import RetryPolicy
from storage.database import Database
from storage.models import DeliveryRow
from storage.records import DeliveryState
from storage.results import ResultFiles
from support.commitment_pacs import CommitmentPacs, running_commitment_pacs
from support.receiver_process import COMMAND, Receivers
from support.secondary_capture import secondary_capture
from support.storage_samples import analyse, instance, queue, receive, result
from support.wait import wait_for

EACH = 2
"""Objects of a study; a study is added before each kill."""

_DELIVERY = DeliverySettings(
    lease_seconds=1.0, retry=RetryPolicy(first_delay_seconds=0.2, longest_delay_seconds=1.0)
)


class Careless(CommitmentPacs):
    """It loses each tenth object when it comes first. `changed`: came again, but not the same."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: set[str] = set()
        self.changed: list[str] = []
        self.rng = random.Random(5)

    def on_store(self, event: evt.Event) -> int:
        data_set: Dataset = event.dataset
        uid = str(data_set.SOPInstanceUID)
        self.stores += 1
        if uid not in self.lost and uid not in self.stored and self.rng.random() < 0.1:
            self.lost.add(uid)
            return 0x0000
        if uid in self.stored and self.stored[uid] != data_set:
            self.changed.append(uid)
        self.stored[uid] = data_set
        return 0x0000


class House:
    """A receiver that stays, a deliverer that is killed, and an outbox that fills."""

    def __init__(self, folder: Path, pacs: Careless) -> None:
        self.pacs = pacs
        place = pacs.destination.model_copy(update={"commitment_timeout_seconds": 2.0})
        more = {"destinations": (place,), "delivery": _DELIVERY}
        self.receivers = Receivers(folder, {"processes": 1}, more=more)
        pacs.node = self.receivers.node.peer
        self.receivers.start_all()
        self.database = Database.open(self.receivers.settings.database_url)
        self.files = ResultFiles(self.receivers.settings.result_files)
        self.uids: set[str] = set()
        self.log = folder / "deliverer.log"

    def add_study(self, number: int) -> None:
        series, study = f"1.2.826.9.{number}", f"1.2.826.8.{number}"
        now = datetime.now(UTC)
        receive(self.database, replace(instance(1, series), study_instance_uid=study))
        queue(self.database, digest=series, now=now)
        made = []
        for each in range(EACH):
            uid = f"2.25.1{number}{each}7"
            path = self.files.store(series, uid, secondary_capture(uid, study))
            self.uids.add(uid)
            made.append(replace(result("0", series), sop_instance_uid=uid, path=path))
        analyse(self.database, made, ["pacs"], now)

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*COMMAND, "role", "deliverer", *self.receivers.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def committed(self) -> set[str]:
        which = DeliveryRow.state == DeliveryState.COMMITTED
        with self.database.read() as session:
            return set(session.scalars(select(DeliveryRow.sop_instance_uid).where(which)))

    def count(self) -> int:
        with self.database.read() as session:
            return session.scalar(select(func.count()).select_from(DeliveryRow)) or 0


def check_kills(folder: Path, kills: int, seed: int) -> None:
    rng = random.Random(seed)
    pacs = Careless()
    with running_commitment_pacs(pacs=pacs):
        house = House(folder, pacs)
        try:
            for number in range(kills):
                house.add_study(number)
                kill_at_work(house, rng)
                assert house.committed() <= pacs.stored.keys()
            last = house.start()
            wait_for(lambda: house.committed() == house.uids, "all are committed")
            last.terminate()
            last.wait()
        finally:
            house.receivers.close()
            with closing(house.database):
                told = f"{kills} kills, {len(house.uids)} objects, {len(house.committed())}"
        told += f" committed, {pacs.stores} C-STORE, {len(pacs.asked)} requests"
        print(f"{told}, {len(pacs.lost)} lost by the PACS and sent again")
    assert pacs.stored.keys() == house.uids
    assert house.committed() == house.uids
    assert pacs.changed == []
    assert "Traceback" not in house.log.read_text()


def kill_at_work(house: House, rng: random.Random) -> None:
    """A moment after it has stored something, or has asked for a promise."""
    stores, asked = house.pacs.stores, len(house.pacs.asked)
    process = house.start()
    if rng.random() < 0.6:
        wait_for(lambda: house.pacs.stores > stores, "it stores")
    else:
        wait_for(lambda: len(house.pacs.asked) > asked, "it asks")
    time.sleep(rng.uniform(0.0, 0.25))  # the random moment is what is tested
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture(autouse=True)
def _restricted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)


@pytest.mark.long
def test_kills_lose_no_object_and_no_promise(tmp_path: Path) -> None:
    check_kills(tmp_path / "node", 8, seed=1)


@pytest.mark.slow
def test_two_hundred_kills_lose_no_object_and_no_promise(tmp_path: Path) -> None:
    check_kills(tmp_path / "node", 200, seed=2)
