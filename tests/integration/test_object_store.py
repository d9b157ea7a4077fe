"""A real S3 server, not a folder: what is sealed there comes back, and what it refuses is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import update

from dicomnode.commission.checks import Result
from dicomnode.commission.object_store import store_checks
from dicomnode.config.object_store import ObjectStoreSettings
from storage import sealing
from storage.damage import damaged_objects, note_damaged
from storage.errors import WrongStoreError
from storage.models import InstanceRow
from storage.records import SeriesState
from storage.sealed import is_whole
from support.sealed_house import SealedHouse
from support.seaweedfs import SECRET, VARIABLE, seaweedfs

pytestmark = pytest.mark.long  # the server takes its time to start and to end
UID = "1.2.826.1.77"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStoreSettings]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as settings:
        yield settings


@pytest.fixture
def store(server: ObjectStoreSettings, monkeypatch: pytest.MonkeyPatch) -> ObjectStoreSettings:
    monkeypatch.setenv(VARIABLE, SECRET)
    return server


def own_place(store: ObjectStoreSettings) -> ObjectStoreSettings:
    """A prefix for one database: it takes no other's."""
    return store.model_copy(update={"url": f"{store.url}/{uuid4().hex}"})


def test_the_server_gives_what_the_node_asks_of_a_store(store: ObjectStoreSettings) -> None:
    *checks, conditional = store_checks(store)
    assert {each.result for each in checks} == {Result.PASSED}
    assert len(checks) == 5
    assert "with If-None-Match is refused" in conditional.found


def test_what_is_sealed_there_comes_back_and_goes_with_its_rows(
    store: ObjectStoreSettings, tmp_path: Path
) -> None:
    house = SealedHouse(tmp_path, store=own_place(store))
    house.add(UID, SeriesState.RECEIVING, timedelta())
    before = house.contents(UID)
    sealer = house.sealer()
    assert sealer.seal_due(house.now + HOUR) == 1
    house.age()
    assert sealer.clear(house.now) > 0
    assert house.own() == set()
    assert house.contents(UID) == before
    (name,) = {str(each.object_name) for each in house.rows(UID)}
    with house.database.write() as session:
        sealing.note_objects(session, UID, house.now)
        session.execute(update(InstanceRow).values(object_name=None))
    assert sealer.remove_objects(house.now + sealing.NOTE_AGE) == 1
    assert house.store.size_of(name) is None
    house.database.close()


def test_an_object_of_many_parts_is_written_and_read(
    store: ObjectStoreSettings, tmp_path: Path
) -> None:
    opened, file = store.opened(), tmp_path / "large"
    content = bytes(range(256)) * (20 << 12)
    file.write_bytes(content)
    opened.put("series/large", file)
    assert opened.size_of("series/large") == len(content)
    assert opened.get_range("series/large", 15_000_000, 1000) == content[15_000_000:15_001_000]


def test_a_wrong_secret_is_told_and_what_to_mend(
    store: ObjectStoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "wrong")
    (only,) = store_checks(store)
    assert only.result is Result.FAILED
    assert "SignatureDoesNotMatch" in only.found
    assert "the secret key" in only.remedy


def test_another_prefix_of_the_bucket_is_not_taken_for_the_store(
    store: ObjectStoreSettings, tmp_path: Path
) -> None:
    """And what is missing in it is not lost."""
    right = own_place(store)
    house = SealedHouse(tmp_path, store=right)
    house.add(UID, SeriesState.RECEIVING, timedelta())
    assert house.sealer().seal_due(house.now + HOUR) == 1
    house.age()
    assert house.sealer().clear(house.now) > 0
    house.settings = house.settings.model_copy(update={"object_store": own_place(store)})
    house.add(f"{UID}.2", SeriesState.RECEIVING, timedelta())
    with pytest.raises(WrongStoreError):
        house.sealer().seal_due(house.now + HOUR)
    copies = house.settings.copies_of("instances")
    assert copies is not None
    with pytest.raises(WrongStoreError):
        copies.bring(house.settings.instances, house.rows(UID))
    with house.database.read() as session:
        assert damaged_objects(session, 1) == ()
    house.settings = house.settings.model_copy(update={"object_store": right})
    assert house.sealer().seal_due(house.now + HOUR) == 1
    house.database.close()


def test_an_object_that_is_gone_is_put_there_again_by_who_has_its_files(
    store: ObjectStoreSettings, tmp_path: Path
) -> None:
    house = SealedHouse(tmp_path, store=own_place(store))
    house.add(UID, SeriesState.RECEIVING, timedelta())
    assert house.sealer().seal_due(house.now + HOUR) == 1
    before = house.contents(UID)
    name = str(house.rows(UID)[0].object_name)
    for spoil in (house.store.delete, lambda name: house.store.put(name, tmp_path / "other")):
        (tmp_path / "other").write_bytes(b"something else")
        spoil(name)
        with house.database.write() as session:
            assert note_damaged(session, name, UID, "read in vain by another node", house.now)
        assert house.sealer().mend_due(house.now + HOUR) == 1
        assert is_whole(house.store, name)
    house.age()
    assert house.sealer().clear(house.now) > 0
    assert house.contents(UID) == before
    house.database.close()
