"""A disk that fills, and a database that is away: the receiver as its process runs it."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pydicom
import pytest
from pynetdicom import _config, build_context
from pynetdicom.presentation import PresentationContext
from sqlalchemy import select

from dicomnode.config.destinations import Destination
from dicomnode.config.sections import NodeSettings, ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.own_data import take_database
from dicomnode.decisions.arrival.admission import AdmissionPolicy
from dicomnode.decisions.arrival.disk import DiskPolicy
from dicomnode.dicom_files.identity import data_set_sha256
from dicomnode.disk_gate import disk_space
from dicomnode.lifecycle import Stop
from dicomnode.network.associations import associated, c_store, echo, requestor
from dicomnode.offline.demo import listens
from dicomnode.receive import arrivals, receiver
from storage import index
from storage.database import Database
from storage.durable import INCOMING
from storage.instances import InstanceFiles
from storage.models import AssociationRow
from storage.records import AssociationEnd
from support.house import NODE, House
from support.node import free_port
from support.phantom import series_uid, write_series
from support.postgresql import MIGRATED, postgresql_server
from support.small_disk import small_disk
from support.wait import PATIENCE_SECONDS, wait_for

MIB = 1 << 20


class Running:
    """What `dicomnode role receiver` runs, in a thread of the test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        port = settings.receive.port
        self.peer = Destination(name="n", ae_title="DICOMNODE", address="127.0.0.1", port=port)
        self.files = InstanceFiles(settings.instances)
        self._stop = Stop()
        self._thread = threading.Thread(
            target=receiver.run, args=(settings, f"{NODE}/{os.getpid()}/", self._stop)
        )

    def start(self) -> None:
        self._thread.start()
        wait_for(lambda: listens(self.settings.receive.port), "the port is open")

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()

    def send(self, *paths: Path) -> list[int]:
        with associated(requestor("TESTER", [_context(paths[0])], 20), self.peer) as association:
            return [c_store(association, path) for path in paths]

    def digests(self) -> set[str]:
        """Of the data sets that lie under final names."""
        found = [self.files.open_path(path) for path in self.files.iter_paths()]
        return {data_set_sha256(path) for path in found}

    def indexed(self, uid: str) -> int:
        with (
            closing(Database.open(self.settings.database_url)) as database,
            database.read() as session,
        ):
            return len(index.instances_of_series(session, uid))

    def ends(self) -> list[AssociationEnd | None]:
        with (
            closing(Database.open(self.settings.database_url)) as database,
            database.read() as session,
        ):
            return list(session.scalars(select(AssociationRow.ending)))


def _context(path: Path) -> PresentationContext:
    first = pydicom.dcmread(path, stop_before_pixels=True)
    return build_context(first.SOPClassUID, first.file_meta.TransferSyntaxUID)


def sent_digest(path: Path) -> str:
    return data_set_sha256(path)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Running]]:
    """Start a receiver with these parts of the settings; it stops with the test."""
    unrestricted = _config.UNRESTRICTED_STORAGE_SERVICE
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", unrestricted)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    running: list[Running] = []

    def begin(folder: Path, database_url: str = "", disk: DiskPolicy | None = None) -> Running:
        node = NodeSettings(data_directory=folder, database_url=database_url)
        one = Running(
            Settings(
                node=node,
                receive=ReceiveSettings(
                    port=free_port(), processes=1, admission=AdmissionPolicy(allow_any=True)
                ),
                disk=disk or DiskPolicy(0, 0),
            )
        )
        running.append(one)
        one.start()
        return one

    yield begin
    for each in running:
        each.stop()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", megabytes=4) as folder:
        yield folder


def fill(disk: Path, leave_bytes: int) -> Path:
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    ballast.write_bytes(b"\0" * (disk_space(disk).free_bytes - leave_bytes))
    return ballast


def test_a_disk_that_fills_in_the_middle_of_a_write_loses_nothing(
    disk: Path, tmp_path: Path, start: Callable[..., Running]
) -> None:
    files = write_series(tmp_path / "series", slices=12)
    running = start(disk, f"sqlite:///{tmp_path / 'node.sqlite3'}")
    ballast = fill(disk, leave_bytes=5 * files[0].stat().st_size)  # 34 KiB each, and folders
    statuses = running.send(*files)
    taken = [file for file, status in zip(files, statuses, strict=True) if status == 0x0000]
    assert set(statuses) == {0x0000, 0xA700}
    assert running.digests() == {sent_digest(file) for file in taken}
    assert list((disk / "instances" / INCOMING).iterdir()) == []
    echo(running.peer, "TESTER")
    ballast.unlink()
    assert running.send(*files) == [0x0000] * 12
    assert running.digests() == {sent_digest(file) for file in files}
    wait_for(lambda: running.indexed(series_uid(files)) == 12, "all are indexed")


def test_below_the_watermark_instances_are_refused_until_there_is_room_again(
    disk: Path, tmp_path: Path, start: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    files = write_series(tmp_path / "series", slices=2)
    policy = DiskPolicy(refuse_below_bytes=MIB, resume_above_bytes=2 * MIB)
    running = start(disk, f"sqlite:///{tmp_path / 'node.sqlite3'}", policy)
    with caplog.at_level(logging.INFO, "dicomnode.disk_gate"):
        assert running.send(files[0]) == [0x0000]
        fill(disk, leave_bytes=MIB - 4096)
        wait_for(lambda: running.send(files[1]) == [0xA700], "refused")
        echo(running.peer, "TESTER")
        ballast = fill(disk, leave_bytes=MIB + MIB // 2)  # between the marks
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            assert running.send(files[1]) == [0xA700]
        ballast.unlink()
        wait_for(lambda: running.send(files[1]) == [0x0000], "taken again")
    told = [
        (record.levelno, record.getMessage())
        for record in caplog.records
        if record.name == "dicomnode.disk_gate"
    ]
    assert [level for level, _ in told] == [logging.WARNING, logging.INFO]
    assert "MiB of 4.0 MiB are free" in told[0][1]
    assert running.digests() == {sent_digest(file) for file in files}


def test_receiving_begins_and_goes_on_while_postgresql_is_away(
    tmp_path: Path, start: Callable[..., Running]
) -> None:
    first = write_series(tmp_path / "first", slices=3)
    second = write_series(tmp_path / "second", slices=3)
    with postgresql_server() as server:
        server.stop()
        running = start(tmp_path / "data", server.url(MIGRATED))
        assert running.send(*first) == [0x0000] * 3
        server.launch()
        wait_for(lambda: running.indexed(series_uid(first)) == 3, "the index has begun")
        server.stop()
        assert running.send(*second) == [0x0000] * 3
        server.launch()
        wait_for(lambda: running.indexed(series_uid(second)) == 3, "the index has caught up")
        wait_for(lambda: len(running.ends()) == 2, "both associations are known")
        wait_for(lambda: set(running.ends()) == {AssociationEnd.RELEASED}, "released, not lost")
        running.stop()


def block(database: Path) -> sqlite3.Connection:
    """A database that is there, and that nobody else can use until the connection closes."""
    database.parent.mkdir(exist_ok=True)
    Database.open(f"sqlite:///{database}").close()
    blocker = sqlite3.connect(database)
    blocker.execute("BEGIN EXCLUSIVE")
    return blocker


def test_what_is_being_sent_at_the_start_is_not_taken_for_lost(
    tmp_path: Path, start: Callable[..., Running]
) -> None:
    files = write_series(tmp_path / "series", slices=3)
    blocker = block(tmp_path / "data" / "node.sqlite3")
    running = start(tmp_path / "data")
    client = requestor("TESTER", [_context(files[0])], 20)
    with associated(client, running.peer) as association:
        assert [c_store(association, file) for file in files[:2]] == [0x0000] * 2
        blocker.close()
        wait_for(lambda: running.indexed(series_uid(files)) == 2, "two are indexed")
        assert running.ends() == [None]
        assert c_store(association, files[2]) == 0x0000
    wait_for(lambda: running.ends() == [AssociationEnd.RELEASED], "released")
    assert running.indexed(series_uid(files)) == 3


def test_what_memory_has_no_room_for_is_indexed_from_the_files(
    tmp_path: Path, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "MOST_WAITING", 3)
    files = write_series(tmp_path / "series", slices=9)
    blocker = block(tmp_path / "data" / "node.sqlite3")
    running = start(tmp_path / "data")
    assert running.send(*files) == [0x0000] * 9
    blocker.close()
    wait_for(lambda: running.indexed(series_uid(files)) == 9, "all are indexed")
    wait_for(lambda: running.ends() == [AssociationEnd.RELEASED], "its end is known")


def test_what_a_killed_receiver_left_is_lost_and_its_files_are_found(
    tmp_path: Path, start: Callable[..., Running]
) -> None:
    house = House(tmp_path / "data")
    take_database(house.settings, NODE.partition("/")[0])
    uid = house.store_files("1.2.3", 3)[0].series_instance_uid
    house.database.close()
    running = start(tmp_path / "data")
    wait_for(lambda: running.indexed(uid) == 3, "found again")
    assert running.ends() == [AssociationEnd.LOST]
