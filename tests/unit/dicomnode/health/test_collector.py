"""The facts are read from wherever they are; what cannot be read is one of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import only_one
from dicomnode.health.collector import Collector
from storage.database import Database


def test_of_a_node_that_never_ran_nothing_is_made(tmp_path: Path) -> None:
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    with closing(Database.open_later(settings.database_url)) as database:
        facts = Collector(settings, database).collect()
    assert (facts.running, facts.node) == (False, None)
    assert facts.database_fault is not None
    assert facts.database_fault.endswith("is not there")
    assert facts.blind == ()
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_runs_holds_its_data_directory(tmp_path: Path) -> None:
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    with only_one(tmp_path), closing(Database.open(settings.database_url)) as database:
        facts = Collector(settings, database).collect()
    assert facts.running is True
    assert facts.database_fault is None
    assert facts.disk is not None
    assert facts.disk.total_bytes > facts.disk.free_bytes > 0


def test_what_cannot_be_read_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text("{")
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    with closing(Database.open_later(settings.database_url)) as database:
        facts = Collector(settings, database).collect()
    assert [(each.what, each.why) for each in facts.blind] == [("the processes", "ValueError")]
    assert facts.running is False
