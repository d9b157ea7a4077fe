"""Results are in the object store before rows name it; one that is away holds up no report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from dicomnode.clock import Clock
from dicomnode.deliver.result_bundles import ResultBundles, named
from storage import sealing
from storage.copies import Copies
from storage.errors import LeaseLostError, ObjectStoreError
from storage.models import RemovalRow
from storage.object_store import ObjectStore
from storage.records import ResultRecord
from storage.results import ResultFiles
from support.sealed_house import SealedHouse
from support.storage_samples import result


def stored(house: SealedHouse) -> list[ResultRecord]:
    files = ResultFiles(house.settings.result_files)
    made = [replace(result(str(n)), size_bytes=n) for n in (3, 5)]
    return [
        replace(each, path=files.store("1.2", each.sop_instance_uid, bytes(each.size_bytes)))
        for each in made
    ]


def test_any_node_can_read_what_was_put_there(tmp_path: Path) -> None:
    house = SealedHouse(tmp_path)
    bundles = ResultBundles(house.settings, house.database, Clock())
    records = bundles.put(stored(house))
    elsewhere = tmp_path / "another"
    copies = Copies(elsewhere / "copies", lambda: house.store)
    brought = ResultFiles(elsewhere / "results", "another", copies).bring(records)
    assert [each.read_bytes() for each in brought] == [bytes(3), bytes(5)]
    with house.database.write() as session:
        named(session, records)
    with house.database.read() as session:
        assert session.scalars(select(RemovalRow)).all() == []
    with house.database.write() as session, pytest.raises(LeaseLostError):
        named(session, records)
    assert bundles.put([]) == []
    house.database.close()


def test_what_no_row_came_to_name_is_noted_to_go(tmp_path: Path) -> None:
    house = SealedHouse(tmp_path)
    records = ResultBundles(house.settings, house.database, Clock()).put(stored(house))
    assert house.sealer().remove_objects(house.now + 2 * sealing.NOTE_AGE) == 1
    assert house.store.size_of(str(records[0].object_name)) is None
    house.database.close()


def test_a_store_that_is_away_is_asked_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house, asked = SealedHouse(tmp_path), list[int]()

    def away(_: Copies) -> ObjectStore:
        asked.append(1)
        raise ObjectStoreError("away")

    bundles, records = ResultBundles(house.settings, house.database, Clock()), stored(house)
    monkeypatch.setattr(Copies, "store", property(away))
    assert bundles.put(records) == records
    assert bundles.put(records) == records
    assert len(asked) == 1
    assert "results are not in the object store yet: object store: away" in caplog.text
    house.database.close()
