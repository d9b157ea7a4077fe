"""What lies on one disk alone is put into the store; copies go, and come back byte by byte."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from dicomnode.config.object_store import ObjectStoreSettings
from dicomnode.data_directory.backlog import read_backlog
from dicomnode.data_directory.sealer import Sealer, run
from storage import index, retention, sealing
from storage.errors import ObjectStoreError
from storage.models import InstanceRow, RemovalRow, ResultRow, SeriesRow
from storage.object_store import FolderStore
from storage.overview_records import Unsealed
from storage.records import JobKind, SeriesState
from support.sealed_house import NODE, SealedHouse
from support.sources import ROOT
from support.storage_samples import take

UID = "1.2.826.1.77"
HOUR = timedelta(hours=1)


def test_a_series_is_sealed_when_it_came_to_rest_and_its_copies_come_back(
    house: SealedHouse,
) -> None:
    house.add(UID, SeriesState.RECEIVING, timedelta())
    sealer, before = house.sealer(), house.contents(UID)
    assert sealer.seal_due(house.now + timedelta(seconds=9)) == 0
    assert sealer.seal_due(house.now + timedelta(seconds=11)) == 1
    assert sealer.seal_due(house.now + timedelta(seconds=12)) == 0
    (name,) = {each.object_name for each in house.rows(UID)}
    assert house.store.size_of(str(name))
    house.age()
    size = sum(map(len, before))
    assert sealer.clear(house.now) == size
    assert house.own() == set()
    assert {each.node_id for each in house.rows(UID)} == {""}
    assert house.contents(UID) == before
    assert house.own() == set(), "a copy is none of the files that came"
    house.age()
    assert sealer.clear(house.now) == size
    assert house.contents(UID) == before


def test_what_is_in_no_object_stays_whatever_the_limit(house: SealedHouse) -> None:
    house.add(UID, SeriesState.RECEIVING, timedelta())
    house.sealer().seal_due(house.now + HOUR)
    (late,) = house.store_files(UID, 4)[3:]
    with house.database.write() as session:
        index.record_instances(session, [late])
    house.age()
    assert house.sealer().clear(house.now) > 0
    assert house.own() == {late.path}


def test_what_is_read_or_worked_on_stays(house: SealedHouse) -> None:
    house.add(UID, SeriesState.RECEIVING, timedelta())
    sealer = house.sealer()
    sealer.seal_due(house.now + HOUR)
    assert sealer.clear(house.now) == 0, "it came just now"
    house.age()
    house.contents(UID)
    assert sealer.clear(house.now) == 0, "it was read just now"
    house.age()
    take(house.database, JobKind.ASSESS, house.now, f"{NODE}/assessor/1/")
    assert sealer.clear(house.now) == 0, "it is worked on"
    assert len(house.own()) == 3


def test_copies_within_the_limit_stay_and_the_oldest_go_first(tmp_path: Path) -> None:
    house = SealedHouse(tmp_path, cache_gib=1000 / (1 << 30))
    for number, age in (("1", 3), ("2", 2), ("3", 1)):
        house.add(f"{UID}.{number}", SeriesState.RECEIVING, timedelta())
        with house.database.write() as session:
            of_series = InstanceRow.series_key == f"{UID}.{number}"
            then = house.now - age * HOUR
            session.execute(update(InstanceRow).where(of_series).values(received_at=then))
    size = sum(map(len, house.contents(f"{UID}.1")))
    sealer = house.sealer()
    sealer.seal_due(house.now + HOUR)
    house.age()
    url = house.settings.object_store.url
    for series_kept, kept in ((3, {"1", "2", "3"}), (2, {"3"}), (0, set())):
        cache = ObjectStoreSettings(url=url, cache_gib=(series_kept * size + 1) / (1 << 30))
        house.settings = house.settings.model_copy(update={"object_store": cache})
        house.sealer().clear(house.now)
        held = {n for n in "123" if house.rows(f"{UID}.{n}")[0].node_id == NODE}
        assert held == kept
    house.database.close()


def test_copies_of_a_series_that_retention_took_go_whatever_room_there_is(tmp_path: Path) -> None:
    house = SealedHouse(tmp_path, cache_gib=1.0)
    house.add(UID, SeriesState.SKIPPED, timedelta())
    sealer = house.sealer()
    sealer.seal_due(house.now + HOUR)
    (name,) = {str(each.object_name) for each in house.rows(UID)}
    for path in house.own():
        house.files.remove(path)
    house.contents(UID)
    house.age()
    copies = house.settings.copies_of("instances")
    assert copies is not None
    sealer.clear(house.now + HOUR)
    assert len(list(copies.folders())) == 1
    with house.database.write() as session:
        assert retention.remove_series(session, UID, lambda _: True, house.now)
    sealer.clear(house.now + 3 * HOUR)
    assert list(copies.folders()) == []
    assert sealer.remove_objects(house.now + sealing.NOTE_AGE) == 1
    assert house.store.size_of(name) is None
    assert sealer.remove_objects(house.now + 2 * sealing.NOTE_AGE) == 0
    house.database.close()


def test_results_are_sealed_too_and_stay_here(house: SealedHouse) -> None:
    house.add(UID, SeriesState.ANALYSED, timedelta())
    with house.database.write() as session:
        session.execute(update(ResultRow).values(node_id=NODE))
    assert house.sealer().seal_due(house.now + HOUR) == 1
    with house.database.read() as session:
        (result,) = session.scalars(select(ResultRow)).all()
        at, path = result.object_offset or 0, result.path
        stored = house.store.get_range(str(result.object_name), at, result.size_bytes)
    assert stored == b"result"
    house.age()
    house.sealer().clear(house.now)
    assert house.results.open_path(path).read_bytes() == b"result"


def test_one_damaged_file_holds_up_no_other_series(
    house: SealedHouse, caplog: pytest.LogCaptureFixture
) -> None:
    house.add(UID, SeriesState.RECEIVING, timedelta())
    house.add(f"{UID}.2", SeriesState.RECEIVING, timedelta())
    file = house.files.open_path(house.rows(UID)[0].path)
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert house.sealer().seal_due(house.now + HOUR) == 1
    assert "stays on this disk alone" in caplog.text
    assert {each.object_name for each in house.rows(UID)} == {None}
    house.age()
    house.sealer().clear(house.now)
    assert file.exists()


def test_a_store_that_is_away_loses_nothing(
    house: SealedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.add(UID, SeriesState.RECEIVING, timedelta())
    sealer = house.sealer()

    def away(*_: object) -> None:
        raise ObjectStoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "put", away)
        with pytest.raises(ObjectStoreError):
            sealer.seal_due(house.now + HOUR)
    house.age()
    assert sealer.clear(house.now) == 0
    assert sealer.seal_due(house.now + HOUR) == 1


def came(house: SealedHouse, uid: str, ago: timedelta) -> None:
    house.add(uid, SeriesState.RECEIVING, ago)
    with house.database.write() as session:
        of_series = update(SeriesRow).where(SeriesRow.series_key == uid)
        session.execute(of_series.values(last_received_at=house.now - ago))


def test_what_is_left_is_told_with_how_long_it_could_have_been_sealed(
    house: SealedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, hours in ((1, 3), (2, 2), (3, 1)):
        came(house, f"{UID}.{number}", hours * HOUR)
    sealer = house.sealer()
    rest = timedelta(seconds=house.settings.object_store.seal_after_seconds)

    def away(*_: object) -> None:
        raise ObjectStoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "put", away)
        with pytest.raises(ObjectStoreError):
            sealer.seal_due(house.now)
    due_at = house.now - 3 * HOUR + rest
    left = Unsealed(house.now, 3, oldest_due_at=due_at, fault="away")
    assert sealer.unsealed(house.now, "away") == left
    file = house.files.open_path(house.rows(f"{UID}.2")[0].path)
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert sealer.seal_due(house.now) == 2
    due_at = house.now - 2 * HOUR + rest
    assert sealer.unsealed(house.now) == Unsealed(house.now, 1, damaged=1, oldest_due_at=due_at)


def test_a_pass_tells_what_it_left_and_what_it_ended_by(
    house: SealedHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    came(house, UID, HOUR)
    folder, stop = house.settings.node.data_directory, threading.Event()

    def away(*_: object) -> None:
        stop.set()
        raise ObjectStoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "put", away)
        run(house.settings, NODE, stop)
    told = read_backlog(folder)
    assert told is not None
    assert (told.series, told.fault) == (1, "object store: away")
    stop.clear()
    monkeypatch.setattr(Sealer, "remove_objects", lambda *_: stop.set())
    run(house.settings, NODE, stop)
    told = read_backlog(folder)
    assert told is not None
    assert (told.series, told.fault, told.oldest_due_at) == (0, "", None)


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from dicomnode.config.reading import kept_settings
from dicomnode.data_directory.sealer import Sealer
from storage import sealing
from storage.database import Database
settings = kept_settings(Path(sys.argv[1]))
sealing.record_sealed = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sealer = Sealer(settings, Database.open(settings.database_url), "node")
sealer.seal_due(datetime.fromisoformat(sys.argv[2]))
"""


def test_a_sealer_killed_between_the_object_and_its_rows_loses_nothing(
    house: SealedHouse, tmp_path: Path
) -> None:
    house.add(UID, SeriesState.RECEIVING, timedelta())
    before = house.contents(UID)
    kept = tmp_path / "settings.json"
    kept.write_text(house.settings.model_dump_json())
    moment = house.now + HOUR
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(kept), moment.isoformat()], cwd=ROOT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    (written,) = (tmp_path / "store" / "series").iterdir()
    assert {each.object_name for each in house.rows(UID)} == {None}
    house.age()
    assert house.sealer().clear(house.now) == 0
    (late,) = house.store_files(UID, 4)[3:]  # the next object is another one
    with house.database.write() as session:
        index.record_instances(session, [replace(late, received_at=house.now)])
    assert house.sealer().seal_due(moment) == 1
    house.age()
    house.sealer().clear(house.now)
    assert house.contents(UID)[:3] == before
    assert house.sealer().remove_objects(moment + sealing.NOTE_AGE) == 1
    assert not written.exists(), "what no row names goes after a while"
    assert house.contents(UID)[:3] == before
    with house.database.read() as session:
        assert session.scalars(select(RemovalRow)).all() == []
