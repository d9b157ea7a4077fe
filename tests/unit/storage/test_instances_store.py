"""Instances that are stored when the object store has them too, and not before."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from storage.copies import Copies
from storage.database import Database
from storage.errors import ObjectStoreError
from storage.index import instances_of_series, record_instances
from storage.instances import InstanceFiles, StoredFile
from storage.object_store import FolderStore, ObjectStore
from storage.records import Arrival, StoredInstance
from support.sealed_files import Row, copies_in, part10
from support.storage_samples import SERIES, instance

DATA_SET = b"data set"
HEAD = part10(b"")


def files_in(folder: Path) -> InstanceFiles:
    return InstanceFiles(folder / "own", "node", copies_in(folder), in_store=True)


def store(files: InstanceFiles, head: bytes = HEAD) -> StoredFile:
    return files.store(SERIES, f"{SERIES}.1", head, DATA_SET)


def test_what_is_stored_is_an_object_by_itself(tmp_path: Path) -> None:
    stored = store(files_in(tmp_path))
    name = f"instances/{hashlib.sha256(HEAD + DATA_SET).hexdigest()}"
    assert (stored.object_name, stored.object_offset, stored.node_id) == (name, 0, "node")
    row = Row(stored.path, stored.size_bytes, stored.sha256, stored.object_name, 0)
    (tmp_path / "own" / stored.path).unlink()
    (brought,) = files_in(tmp_path).bring([row])
    assert brought.read_bytes() == HEAD + DATA_SET


def test_the_same_again_is_put_there_again_as_it_may_not_have_come_so_far(tmp_path: Path) -> None:
    first = store(InstanceFiles(tmp_path / "own"))
    assert first.object_name is None
    again = store(files_in(tmp_path), HEAD + b"")
    assert again.existed
    assert FolderStore(tmp_path / "store").size_of(str(again.object_name)) == first.size_bytes


def test_nothing_is_left_where_the_store_is_away(tmp_path: Path) -> None:
    def away() -> ObjectStore:
        raise ObjectStoreError("away")

    copies = Copies(tmp_path / "copies", away)
    files = InstanceFiles(tmp_path / "own", "node", copies, in_store=True)
    with pytest.raises(ObjectStoreError):
        store(files)
    assert list(files.iter_paths()) == []
    store(InstanceFiles(tmp_path / "own"))
    with pytest.raises(ObjectStoreError):
        store(files)
    assert len(list(files.iter_paths())) == 1, "it came before, and counts"


def test_a_file_that_is_to_be_in_no_object_any_more_is_among_the_own_again(tmp_path: Path) -> None:
    stored = store(files_in(tmp_path))
    own = tmp_path / "own" / stored.path
    own.unlink()
    row = Row(stored.path, stored.size_bytes, stored.sha256, stored.object_name, 0)
    files_in(tmp_path).keep(row)
    assert own.read_bytes() == HEAD + DATA_SET
    files_in(tmp_path).keep(Row(stored.path, 1))


def recorded(database: Database, row: StoredInstance) -> Arrival:
    with database.write() as session:
        (arrival,) = record_instances(session, [row])
    return arrival


def test_that_it_is_in_the_store_is_known_of_what_came_before_too(database: Database) -> None:
    row = replace(instance(1), node_id="node")
    sealed = replace(row, object_name="instances/a", object_offset=0, size_bytes=7)
    assert recorded(database, row) is Arrival.NEW
    assert recorded(database, sealed) is Arrival.DUPLICATE
    with database.read() as session:
        (known,) = instances_of_series(session, SERIES)
    assert (known.object_name, known.object_offset, known.size_bytes) == ("instances/a", 0, 7)
    assert recorded(database, replace(sealed, object_name="instances/b")) is Arrival.DUPLICATE
    with database.read() as session:
        (known,) = instances_of_series(session, SERIES)
    assert known.object_name == "instances/a"
