"""An object that is damaged or missing is put into the store again by whoever has a good copy."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from dicomnode.config.destinations import Peer
from dicomnode.config.sections import QuerySettings
from storage import index, lost_nodes, queries
from storage.damage import (
    STORE_NODE,
    DamagedObject,
    damaged_objects,
    damaged_summary,
    note_damaged,
)
from storage.decided import NodeLost
from storage.errors import DamagedObjectError, ObjectMissingError, WrongStoreError
from storage.models import JobRow, ResultRow
from storage.nodes import join
from storage.records import JobKind, SeriesState
from storage.results import ResultFiles
from storage.sealed import is_whole
from support.sealed_house import NODE, SealedHouse
from support.storage_samples import take

UID = "1.2.826.1.77"
HOUR = timedelta(hours=1)


def sealed(house: SealedHouse, state: SeriesState = SeriesState.RECEIVING) -> str:
    """The name of the object of a series."""
    house.add(UID, state, timedelta())
    assert house.sealer().seal_due(house.now + HOUR) == 1
    (name,) = {str(each.object_name) for each in house.rows(UID)}
    return name


def file_of(house: SealedHouse, name: str) -> Path:
    return house.settings.node.data_directory.parent / "store" / name


def damage(house: SealedHouse, name: str) -> None:
    content = bytearray(file_of(house, name).read_bytes())
    content[len(content) // 2] ^= 1
    file_of(house, name).write_bytes(content)


def evict(house: SealedHouse) -> None:
    house.age()
    assert house.sealer().clear(house.now) > 0


def noted(house: SealedHouse) -> tuple[DamagedObject, ...]:
    with house.database.read() as session:
        return damaged_objects(session, 10)


def mend(house: SealedHouse, after: timedelta = HOUR) -> int:
    return house.sealer().mend_due(datetime.now().astimezone() + after)


def keep_apart(house: SealedHouse) -> dict[Path, bytes]:
    """The files of the series, as another machine may have them."""
    return {each: each.read_bytes() for each in house.files.bring(house.rows(UID))}


def put_back(house: SealedHouse, files: dict[Path, bytes]) -> None:
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def test_what_is_read_in_vain_is_noted_and_counted_in_the_database(house: SealedHouse) -> None:
    name = sealed(house)
    evict(house)
    damage(house, name)
    for count in (1, 2):
        with pytest.raises(DamagedObjectError):
            house.contents(UID)
        (one,) = noted(house)
        assert (one.object_name, one.series_key, one.found_count) == (name, UID, count)
    file_of(house, name).unlink()
    with pytest.raises(ObjectMissingError):
        house.contents(UID)
    (one,) = noted(house)
    assert (one.found_count, one.why) == (3, f"object store: {name}: is not there")
    with house.database.read() as session:
        told = damaged_summary(session)
    assert told is not None
    assert (told.count, told.lost, told.found_count, told.series_key) == (1, 0, 3, UID)


@pytest.mark.parametrize("missing", [False, True])
def test_a_node_that_has_the_files_puts_the_same_object_there_again(
    house: SealedHouse, missing: bool
) -> None:
    name = sealed(house)
    files, before = keep_apart(house), house.contents(UID)
    evict(house)
    file_of(house, name).unlink() if missing else damage(house, name)
    with pytest.raises((DamagedObjectError, ObjectMissingError)):
        house.contents(UID)
    put_back(house, files)
    assert mend(house) == 1
    assert is_whole(house.store, name)
    assert {each.object_name for each in house.rows(UID)} == {name}
    assert noted(house) == ()
    evict(house)
    assert house.contents(UID) == before
    assert house.sealer().remove_objects(house.now + 3 * HOUR) == 0, "it is named again"


def test_a_copy_that_is_damaged_too_is_none(house: SealedHouse) -> None:
    name = sealed(house)
    files = keep_apart(house)
    evict(house)
    file_of(house, name).unlink()
    with pytest.raises(ObjectMissingError):
        house.contents(UID)
    first, *others = files
    put_back(house, files)
    first.write_bytes(files[first][:-1] + b"!")
    assert mend(house) == 0
    assert len(noted(house)) == 1
    by_name = {Path(each.path).name: each for each in house.rows(UID)}
    assert by_name[first.name].object_name == name, "nobody has it: it stays as it was"
    assert {by_name[each.name].object_name == name for each in others} == {False}
    put_back(house, {first: files[first]})
    assert mend(house, 2 * HOUR) == 1
    assert noted(house) == ()
    evict(house)
    assert house.contents(UID) == list(files.values())


def test_what_another_node_has_in_its_cache_is_good_enough(house: SealedHouse) -> None:
    name = sealed(house)
    evict(house)
    before = house.contents(UID)  # brought: a copy
    damage(house, name)
    with house.database.write() as session:
        assert note_damaged(session, name, UID, "read in vain elsewhere", house.now)
        assert not note_damaged(session, "series/none", UID, "made anew meanwhile", house.now)
    assert mend(house) == 1
    assert is_whole(house.store, name)
    assert {each.node_id for each in house.rows(UID)} == {NODE}
    assert house.contents(UID) == before


def test_what_a_person_put_back_is_right_again(house: SealedHouse) -> None:
    name = sealed(house)
    whole = file_of(house, name).read_bytes()
    evict(house)
    damage(house, name)
    with pytest.raises(DamagedObjectError):
        house.contents(UID)
    sealer, later = house.sealer(), datetime.now().astimezone() + HOUR
    assert sealer.mend_due(later) == 0
    file_of(house, name).write_bytes(whole)
    assert sealer.mend_due(later + timedelta(seconds=59)) == 0, "looked at each minute"
    assert sealer.mend_due(later + timedelta(seconds=61)) == 1
    assert noted(house) == ()


def test_results_are_put_there_again_from_the_node_that_made_them(house: SealedHouse) -> None:
    house.add(UID, SeriesState.ANALYSED, timedelta())
    with house.database.write() as session:
        session.execute(update(ResultRow).values(node_id=NODE))
    house.sealer().seal_due(house.now + HOUR)
    with house.database.read() as session:
        detail = queries.series_detail(session, UID)
    assert detail is not None
    (record,) = detail.results
    files = ResultFiles(house.settings.result_files, NODE, house.settings.copies_of("results"))
    name = str(record.object_name)
    damage(house, name)
    own = house.settings.result_files / record.path
    content = own.read_bytes()
    own.unlink()
    with pytest.raises(DamagedObjectError):
        files.bring([record])
    assert mend(house) == 0
    own.write_bytes(content[:-1] + b"!")
    assert mend(house) == 0, "it is not what was sealed"
    own.write_bytes(content)
    assert mend(house) == 1
    assert is_whole(house.store, name)
    assert noted(house) == ()


def shared(house: SealedHouse) -> None:
    """As of several nodes that have an archive to ask."""
    settings = house.settings
    query = QuerySettings(peer=Peer(name="ARCHIVE", ae_title="A", address="127.0.0.1", port=104))
    node = settings.node.model_copy(update={"shares_database": True})
    house.settings = settings.model_copy(update={"node": node, "query": query})
    with house.database.write() as session:
        join(session, NODE, "host", True, house.now)


def test_what_nobody_has_is_asked_of_the_archive_as_of_a_lost_node(house: SealedHouse) -> None:
    name = sealed(house)
    shared(house)
    files = keep_apart(house)
    evict(house)
    file_of(house, name).unlink()
    with pytest.raises(ObjectMissingError):
        house.contents(UID)
    assert mend(house, timedelta(seconds=60)) == 0
    assert noted(house)[0].lost_at is None, "another node may have it"
    assert mend(house, timedelta(seconds=180)) == 0
    assert noted(house)[0].lost_at is not None
    assert {(each.node_id, each.object_name) for each in house.rows(UID)} == {(STORE_NODE, None)}
    with house.database.write() as session:
        assert lost_nodes.series_to_send_for(session) == (UID,)
        lost_nodes.send_for(session, UID, house.now + HOUR)
        detail = queries.series_detail(session, UID)
    assert detail is not None
    (entry,) = (each for each in detail.series.history if isinstance(each, NodeLost))
    assert (entry.node_id, entry.instance_count) == (STORE_NODE, 3)
    assert take(house.database, JobKind.FETCH, house.now + 2 * HOUR).series_key == UID
    assert mend(house, 2 * HOUR) == 0
    again = [replace(each, received_at=house.now + HOUR) for each in house.store_files(UID, 3)]
    with house.database.write() as session:
        index.record_instances(session, again, house.files.is_there)
        assert lost_nodes.lost_instances(session, UID) == ()
    assert house.contents(UID) == list(files.values())
    mend(house, 3 * HOUR)
    assert noted(house) == ()
    assert house.sealer().seal_due(house.now + 4 * HOUR) == 1
    assert is_whole(house.store, str(house.rows(UID)[0].object_name))


def test_of_a_series_that_has_ended_nothing_is_asked(house: SealedHouse) -> None:
    name = sealed(house, SeriesState.SKIPPED)
    shared(house)
    evict(house)
    file_of(house, name).unlink()
    with pytest.raises(ObjectMissingError):
        house.contents(UID)
    assert mend(house) == 0
    (one,) = noted(house)
    assert one.lost_at is None
    assert {each.object_name for each in house.rows(UID)} == {name}
    with house.database.read() as session:
        fetches = select(JobRow).where(JobRow.kind == JobKind.FETCH)
        assert session.scalars(fetches).all() == []


def test_a_store_that_is_not_mounted_has_lost_nothing(house: SealedHouse, tmp_path: Path) -> None:
    sealed(house)
    evict(house)
    (tmp_path / "store").rename(tmp_path / "share")
    (tmp_path / "store").mkdir()
    with pytest.raises(WrongStoreError):
        house.contents(UID)
    assert noted(house) == ()
    house.add(f"{UID}.2", SeriesState.RECEIVING, timedelta())
    with pytest.raises(WrongStoreError):
        house.sealer().seal_due(house.now + HOUR)
    with pytest.raises(WrongStoreError):
        house.sealer().confirm_store()
    assert list((tmp_path / "store").iterdir()) == []
