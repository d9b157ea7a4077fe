"""Copies are brought when they are read, and nothing goes between the look at one and its use."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from storage.copies import MARKED_SECONDS, Copies, is_marked
from storage.errors import ObjectMissingError, ObjectStoreError
from storage.object_store import FolderStore, ObjectStore
from storage.sealed import Member, seal
from support.sealed_files import Row, copies_in, part10, stored_path


def sealed(folder: Path, *numbers: int) -> list[Row]:
    """In the store beside; their rows."""
    members = []
    for number in numbers:
        file = folder / f"file-{number}"
        file.write_bytes(part10(str(number).encode()))
        members.append(Member(stored_path(number), file))
    made = seal("results", members, folder / "object")
    (folder / "store").mkdir(exist_ok=True)
    FolderStore(folder / "store").put(made.name, folder / "object")
    return [
        Row(e.path, e.file.stat().st_size, "", made.name, made.offsets[e.path]) for e in members
    ]


def test_an_own_file_is_read_where_it_is_and_a_copy_is_brought_once(tmp_path: Path) -> None:
    first, second = sealed(tmp_path, 1, 2)
    own = tmp_path / "own" / first.path
    own.parent.mkdir(parents=True)
    own.write_bytes((tmp_path / "file-1").read_bytes())
    copies = copies_in(tmp_path)
    found = copies.bring(tmp_path / "own", [second, first])
    assert found == [copies.root / second.path, own]
    FolderStore(tmp_path / "store").delete(str(first.object_name))
    assert copies.bring(tmp_path / "own", [second, first]) == found


def test_a_damaged_own_file_gives_way_to_what_the_store_has(tmp_path: Path) -> None:
    (row,) = sealed(tmp_path, 1)
    own = tmp_path / "own" / row.path
    own.parent.mkdir(parents=True)
    own.write_bytes(b"cut short")
    (found,) = copies_in(tmp_path).bring(tmp_path / "own", [row])
    assert found.read_bytes() == (tmp_path / "file-1").read_bytes()


def test_what_is_nowhere_is_named_where_it_should_be_and_what_is_lost_is_told(
    tmp_path: Path,
) -> None:
    copies, nowhere = copies_in(tmp_path), Row(stored_path(1), 10)
    assert copies.bring(tmp_path / "own", [nowhere]) == [tmp_path / "own" / nowhere.path]
    (row,) = sealed(tmp_path, 2)
    FolderStore(tmp_path / "store").delete(str(row.object_name))
    with pytest.raises(ObjectMissingError, match="is not there"):
        copies.bring(tmp_path / "own", [row])


def test_a_store_that_cannot_be_opened_hinders_what_needs_it_alone(tmp_path: Path) -> None:
    def away() -> ObjectStore:
        raise ObjectStoreError("away")

    copies, (row,) = Copies(tmp_path / "copies", away), sealed(tmp_path, 1)
    copies.bring(tmp_path / "own", [Row(stored_path(5), 1)])
    with pytest.raises(ObjectStoreError, match=r"^object store: away$"):
        copies.bring(tmp_path / "own", [row])


def test_who_reads_marks_the_series_and_who_clears_waits_for_it(tmp_path: Path) -> None:
    (row,) = sealed(tmp_path, 1)
    copies, folder = copies_in(tmp_path), row.path.rpartition("/")[0]
    copies.bring(tmp_path / "own", [row])
    (held,) = copies.folders()
    assert (held.folder, held.size_bytes) == (folder, row.size_bytes)
    long_ago = held.read_at - MARKED_SECONDS - 60
    os.utime(copies.root / folder, (long_ago, long_ago))
    assert not is_marked(copies.root / folder)
    with copies.clearing():
        reading = threading.Thread(target=copies.bring, args=(tmp_path / "own", [row]))
        reading.start()
        reading.join(0.05)
        assert not is_marked(copies.root / folder), "the reader waits"
        copies.remove(folder)
    reading.join()
    assert is_marked(copies.root / folder)
    assert (copies.root / row.path).read_bytes() == (tmp_path / "file-1").read_bytes()
