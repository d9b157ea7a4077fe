"""Two nodes, one PostgreSQL and one folder as object store: an object is damaged, the folder is not
mounted. Nothing is lost, and whoever looks is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dicomnode.errors import PeerError
from storage import index
from storage.damage import damaged_objects
from storage.nodes import all_nodes
from storage.records import SeriesState
from storage.sealed import is_whole
from support.node import Node
from support.pacs import Pacs, running_pacs
from support.phantom import series_uid, write_series
from support.postgresql import PostgresqlServer
from support.wait import wait_for

pytestmark = pytest.mark.long  # two whole nodes


class Two:
    """Nodes with data directories of their own."""

    def __init__(self, folder: Path, models: Path, pacs: Pacs) -> None:
        self.store = folder / "store"
        self.first, self.second = (
            Node(folder / name, [pacs.destination], models=models) for name in ("first", "second")
        )

    def objects(self, uid: str) -> set[str | None]:
        """Of the instances of a series."""
        with self.first.open_database().read() as session:
            found = index.instances_of_series(session, uid)
        return {each.object_name for each in found}

    def sealed(self, uid: str) -> str:
        """The object of a series, as soon as all of it is in it."""

        def named() -> str | None:
            names = self.objects(uid)
            return next(iter(names)) if len(names) == 1 else None

        return wait_for(named, "it is sealed")

    def damaged(self) -> int:
        with self.first.open_database().read() as session:
            return len(damaged_objects(session, 10))


def told(node: Node, *command: str) -> str:
    whole = [sys.executable, "-m", "dicomnode", *command, "--config", str(node.config)]
    done = subprocess.run(whole, capture_output=True, text=True, check=False)
    return " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def two(
    tmp_path: Path,
    shared_models: Path,
    postgresql: PostgresqlServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Two]:
    with postgresql.empty_database() as url, running_pacs() as pacs, ExitStack() as stack:
        monkeypatch.setenv("DICOMNODE_NODE__DATABASE_URL", url)
        monkeypatch.setenv("DICOMNODE_NODE__SHARES_DATABASE", "true")
        monkeypatch.setenv("DICOMNODE_OBJECT_STORE__URL", f"file://{tmp_path}/store")
        monkeypatch.setenv("DICOMNODE_OBJECT_STORE__SEAL_AFTER_SECONDS", "1")
        made = Two(tmp_path, shared_models, pacs)
        made.store.mkdir()
        for each in (made.first, made.second):
            stack.callback(each.close)
            each.start()

        def joined() -> bool:
            with made.first.open_database().read() as session:
                return len(all_nodes(session)) == 2

        wait_for(joined, "both joined")
        yield made


def test_an_object_that_one_reads_in_vain_is_put_there_again_by_the_other(
    two: Two, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "series")
    uid = series_uid(files)
    assert two.first.send(files) == files
    assert two.first.wait_until_ended(uid).series.state is SeriesState.ANALYSED
    name = two.sealed(uid)
    content = bytearray((two.store / name).read_bytes())
    for at in range(500, len(content), 1000):  # in each file of it
        content[at] ^= 1
    (two.store / name).write_bytes(content)
    reader = two.second
    if list((reader.folder / "data" / "copies" / "instances").rglob("*.dcm")):
        reader = two.first  # it was analysed by the second, which has a copy of its own
        for each in (reader.folder / "data" / "instances").rglob("*.dcm"):
            each.unlink()
    assert "not readable (DamagedObjectError)" in told(reader, "queue", "why", uid, "--identity")
    wait_for(lambda: two.damaged() == 0, "it is mended")
    again = two.sealed(uid)
    assert is_whole(two.first.settings.object_store.opened(), again)
    shown = told(reader, "queue", "why", uid, "--identity")
    assert "not readable" not in shown
    assert "object store:" not in shown


def test_a_folder_on_which_nothing_is_mounted_gets_nothing_and_all_is_sealed_later(
    two: Two, tmp_path: Path
) -> None:
    two.store.rename(tmp_path / "share")
    two.store.mkdir()
    files = write_series(tmp_path / "series")
    uid = series_uid(files)
    assert two.first.send(files) == files
    ended = two.first.wait_until_ended(uid)
    assert ended.series.state is SeriesState.ANALYSED, "analyses and results go on"

    def seen() -> bool:
        return "what answers as the object store is another" in told(two.first, "status")

    wait_for(seen, "it is told")
    assert "bears no mark" in told(two.second, "database", "store")
    assert two.objects(uid) == {None}
    assert list(two.store.iterdir()) == []
    two.store.rmdir()
    (tmp_path / "share").rename(two.store)
    name = two.sealed(uid)
    assert is_whole(two.first.settings.object_store.opened(), name)
    assert two.damaged() == 0


def test_with_durability_store_nothing_is_taken_while_the_folder_is_not_mounted(
    two: Two, tmp_path: Path
) -> None:
    two.second.stop()
    text = two.second.config.read_text()
    two.second.config.write_text(text.replace("[receive]\n", '[receive]\ndurability = "store"\n'))
    two.second.start()
    files = write_series(tmp_path / "series")
    two.store.rename(tmp_path / "share")
    two.store.mkdir()
    with pytest.raises(PeerError, match="0xA700"):
        two.second.send(files[:1])
    assert list(two.store.iterdir()) == []
    two.store.rmdir()
    (tmp_path / "share").rename(two.store)
    assert two.second.send(files) == files
    assert len(list((two.store / "instances").iterdir())) == len(files)
