"""Folders that are held open while files come, and removed by others meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.database import Database
from storage.durable import DurableFiles
from storage.folders import MOST_HELD, Folders


def test_a_folder_that_was_removed_takes_no_name_even_if_another_has_its(tmp_path: Path) -> None:
    folder = Folders(tmp_path).opened("ab/cd")
    (tmp_path / "ab" / "cd").rmdir()
    (tmp_path / "ab" / "cd").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError):
        folder.take(str(tmp_path / "file"), "name")


def test_a_removed_folder_is_made_anew(tmp_path: Path) -> None:
    files = DurableFiles(tmp_path)
    files.put("ab/cd/one", (b"1",))
    (tmp_path / "ab/cd/one").unlink()
    (tmp_path / "ab/cd").rmdir()
    (tmp_path / "ab").rmdir()
    assert files.confirm("ab/cd/one") is False
    files.put("ab/cd/two", (b"2",))
    assert (tmp_path / "ab/cd/two").read_bytes() == b"2"
    (tmp_path / "ab/cd/two").unlink()
    (tmp_path / "ab/cd").rmdir()
    files.put("ab/cd/three", (b"3",))
    assert (tmp_path / "ab/cd/three").read_bytes() == b"3"


def test_a_folder_that_was_moved_away_gets_no_more_files(tmp_path: Path) -> None:
    files = DurableFiles(tmp_path)
    files.put("ab/one", (b"1",))
    (tmp_path / "ab").rename(tmp_path / "moved")
    (tmp_path / "ab").mkdir()
    assert files.confirm("ab/one") is False
    files.put("ab/two", (b"2",))
    assert (tmp_path / "ab" / "two").read_bytes() == b"2"


def test_no_more_than_so_many_are_held(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    first = folders.opened("0")
    before = descriptors()
    for number in range(1, 2 * MOST_HELD):
        folders.opened(str(number))
        assert folders.opened("0") is first  # used again and again: it stays
    assert descriptors() <= before + MOST_HELD
    del folders, first
    assert descriptors() < before


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away: needs root")
def test_what_root_makes_is_its_folders_owners(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12346)
    DurableFiles(tmp_path / "results").put("ab/cd/1.dcm", (b"x",))
    Database.open(f"sqlite:///{tmp_path}/node.sqlite3").close()
    made = list(tmp_path.rglob("*"))
    assert {each.name for each in made} >= {"results", "incoming", "cd", "1.dcm", "node.sqlite3"}
    assert {(each.stat().st_uid, each.stat().st_gid) for each in made} == {(12345, 12346)}
