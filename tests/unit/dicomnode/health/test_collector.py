"""The facts are read from wherever they are; what cannot be read is one of them."""

from __future__ import annotations

import socket
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.cli.views.status_view import lines
from dicomnode.config.object_store import ObjectStoreSettings
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import only_one
from dicomnode.decisions.arrival.disk import DiskSpace
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.judge import judge
from dicomnode.health.collector import Collector
from storage.database import Database
from support.clock import StandingClock


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


def test_the_disk_is_that_of_the_nearest_folder_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def ask(folder: Path) -> DiskSpace:
        asked.append(folder)
        return DiskSpace(1, 2)

    monkeypatch.setattr("dicomnode.health.collector.disk_space", ask)
    settings = Settings(node=NodeSettings(data_directory=tmp_path / "mounted" / "node"))
    with closing(Database.open_later(settings.database_url)) as database:
        before = Collector(settings, database).collect()
        settings.instances.mkdir(parents=True)
        after = Collector(settings, database).collect()
    assert asked == [tmp_path, settings.instances]
    assert (before.disk_of, after.disk_of) == (str(tmp_path), "")
    shown = dict(line.split(maxsplit=1) for line in lines(settings, before, ()) if line)
    assert shown["disk"] == (
        f"0.0 MiB of 0.0 MiB are free at {tmp_path}: {settings.instances} is not there yet"
    )


def test_what_cannot_be_read_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text("{")
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    with closing(Database.open_later(settings.database_url)) as database:
        facts = Collector(settings, database).collect()
    (blind,) = facts.blind
    assert (blind.what, blind.why) == ("the processes", "processes.json holds something else")
    assert blind.remedy.startswith(f"remove {tmp_path / 'processes.json'}: ")
    assert facts.running is False


def test_a_file_on_sealing_that_holds_something_else_is_told_with_what_mends_it(
    tmp_path: Path,
) -> None:
    store = ObjectStoreSettings(url=tmp_path.as_uri())
    settings = Settings(node=NodeSettings(data_directory=tmp_path), object_store=store)
    with closing(Database.open(settings.database_url)) as database:
        for content in (b"{", b"[]", b"\xff\x00", b""):
            (tmp_path / "sealing.json").write_bytes(content)
            facts = Collector(settings, database).collect()
            (found,) = (
                each
                for each in judge(facts, HealthPolicy(), facts.at)
                if each.name == "unseen:the sealing"
            )
            assert "sealing.json holds something else" in found.text
            assert found.remedy.startswith(f"remove {tmp_path / 'sealing.json'}: ")
        (tmp_path / "sealing.json").unlink()
        assert Collector(settings, database).collect().blind == ()


class SetClock(StandingClock):
    """Whose time of day a test sets."""

    offset = timedelta()

    def now(self) -> datetime:
        return super().now() + self.offset


def test_a_clock_that_is_set_is_noticed(tmp_path: Path) -> None:
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    clock = SetClock(datetime(2026, 3, 4, 12, 0, tzinfo=UTC))
    with closing(Database.open_later(settings.database_url)) as database:
        collector = Collector(settings, database, clock)
        clock.move(10)
        assert collector.collect().clock_step is None
        clock.offset = timedelta(hours=-1)
        clock.move(10)
        step = collector.collect().clock_step
        clock.move(10)
        assert collector.collect().clock_step == step
    assert step is not None
    assert step.seconds == pytest.approx(-3600)
    assert step.at == clock.now() - timedelta(seconds=10)


def test_a_clock_that_is_set_right_again_is_told_no_more(tmp_path: Path) -> None:
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    clock = SetClock(datetime(2026, 3, 4, 12, 0, tzinfo=UTC))
    with closing(Database.open_later(settings.database_url)) as database:
        collector = Collector(settings, database, clock)
        steps = []
        for hours in (2, 3, 0):
            clock.offset = timedelta(hours=hours)
            clock.move(10)
            steps.append(collector.collect().clock_step)
        clock.offset = timedelta(hours=2)
        collector.collect()
        clock.move(3600)
        clock.offset = timedelta()
        late = collector.collect().clock_step
    assert [each and round(each.seconds / 3600) for each in steps] == [2, 3, None]
    assert late is not None
    assert round(late.seconds / 3600) == -2, "the time of an hour ago had become the right one"


def test_a_database_that_hangs_is_told_and_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.health.collector.DATABASE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://node@127.0.0.1:{silent.getsockname()[1]}/name"
        settings = Settings(node=NodeSettings(data_directory=tmp_path, database_url=url))
        with closing(Database.open_later(settings.database_url)) as database:
            facts = Collector(settings, database).collect()
    assert facts.database_fault == "no answer within 0.05 s"
    assert facts.disk is not None


def test_one_question_that_fails_is_told_and_the_others_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(node=NodeSettings(data_directory=tmp_path))

    def failing(_session: object) -> None:
        raise RuntimeError("DOE^JANE")

    monkeypatch.setattr("storage.overview.running_jobs", failing)
    with closing(Database.open(settings.database_url)) as database:
        facts = Collector(settings, database).collect()
    assert [(each.what, each.why) for each in facts.blind] == [("the running jobs", "RuntimeError")]
    assert facts.database_fault is None
    assert facts.work.running == ()
