"""A node does not begin over its files with a database that knows nothing of them."""

from __future__ import annotations

import shutil
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.incarnations import Start, Starts, check_former_is_over
from dicomnode.data_directory.own_data import (
    AWAITING,
    LostHistoryError,
    Taking,
    check_own,
    note_first_start,
    own_or_take,
    take_database,
    wait_for_own,
)
from dicomnode.data_directory.worker_host import be_worker_host
from dicomnode.errors import ConfigurationError
from storage.database import Database
from storage.errors import DatabaseUnavailableError
from storage.instances import InstanceFiles
from storage.models import NodeRow
from storage.nodes import all_nodes
from storage.overview_records import Node
from storage.results import ResultFiles
from support.clock import ClockMoving, StandingClock
from support.storage_samples import SERIES, analyse, instance, queue, receive
from support.wait import wait_for

NODE = "a" * 32
NO_STOP = threading.Event()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(node=NodeSettings(data_directory=tmp_path / "data"))


def start(settings: Settings) -> bool:
    """As `serve` does before anything else."""
    note_first_start(settings)
    return Taking(settings, NODE).taken


def hold_instances(settings: Settings) -> None:
    InstanceFiles(settings.instances).store(SERIES, f"{SERIES}.1", b"head", b"data set")


def hold_results(settings: Settings, series: str = SERIES) -> None:
    ResultFiles(settings.result_files).store(series, "2.25.1", b"a result")


def database_file(settings: Settings) -> Path:
    return settings.node.data_directory / "node.sqlite3"


def analysed_once(settings: Settings) -> None:
    """A node that has served: a series with results, its files, and its rows."""
    assert start(settings)
    hold_instances(settings)
    with closing(Database.open(settings.database_url)) as database:
        receive(database, instance(1))
        queue(database)
        analyse(database)
    hold_results(settings)


def test_a_first_start_takes_the_database(settings: Settings) -> None:
    assert start(settings)
    with closing(Database.open(settings.database_url)) as database, database.read() as session:
        assert [each.node_id for each in all_nodes(session)] == [NODE]
    assert not (settings.node.data_directory / AWAITING).exists()
    assert start(settings), "and every later one does"


def test_an_ordinary_start_over_results_changes_nothing(settings: Settings) -> None:
    analysed_once(settings)
    assert start(settings)


def test_files_newer_than_the_rows_are_no_lost_history(settings: Settings) -> None:
    """A receiver was killed before it had indexed them: the database is the node's own."""
    assert start(settings)
    hold_instances(settings)
    assert start(settings)


def test_a_result_that_was_stored_and_not_entered_is_no_lost_history(settings: Settings) -> None:
    """A worker was killed between its files and its rows: the row of the series is there."""
    assert start(settings)
    with closing(Database.open(settings.database_url)) as database:
        receive(database, instance(1))
    hold_instances(settings)
    hold_results(settings)
    assert start(settings)


@pytest.mark.parametrize("left", [("results", "instances"), ("results",), ("instances",)])
def test_a_removed_database_is_refused_and_none_is_made(
    settings: Settings, left: tuple[str, ...]
) -> None:
    analysed_once(settings)
    database_file(settings).unlink()
    for name in {"results", "instances"} - set(left):
        shutil.rmtree(settings.node.data_directory / name)
    for _ in range(2):  # a second start is refused like the first
        with pytest.raises(ConfigurationError, match="back from its back-up"):
            start(settings)
    assert not database_file(settings).exists(), "a back-up is put back to a free place"


def test_to_begin_anew_both_folders_are_moved_elsewhere(settings: Settings) -> None:
    analysed_once(settings)
    database_file(settings).unlink()
    for name in ("results", "instances"):
        (settings.node.data_directory / name).rename(settings.node.data_directory / f"{name}.old")
    assert start(settings)


def test_another_database_over_results_is_refused(settings: Settings) -> None:
    """As PostgreSQL is, configured over the data directory of an SQLite."""
    analysed_once(settings)
    url = f"sqlite:///{settings.node.data_directory / 'other.sqlite3'}"
    Database.open(url).close()
    node = settings.node.model_copy(update={"database_url": url})
    other = settings.model_copy(update={"node": node})
    with pytest.raises(ConfigurationError, match=r"results of 1 series .*knows nothing of it"):
        start(other)
    with closing(Database.open(url)) as database, database.read() as session:
        assert all_nodes(session) == (), "it was left alone"
    assert start(settings), "the right one is taken again"


def test_a_database_that_was_moved_says_that_its_new_place_is_to_be_named(
    settings: Settings,
) -> None:
    analysed_once(settings)
    with closing(Database.open(settings.database_url)) as database, database.write() as session:
        session.execute(delete(NodeRow))  # as `database move` does
    with pytest.raises(LostHistoryError, match=r"took it elsewhere\. Name that place"):
        start(settings)


def test_a_back_up_from_before_a_series_is_refused(settings: Settings) -> None:
    analysed_once(settings)
    hold_results(settings, "1.2.826.1.77")
    with pytest.raises(ConfigurationError, match="results of 1 series"):
        start(settings)


@pytest.mark.parametrize(("minutes", "begins"), [(1, True), (60, False)])
def test_a_standby_that_was_promoted_may_lack_the_last_moments(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, minutes: int, begins: bool
) -> None:
    """A back-up lacks more."""
    monkeypatch.setattr(Database, "serves", True)
    assert start(settings)
    hold_results(settings)
    heard_at = datetime.now(UTC) - timedelta(minutes=minutes)
    with closing(Database.open(settings.database_url)) as database, database.write() as session:
        session.execute(update(NodeRow).values(heard_at=heard_at))
    if begins:
        assert start(settings)
    else:
        with pytest.raises(LostHistoryError):
            start(settings)


def test_the_database_of_another_node_is_refused(settings: Settings) -> None:
    assert start(settings)
    with pytest.raises(ConfigurationError, match=f"belongs to the node {NODE}"):
        take_database(settings, "b" * 32)


def away(settings: Settings, tmp_path: Path) -> Settings:
    url = f"postgresql://node@/node?host={tmp_path}"
    return settings.model_copy(
        update={"node": settings.node.model_copy(update={"database_url": url})}
    )


def test_what_comes_at_the_first_start_while_the_database_is_away_is_no_history(
    settings: Settings, tmp_path: Path
) -> None:
    assert not start(away(settings, tmp_path))
    hold_instances(settings)
    assert not start(away(settings, tmp_path)), "nor at the second"
    assert start(settings), "now it is there, and empty"


def test_what_was_in_use_is_no_first_start_because_the_database_is_away(
    settings: Settings, tmp_path: Path
) -> None:
    analysed_once(settings)
    assert not start(away(settings, tmp_path))
    database_file(settings).unlink()
    with pytest.raises(ConfigurationError, match="back-up"):
        start(settings)


def test_a_database_that_comes_later_is_taken_or_refused_then(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    outcomes: list[Exception | None] = [
        *[DatabaseUnavailableError("url", "away")] * 3,
        None,
    ]

    def take(_settings: Settings, _node_id: str, _over: str) -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    monkeypatch.setattr("dicomnode.data_directory.own_data.take_database", take)
    monkeypatch.setattr("dicomnode.data_directory.own_data._RETRY_SECONDS", 0.0)
    taking = Taking(settings, NODE)
    assert not taking.taken
    taking.start(NO_STOP)
    wait_for(lambda: taking.taken, "taken")
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]

    outcomes[:] = [DatabaseUnavailableError("url", "away"), ConfigurationError("not this one")]
    taking = Taking(settings, NODE)
    taking.start(NO_STOP)

    def refused() -> bool:
        try:
            return taking.taken
        except ConfigurationError:
            return True

    wait_for(refused, "refused")
    with pytest.raises(ConfigurationError, match="not this one"):
        _ = taking.taken


def test_a_mark_over_which_nobody_writes_is_of_a_start_that_is_over(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the clock of the database shows: of a standby that was promoted it may be behind."""
    now = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    node = Node(NODE, "ct-1", now, now + timedelta(minutes=10), None, True, mark="strange/x")
    here, clock = settings.node.data_directory, StandingClock(now)

    def take(_settings: Settings, _node_id: str, over: str) -> None:
        check_former_is_over(node, Starts((Start("now", "here"),)), here, now, over)

    monkeypatch.setattr("dicomnode.data_directory.own_data.take_database", take)
    assert Taking(settings, NODE, ClockMoving(clock), clock).taken
    assert 20 < clock.seconds() < 23


def test_a_process_that_is_started_later_asks_whether_it_is_still_the_same(
    settings: Settings,
) -> None:
    assert start(settings)
    check_own(settings, NODE)
    wait_for_own(settings, NODE, NO_STOP)
    with pytest.raises(ConfigurationError, match="not the one"):
        check_own(settings, "b" * 32)
    database_file(settings).unlink()
    with pytest.raises(ConfigurationError, match="is gone"):
        wait_for_own(settings, NODE, NO_STOP)
    assert not database_file(settings).exists()


def test_a_receiver_asks_only_whose_the_database_is_while_it_is_the_nodes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_or_take(settings, NODE)  # without a supervisor it takes it
    hold_instances(settings)
    with monkeypatch.context() as watched:
        watched.setattr("dicomnode.data_directory.own_data.take_database", None)
        own_or_take(settings, NODE)
    with pytest.raises(ConfigurationError, match="belongs to the node"):
        own_or_take(settings, "b" * 32)
    database_file(settings).unlink()
    with pytest.raises(ConfigurationError, match="back-up"):
        own_or_take(settings, NODE)
    assert not database_file(settings).exists()


def test_an_outage_is_waited_for_and_told_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    left = [3]

    def check(_settings: Settings, _node_id: str, *, this_start: bool) -> None:
        assert this_start
        left[0] -= 1
        if left[0] >= 0:
            raise DatabaseUnavailableError("url", "away")

    monkeypatch.setattr("dicomnode.data_directory.own_data.check_own", check)
    monkeypatch.setattr("dicomnode.data_directory.own_data._RETRY_SECONDS", 0.0)
    wait_for_own(settings, NODE, NO_STOP)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def sharing(settings: Settings, *, shares: bool = True) -> Settings:
    node = settings.node.model_copy(update={"shares_database": shares})
    return settings.model_copy(update={"node": node})


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_a_second_node_joins_where_both_share(
    settings: Settings, tmp_path: Path, first: bool, second: bool
) -> None:
    take_database(sharing(settings, shares=first), NODE)
    url = {"database_url": settings.database_url, "data_directory": tmp_path / "other"}
    other = settings.model_copy(update={"node": settings.node.model_copy(update=url)})
    other = sharing(other, shares=second)
    if not (first and second):
        with pytest.raises(ConfigurationError, match=f"belongs to the node {NODE}") as refused:
            take_database(other, "b" * 32)
        assert "shares_database = true" in str(refused.value)
        return
    take_database(other, "b" * 32)
    check_own(other, "b" * 32)
    take_database(sharing(settings), NODE)
    with closing(Database.open(settings.database_url)) as database, database.read() as session:
        assert {each.node_id for each in all_nodes(session)} == {NODE, "b" * 32}
        assert all(each.name for each in all_nodes(session))


def test_beside_one_that_is_forgotten_a_node_may_have_the_database_alone(
    settings: Settings,
) -> None:
    take_database(sharing(settings), NODE)
    with closing(Database.open(settings.database_url)) as database, database.write() as session:
        row = session.get_one(NodeRow, NODE)
        row.left_at, row.shares = row.heard_at, False
    take_database(settings, "b" * 32)


def test_a_node_whose_files_no_row_tells_of_does_not_join(
    settings: Settings, tmp_path: Path
) -> None:
    take_database(sharing(settings), NODE)
    url = {"database_url": settings.database_url, "data_directory": tmp_path / "other"}
    other = sharing(settings.model_copy(update={"node": settings.node.model_copy(update=url)}))
    hold_instances(other)
    with pytest.raises(LostHistoryError, match="was in use"):
        take_database(other, "b" * 32)


def test_workers_of_a_later_release_do_not_bring_the_database_up_to_date(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes of the former one work on it."""
    take_database(sharing(settings), NODE)
    be_worker_host(settings)
    take_database(sharing(settings), NODE)
    monkeypatch.setattr("dicomnode.data_directory.own_data.SCHEMA_REVISION", "9999")
    with pytest.raises(ConfigurationError, match="bring the nodes to that release first"):
        take_database(sharing(settings), NODE)
