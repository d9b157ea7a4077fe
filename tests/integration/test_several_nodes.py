"""Two nodes on one PostgreSQL: whose clock is right does not matter, nor which of them dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import make_url

from dicomnode.clock import Clock, SharedClock
from dicomnode.config.destinations import Destination
from storage.database import Database
from storage.jobs import claim
from storage.nodes import all_nodes
from storage.queries import series_detail
from storage.records import DeliveryState, JobKind, JobState, SeriesDetail, SeriesState
from support.clock import StandingClock
from support.commitment_pacs import RESULT_CLASSES, running_commitment_pacs
from support.node import Node
from support.pacs import Pacs, running_pacs
from support.phantom import series_uid, write_series
from support.postgresql import PostgresqlServer
from support.set_clock import SetClock
from support.storage_samples import NOW, instance, receive, seconds
from support.wait import wait_for

AHEAD = timedelta(minutes=10)
LEASE = seconds(30)


@pytest.mark.parametrize("first_is_ahead", [True, False])
def test_of_clocks_ten_minutes_apart_no_lease_is_stolen_or_held_too_long(
    postgresql: PostgresqlServer, first_is_ahead: bool
) -> None:
    with postgresql.migrated_database() as url, ExitStack() as stack:
        first, second = (stack.enter_context(closing(Database.open(url))) for _ in range(2))
        ahead = StandingClock(Clock().now() + AHEAD)
        clocks = {
            first: SharedClock(first, host=ahead if first_is_ahead else None),
            second: SharedClock(second, host=None if first_is_ahead else ahead),
        }
        receive(first, instance(1, received_at=clocks[first].now() - seconds(9)))

        def claimed(database: Database, after: timedelta = timedelta()) -> bool:
            now = clocks[database].now() + after
            with database.write() as session:
                return claim(session, [JobKind.ASSESS], "node/w/1/", now, LEASE) is not None

        assert claimed(first)
        assert not claimed(second)
        assert claimed(second, LEASE + seconds(1))


def test_a_pooler_may_sit_before_the_database(postgresql: PostgresqlServer) -> None:
    """Four work at once on two sessions of the server, from the schema on."""
    with postgresql.empty_database() as direct, ExitStack() as stack:
        url = stack.enter_context(postgresql.pooled(make_url(direct).database or ""))
        several = [stack.enter_context(closing(Database.open(url))) for _ in range(4)]

        def work(number: int) -> int:
            database, done = several[number], 0
            for each in range(8):
                receive(database, instance(each, f"1.2.{number}"))
                with database.write() as session:
                    done += claim(session, [JobKind.ASSESS], "n/w/1/", NOW, LEASE) is not None
            return done

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(work, range(4))) == 4


class Two:
    """Nodes with data directories of their own; the clock of the second is ten minutes ahead."""

    def __init__(self, folder: Path, models: Path, destination: Destination) -> None:
        self.first, self.second = (
            Node(folder / name, [destination], models=models) for name in ("first", "second")
        )
        self.clock = SetClock(folder / "clock")
        self.clock.off_by(round(AHEAD.total_seconds()))

    def start(self, patch: pytest.MonkeyPatch) -> None:
        self.first.start()
        with patch.context() as of_second:
            for name, value in self.clock.environment.items():
                of_second.setenv(name, value)
            self.second.start()

    def joined(self) -> bool:
        with self.first.open_database().read() as session:
            return len(all_nodes(session)) == 2

    def detail(self, uid: str) -> SeriesDetail | None:
        with self.second.open_database().read() as session:
            return series_detail(session, uid)


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    with running_pacs() as running:
        yield running


Begin = Callable[[Destination], Two]


@pytest.fixture
def begin(
    tmp_path: Path,
    shared_models: Path,
    postgresql: PostgresqlServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Begin]:
    """Starts both; what they deliver to is given."""
    with postgresql.empty_database() as url, ExitStack() as stack:
        monkeypatch.setenv("DICOMNODE_NODE__DATABASE_URL", url)
        monkeypatch.setenv("DICOMNODE_NODE__SHARES_DATABASE", "true")
        (tmp_path / "store").mkdir()
        monkeypatch.setenv("DICOMNODE_OBJECT_STORE__URL", f"file://{tmp_path}/store")
        monkeypatch.setenv("DICOMNODE_NODE__LOST_AFTER_SECONDS", "20")

        def begun(destination: Destination) -> Two:
            made = Two(tmp_path, shared_models, destination)
            for each in (made.first, made.second):
                stack.callback(each.close)
            made.start(monkeypatch)
            wait_for(made.joined, "both joined")
            return made

        yield begun


@pytest.fixture
def two(begin: Begin, pacs: Pacs) -> Two:
    return begin(pacs.destination)


@pytest.mark.long
def test_a_node_that_dies_with_half_a_series_costs_nothing_but_sending_it_again(
    two: Two, pacs: Pacs, tmp_path: Path
) -> None:
    """Each node gets a half; neither alone may decide. The plug of the first is pulled: the other
    has its half sent again (here the source does, asked by nobody), and there is one result."""
    files = write_series(tmp_path / "series")
    uid = series_uid(files)
    half = len(files) // 2
    assert len(two.first.send(files[:half])) == half
    assert len(two.second.send(files[half:])) == len(files) - half

    def all_here() -> SeriesDetail | None:
        detail = two.detail(uid)
        whole = detail is not None and detail.series.instance_count == len(files)
        return detail if whole else None

    detail = wait_for(all_here, "all is in the index")
    assert detail.series.state is SeriesState.RECEIVING
    two.first.kill("supervisor")  # the others of the node end with it

    def sent_for() -> bool:
        found = two.detail(uid)
        return found is not None and any(job.kind is JobKind.FETCH for job in found.jobs)

    wait_for(sent_for, "the loss is seen", 60)
    two.second.send(files[:half])
    ended = two.second.wait_until_ended(uid)
    assert ended.series.state is SeriesState.ANALYSED, ended.series.reasons
    assert [each.state for each in ended.series.history] == ["node_lost"]
    received = [str(each.SOPInstanceUID) for each in pacs.received]
    assert sorted(received) == sorted(each.sop_instance_uid for each in ended.results)


@pytest.mark.long
def test_a_source_that_sends_to_both_at_once_gets_one_result(
    two: Two, pacs: Pacs, tmp_path: Path
) -> None:
    """A study in two halves: each half to both nodes, and then, of another, one half to each."""
    nodes = two.first, two.second
    for all_to_both in (True, False):
        pacs.begin()
        files = write_series(tmp_path / f"series-{all_to_both}")
        halves = files[::2], files[1::2]
        ways = list(product(nodes, halves) if all_to_both else zip(nodes, halves, strict=True))
        with ThreadPoolExecutor(len(ways)) as pool:
            answered = list(pool.map(lambda way: way[0].send(way[1]), ways))
        assert answered == [half for _, half in ways]
        ended = two.second.wait_until_ended(series_uid(files))
        assert ended.series.state is SeriesState.ANALYSED, ended.series.reasons
        assert ended.series.instance_count == len(files)
        assert ended.series.history == ()
        received = [str(each.SOPInstanceUID) for each in pacs.received]
        assert sorted(received) == sorted(each.sop_instance_uid for each in ended.results)
        analyses = [job for job in ended.jobs if job.kind is JobKind.ANALYSE]
        assert [(job.state, job.attempt) for job in analyses] == [(JobState.DONE, 1)]


@pytest.mark.long
def test_a_report_on_storage_commitment_counts_at_whichever_node_it_comes_to(
    begin: Begin, tmp_path: Path
) -> None:
    """The archive knows one of them; both deliver."""
    with running_commitment_pacs(classes=RESULT_CLASSES) as pacs:
        two = begin(pacs.destination)
        pacs.node = two.second.peer
        for number, node in enumerate((two.first, two.second)):
            files = write_series(tmp_path / f"series-{number}")
            assert node.send(files) == files
            ended = two.second.wait_until_ended(series_uid(files))
            assert {each.state for each in ended.deliveries} == {DeliveryState.COMMITTED}
        assert set(pacs.answers) == {0x0000}
