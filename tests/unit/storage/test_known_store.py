"""What is not the store of the database takes nothing, and what is missing there is not lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import update

from storage.database import Database
from storage.errors import ObjectMissingError, ObjectStoreError, WrongStoreError
from storage.known_store import MARK, KnownStore, accept, known_id, lacks, prove, read_mark
from storage.models import InstanceRow
from storage.object_store import FolderStore
from storage.store_tables import ObjectStoreRow
from support.storage_samples import receive

NAME = "series/" + 64 * "0"
AWAY = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"


@dataclass
class Site:
    """A share, mounted or not, a database, and a file to be put there."""

    folder: Path
    database: Database
    url: str

    @property
    def mount(self) -> Path:
        return self.folder / "mount"

    @property
    def file(self) -> Path:
        return self.folder / "file"

    def store(self, url: str = "") -> KnownStore:
        return self.of(FolderStore(self.mount), url)

    def of(self, store: FolderStore, url: str = "") -> KnownStore:
        return KnownStore(store, "file:///mount", url or self.url, self.folder / "kept")

    def unmount(self) -> None:
        self.mount.rename(self.folder / "share")
        self.mount.mkdir()

    def mount_again(self) -> None:
        assert list(self.mount.iterdir()) == [], "nothing was put there"
        self.mount.rmdir()
        (self.folder / "share").rename(self.mount)


@pytest.fixture
def site(tmp_path: Path, database: Database, database_url: str) -> Site:
    (tmp_path / "mount").mkdir()
    (tmp_path / "file").write_bytes(b"0123456789")
    return Site(tmp_path, database, database_url)


def asked(site: Site) -> list[Callable[[KnownStore], object]]:
    return [
        lambda store: store.put(NAME, site.file),
        lambda store: store.get_range(NAME, 0, 1),
        lambda store: store.size_of(NAME),
        lambda store: store.delete(NAME),
    ]


def test_the_first_who_writes_marks_a_new_store_and_all_know_it(site: Site) -> None:
    site.store().put(NAME, site.file)
    mark = read_mark(FolderStore(site.mount))
    assert mark
    with site.database.read() as session:
        assert known_id(session) == mark
    assert site.store().get_range(NAME, 3, 4) == b"3456"
    assert prove(site.database, FolderStore(site.mount)) == mark
    with pytest.raises(ObjectMissingError):
        site.store().get_range("series/none", 0, 1)
    assert site.store().size_of("series/none") is None
    site.store().delete(NAME)


def test_a_folder_on_which_nothing_is_mounted_is_not_taken_for_the_store(site: Site) -> None:
    running = site.store()
    running.put(NAME, site.file)
    site.unmount()
    for ask in asked(site):
        for store in (running, site.store()):
            with pytest.raises(WrongStoreError, match=r"does not bear its mark: mount it") as wrong:
                ask(store)
            assert not isinstance(wrong.value, ObjectMissingError)
    site.mount_again()
    assert running.get_range(NAME, 0, 1) == b"0"
    running.put(NAME, site.file)


def test_what_is_unmounted_while_an_object_is_written_is_noticed(site: Site) -> None:
    class Vanishing(FolderStore):
        def put(self, name: str, file: Path) -> None:
            if name == NAME:
                site.unmount()
            super().put(name, file)

    site.store().put("series/first", site.file)
    with pytest.raises(WrongStoreError):
        site.of(Vanishing(site.mount)).put(NAME, site.file)


def test_a_store_of_another_database_is_taken_by_a_person_alone(site: Site) -> None:
    (site.mount / "mark").mkdir()
    (site.mount / MARK).write_text(32 * "a" + "\n")
    with pytest.raises(WrongStoreError, match="of another database"):
        site.store().put(NAME, site.file)
    assert accept(site.database, FolderStore(site.mount)) == 32 * "a"
    site.store().put(NAME, site.file)


def test_a_new_store_in_the_place_of_a_lost_one_is_accepted_while_nodes_run(site: Site) -> None:
    running = site.store()
    running.put(NAME, site.file)
    site.unmount()
    with pytest.raises(WrongStoreError):
        running.put(NAME, site.file)
    accept(site.database, FolderStore(site.mount))
    running.put(NAME, site.file)
    assert running.size_of(NAME) == 10


def test_one_that_was_moved_bears_its_mark_with_it(site: Site) -> None:
    site.store().put(NAME, site.file)
    site.mount.rename(site.folder / "elsewhere")
    moved = site.of(FolderStore(site.folder / "elsewhere"))
    assert moved.get_range(NAME, 0, 1) == b"0"
    moved.put(NAME, site.file)


def test_a_database_that_names_objects_marks_only_a_store_that_has_some(site: Site) -> None:
    """As an earlier release left them."""
    receive(site.database)
    with site.database.write() as session:
        session.execute(update(InstanceRow).values(object_name=NAME))
    raw = FolderStore(site.mount)
    assert lacks(site.database, raw) == (1, 1)
    with pytest.raises(WrongStoreError, match="none of the objects that the database names"):
        site.store().put("series/other", site.file)
    assert list(site.mount.iterdir()) == []
    raw.put(NAME, site.file)
    site.store().put("series/other", site.file)
    assert read_mark(raw)


def test_who_was_killed_between_database_and_mark_is_followed_by_the_next(site: Site) -> None:
    with site.database.write() as session:
        session.add(ObjectStoreRow(number=1, store_id=32 * "b", marked_at=None))
    site.store().put(NAME, site.file)
    assert read_mark(FolderStore(site.mount)) == 32 * "b"
    site.unmount()
    with pytest.raises(WrongStoreError):
        site.store().put(NAME, site.file)


def test_a_database_file_that_was_taken_away_is_not_made_anew(tmp_path: Path) -> None:
    """By an empty one all would be analysed and sent again."""
    file, gone = tmp_path / "file", tmp_path / "node.db"
    file.write_bytes(b"0123456789")
    store = FolderStore(tmp_path)
    known = KnownStore(store, "file:///mount", f"sqlite:///{gone}", tmp_path / "kept")
    with pytest.raises(ObjectStoreError, match="is not known"):
        known.put(NAME, file)
    assert not gone.exists()
    assert read_mark(store) is None


def test_while_the_database_is_away_what_it_said_last_counts(site: Site) -> None:
    with pytest.raises(ObjectStoreError, match="whether it is the right one is not known"):
        site.store(AWAY).put(NAME, site.file)
    site.store().put(NAME, site.file)
    site.store(AWAY).put(NAME, site.file)
    elsewhere = KnownStore(FolderStore(site.mount), "file:///elsewhere", AWAY, site.folder / "kept")
    with pytest.raises(ObjectStoreError, match="is not known"):
        elsewhere.put(NAME, site.file)
    site.unmount()
    with pytest.raises(WrongStoreError):
        site.store(AWAY).put(NAME, site.file)
    site.mount_again()
