"""Back-ups: whole, linked where nothing changed, and put back into what is empty alone."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.backup import (
    Backup,
    back_up,
    damaged_files,
    may_remove,
    put_back,
    read_backup,
)
from dicomnode.data_directory.cleaner import run as run_cleaner
from dicomnode.data_directory.holding import only_one
from dicomnode.data_directory.own_data import take_database
from dicomnode.errors import ConfigurationError
from storage import index, nodes, queries
from storage.adopt import HELD_DELIVERY, release
from storage.database import Database
from storage.models import DeliveryRow
from storage.records import DeliveryState, SeriesState
from support.house import House
from support.storage_samples import NOW

HOUR = timedelta(hours=1)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A node's, with a series analysed and not delivered, one skipped, one still coming."""
    made = House(tmp_path / "data")
    with only_one(tmp_path / "data") as node_id, made.database.write() as session:
        nodes.join(session, node_id, "host", False, NOW)
    made.add("1.2.1", SeriesState.ANALYSED, HOUR, delivered=False)
    made.add("1.2.2", SeriesState.SKIPPED, HOUR)
    made.add("1.2.3", SeriesState.RECEIVING, HOUR)
    yield made
    made.database.close()


def backed_up(house: House, tmp_path: Path, later: int = 0) -> tuple[Path, Backup]:
    return back_up(house.settings, tmp_path / "backups", house.now + timedelta(seconds=later))


def test_what_a_killed_backup_left_goes_and_what_a_running_one_makes_stays(
    house: House, tmp_path: Path
) -> None:
    to = tmp_path / "backups"
    left = to / ".unfinished-2026-01-01T00-00-00Z"
    (left / "instances").mkdir(parents=True)
    (left / "instances" / "1.dcm").write_bytes(b"CT")

    def back_up_beside(_size: int) -> None:
        running = list(to.glob(".unfinished-*"))
        if (running[0] / "node.id").exists():  # files may be removed again
            beside.append(running)
            if len(beside) == 1:
                backed_up(house, tmp_path, 60)

    beside: list[list[Path]] = []
    first, _ = back_up(house.settings, to, house.now, back_up_beside)
    assert beside[0] == [to / f".unfinished-{first.name}"], "the killed one's is gone"
    assert damaged_files(first) == ()
    assert len(list(to.iterdir())) == 2


def test_a_backup_of_the_same_second_takes_nothing_from_the_other(
    house: House, tmp_path: Path
) -> None:
    def second(_size: int) -> None:
        with pytest.raises(ConfigurationError, match="exists"):
            backed_up(house, tmp_path)

    first, _ = back_up(house.settings, tmp_path / "backups", house.now, second)
    assert damaged_files(first) == ()


def elsewhere(tmp_path: Path) -> Settings:
    return Settings(node=NodeSettings(data_directory=tmp_path / "new"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*.dcm")
        if each.is_file()
    }


def test_a_backup_holds_each_file_and_names_its_digest(house: House, tmp_path: Path) -> None:
    folder, told = backed_up(house, tmp_path)
    assert (told.missing, told.linked, told.files) == ((), 0, 9 + 1 + 2)  # node.id, database
    assert contents(folder) == contents(house.settings.node.data_directory)
    assert folder.name == house.now.strftime("%Y-%m-%dT%H-%M-%SZ")
    check = ["sha256sum", "--check", "--strict", "--quiet", "files.sha256"]
    assert subprocess.run(check, cwd=folder, check=False).returncode == 0
    assert (folder.stat().st_mode & 0o077) == 0
    assert read_backup(folder) == told
    assert [each.name for each in (tmp_path / "backups").iterdir()] == [folder.name]


def test_what_did_not_change_is_linked_and_what_is_new_is_copied(
    house: House, tmp_path: Path
) -> None:
    first, _ = backed_up(house, tmp_path)
    house.add("1.2.4", SeriesState.RECEIVING, HOUR)
    second, told = backed_up(house, tmp_path, later=1)
    assert (told.files, told.linked) == (9 + 3 + 1 + 2, 11)  # all files, and node.id
    shutil.rmtree(first)  # each stands on its own
    assert damaged_files(second) == ()
    assert contents(second) == contents(house.settings.node.data_directory)


def test_what_the_backup_before_has_lost_is_copied(house: House, tmp_path: Path) -> None:
    first, _ = backed_up(house, tmp_path)
    next((first / "results").rglob("*.dcm")).unlink()
    second, told = backed_up(house, tmp_path, later=1)
    assert (told.missing, told.files) == ((), 9 + 1 + 2)
    assert contents(second) == contents(house.settings.node.data_directory)


def test_without_links_all_is_copied_each_time(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on FAT, or a share by SMB."""
    backed_up(house, tmp_path)

    def link(*_paths: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    second, told = backed_up(house, tmp_path, later=1)
    assert (told.linked, damaged_files(second)) == (0, ())


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away: needs root")
def test_a_backup_that_root_makes_locks_no_cleaner_out(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with may_remove(tmp_path) as free:
        assert free
    (lock,) = tmp_path.iterdir()
    assert lock.stat().st_uid == 12345


def test_a_backup_of_another_node_is_not_linked_to(house: House, tmp_path: Path) -> None:
    backed_up(house, tmp_path)
    (house.settings.node.data_directory / "node.id").write_text("b" * 32)
    assert backed_up(house, tmp_path, later=1)[1].linked == 0


def test_a_file_that_a_row_names_and_nobody_has_is_told(house: House, tmp_path: Path) -> None:
    gone = next(house.settings.instances.rglob("*.dcm"))
    gone.unlink()
    name = str(gone.relative_to(house.settings.node.data_directory))
    assert backed_up(house, tmp_path)[1].missing == (name,)


def test_no_backup_goes_where_it_would_be_lost_too(house: House) -> None:
    inside = house.settings.node.data_directory / "backups"
    with pytest.raises(ConfigurationError, match="would be lost with it"):
        back_up(house.settings, inside, house.now)


def test_there_is_nothing_to_back_up_before_a_node_has_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no node has run here yet"):
        back_up(elsewhere(tmp_path), tmp_path / "backups", datetime.fromisoformat("2026-01-01"))
    assert not (tmp_path / "backups").exists()


def test_what_is_put_back_is_as_it_was_and_held(house: House, tmp_path: Path) -> None:
    folder, _ = backed_up(house, tmp_path)
    settings = elsewhere(tmp_path)
    with only_one(settings.node.data_directory):
        assert put_back(folder, settings, house.now) == (1, 1)
    assert contents(settings.node.data_directory) == contents(house.settings.node.data_directory)
    with only_one(settings.node.data_directory) as node_id:
        take_database(settings, node_id)
    assert node_id == read_backup(folder).node_id
    with closing(Database.open(settings.database_url)) as database:
        with database.read() as session:
            assert len(index.instances_of_series(session, "1.2.1")) == 3
            (delivery,) = session.scalars(select(DeliveryRow))
            assert (delivery.state, delivery.error) == (DeliveryState.FAILED, HELD_DELIVERY)
        with database.write() as session:
            assert release(session, house.now) == (1, 1)
        with database.read() as session:
            coming = queries.series_detail(session, "1.2.3")
        assert coming is not None
        assert coming.series.state is SeriesState.RECEIVING
    assert not list(settings.node.data_directory.glob(".unfinished*"))


def test_nothing_is_put_over_what_lies_there(house: House, tmp_path: Path) -> None:
    folder, _ = backed_up(house, tmp_path)
    before = contents(house.settings.node.data_directory)
    with pytest.raises(ConfigurationError, match="is not empty: move it elsewhere"):
        put_back(folder, house.settings, house.now)
    assert contents(house.settings.node.data_directory) == before


def test_nothing_is_put_into_a_database_that_is_in_use(house: House, tmp_path: Path) -> None:
    folder, _ = backed_up(house, tmp_path)
    node = NodeSettings(data_directory=tmp_path / "new", database_url=house.settings.database_url)
    with pytest.raises(ConfigurationError, match="not empty"):
        put_back(folder, Settings(node=node), house.now)
    assert contents(tmp_path / "new") == {}


def test_what_root_puts_back_is_the_folders_owner_s(house: House, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    folder, _ = backed_up(house, tmp_path)
    settings = elsewhere(tmp_path)
    settings.node.data_directory.mkdir()
    os.chown(settings.node.data_directory, 4711, 4712)
    put_back(folder, settings, house.now)
    put = list(settings.node.data_directory.rglob("*"))
    assert len(put) > 10
    assert {(each.lstat().st_uid, each.lstat().st_gid) for each in put} == {(4711, 4712)}


@pytest.mark.parametrize("damage", ["changed", "gone", "list"])
def test_a_damaged_backup_is_found_out_and_not_put_back(
    house: House, tmp_path: Path, damage: str
) -> None:
    folder, _ = backed_up(house, tmp_path)
    hurt = next((folder / "results").rglob("*.dcm"))
    if damage == "changed":
        hurt.write_bytes(b"RESULT")
    elif damage == "gone":
        hurt.unlink()
    else:
        with (folder / "files.sha256").open("a") as listed:
            listed.write("0" * 64 + "  ../outside\n")
    settings = elsewhere(tmp_path)
    if damage == "list":
        with pytest.raises(ConfigurationError, match=r"files\.sha256 is damaged"):
            damaged_files(folder)
    else:
        assert damaged_files(folder) == (str(hurt.relative_to(folder)),)
    with pytest.raises(ConfigurationError):
        put_back(folder, settings, house.now)
    assert not (settings.node.data_directory / "node.sqlite3").exists()


def test_a_backup_of_a_later_release_is_refused(house: House, tmp_path: Path) -> None:
    folder, _ = backed_up(house, tmp_path)
    about = json.loads((folder / "backup.json").read_text())
    (folder / "backup.json").write_text(json.dumps(about | {"schema": "9999", "version": "9.9"}))
    with pytest.raises(ConfigurationError, match=r"was made by dicomnode 9\.9: install that"):
        put_back(folder, elsewhere(tmp_path), house.now)
    with pytest.raises(ConfigurationError, match="is no back-up of a node"):
        read_backup(tmp_path)


def test_the_cleaner_removes_nothing_while_a_backup_is_made(house: House) -> None:
    here = house.settings.node.data_directory
    left = house.settings.instances / "incoming" / "0.part"
    left.write_bytes(b"begun")
    os.utime(left, (0, 0))
    looks = []
    with may_remove(here) as free, may_remove(here) as also:
        assert (free, also) == (True, False)
        run_cleaner(house.settings, "o/", _OneLook())
        looks.append(left.exists())
    run_cleaner(house.settings, "o/", _OneLook())
    looks.append(left.exists())
    assert looks == [True, False]


class _OneLook(threading.Event):
    """Stops after one look."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002
        self.set()
        return True
