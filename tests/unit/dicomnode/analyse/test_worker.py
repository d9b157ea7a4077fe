"""The worker, one job at a time: what becomes of it, by a clock that the test moves."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomnode.analyse.analysis import Analysis, Refusal
from dicomnode.analyse.worker import Worker
from dicomnode.assess.assessor import Assessor
from dicomnode.config.destinations import Destination
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.arrival.disk import DiskSpace
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.errors import DataError
from dicomnode.methods.bundles import Engines
from dicomnode.version import VERSION
from storage import flight_records, queries
from storage.database import Database
from storage.errors import DamagedObjectError, ObjectStoreError
from storage.instances import InstanceFiles
from storage.records import JobKind, JobRecord, JobState, SeriesDetail, SeriesState
from support.clock import StandingClock
from support.phantom import series_uid, write_series
from support.pipeline import NO_WAIT, receive_files

SECONDS = 40.0
"""What each analysis takes by the clock of the test."""


class Node:
    """A series that waits to be analysed, and a worker whose analysis is the test's."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        peer = Destination(name="PACS", ae_title="PACS", address="127.0.0.1", port=104)
        self.settings = Settings(
            node=NodeSettings(data_directory=folder / "data"),
            completeness=NO_WAIT,
            destinations=(peer,),
        )
        self.database = Database.open(self.settings.database_url)
        self.files = write_series(folder / "series")
        self.uid = series_uid(self.files)
        self.receive(self.files[:-1])
        self.clock = StandingClock(datetime.now(UTC) + timedelta(hours=1))
        self.outcome: Callable[..., Analysis | Refusal] = lambda **_named: self.analysis()
        none = Engines(lungs=None, methods=(), digest="")  # type: ignore[arg-type]
        monkeypatch.setattr("dicomnode.analyse.worker.load_engines", lambda _settings: none)
        monkeypatch.setattr("dicomnode.analyse.worker.analyse_series", self._analyse)
        self.worker = Worker(self.settings, "node/worker/1/", threading.Event(), self.clock)

    def receive(self, files: list[Path]) -> None:
        receive_files(self.database, InstanceFiles(self.settings.instances), files)

    def assess(self) -> None:
        assert Assessor(self.settings, "node/assessor/1/").assess_one(self.clock.now())

    def _analyse(self, *_arguments: Any, **named: Any) -> Analysis | Refusal:
        self.clock.move(SECONDS)
        return self.outcome(**named)

    def analysis(self) -> Analysis:
        return Analysis((), (), None, (), (), (), {"lungs": 1.0}, "digest")

    def detail(self) -> SeriesDetail:
        with self.database.read() as session:
            found = queries.series_detail(session, self.uid)
        assert found is not None
        return found

    def job(self) -> JobRecord:
        return [each for each in self.detail().jobs if each.kind is JobKind.ANALYSE][-1]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    made = Node(tmp_path, monkeypatch)
    yield made
    made.database.close()


def raising(error: Exception) -> Callable[..., Any]:
    def outcome(**_named: Any) -> Any:
        raise error

    return outcome


def test_a_series_that_was_analysed_has_ended_when_its_analysis_did(node: Node) -> None:
    assert not node.worker.analyse_one()
    node.assess()
    begun = node.clock.now()
    assert node.worker.analyse_one()
    found, job = node.detail().series, node.job()
    assert (found.state, found.ended_at) == (
        SeriesState.ANALYSED,
        begun + timedelta(seconds=SECONDS),
    )
    assert (job.state, job.started_at, job.ended_at) == (JobState.DONE, begun, found.ended_at)
    assert not node.worker.analyse_one()


def test_the_time_of_an_analysis_is_that_of_its_job_in_every_attempt(node: Node) -> None:
    node.assess()
    created, told = node.job().created_at, list[datetime]()
    failing = OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    def outcome(analysed_at: datetime, **_named: Any) -> Analysis:
        told.append(analysed_at)
        if len(told) == 1:
            raise failing
        return node.analysis()

    node.outcome = outcome
    assert node.worker.analyse_one()
    node.clock.move(60)
    assert node.worker.analyse_one()
    assert told == [created, created]


@pytest.mark.parametrize(
    ("outcome", "state", "rules"),
    [
        (
            lambda **_named: Refusal((Reason("chest", "none", None, Verdict.FAIL),)),
            SeriesState.SKIPPED,
            "chest",
        ),
        (raising(DataError("pixel_data", "truncated")), SeriesState.FAILED, "pixel_data"),
        (raising(ValueError("a library's")), SeriesState.FAILED, "fault"),
        (raising(OSError("pydicom's own")), SeriesState.FAILED, "file"),
    ],
)
def test_what_ends_without_results_ends_once_and_says_why(
    node: Node, outcome: Callable[..., Any], state: SeriesState, rules: str
) -> None:
    node.assess()
    node.outcome = outcome
    assert node.worker.analyse_one()
    found = node.detail().series
    assert (found.state, found.ended_at) == (state, node.clock.now())
    assert found.reasons[-1].rule == rules
    assert not node.worker.analyse_one()


@pytest.mark.parametrize(("number", "after"), [(errno.ENOSPC, 30.0), (errno.ESTALE, 1.0)])
def test_a_disk_that_fails_costs_no_attempt_and_is_tried_when_it_may_be_over(
    node: Node, number: int, after: float
) -> None:
    node.assess()
    node.outcome = raising(OSError(number, os.strerror(number)))
    assert node.worker.analyse_one()
    job = node.job()
    assert (job.state, job.attempt, job.error) == (JobState.QUEUED, 0, os.strerror(number))
    assert job.not_before == node.clock.now() + timedelta(seconds=after)
    assert not node.worker.analyse_one()
    node.clock.move(after)
    node.outcome = lambda **_named: node.analysis()
    assert node.worker.analyse_one()
    assert node.detail().series.state is SeriesState.ANALYSED


@pytest.mark.parametrize(
    "fault", [OSError(errno.ENOSPC, "No space left on device"), ObjectStoreError("no answer")]
)
def test_what_a_full_host_cannot_do_another_does_at_once(node: Node, fault: OSError) -> None:
    node.assess()
    shared = node.settings.node.model_copy(update={"shares_database": True})
    settings = node.settings.model_copy(update={"node": shared})
    first, second = (
        Worker(settings, f"{each}/worker/1/", threading.Event(), node.clock)
        for each in ("full", "empty")
    )
    node.outcome = raising(fault)
    assert first.analyse_one()
    assert (node.job().state, node.job().attempt) == (JobState.QUEUED, 0)
    assert not first.analyse_one(), "it rests"
    node.clock.move(29)
    assert not first.analyse_one(), "it rests still"
    node.outcome = lambda **_named: node.analysis()
    assert second.analyse_one()
    assert node.detail().series.state is SeriesState.ANALYSED


def test_a_host_that_is_short_of_room_leaves_all_to_others_until_it_has_some(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.assess()
    shared = node.settings.node.model_copy(update={"shares_database": True})
    settings = node.settings.model_copy(update={"node": shared})
    worker = Worker(settings, "node/worker/1/", threading.Event(), node.clock)
    free = 0
    monkeypatch.setattr(
        "dicomnode.disk_gate.disk_space", lambda _folder: DiskSpace(free, 100 << 30)
    )
    assert not worker.analyse_one()
    free = 10 << 30

    def full(**_named: Any) -> Analysis:
        nonlocal free
        free = 0
        raise OSError(errno.ENOSPC, "No space left on device")

    node.outcome = full
    assert worker.analyse_one()
    assert not worker.analyse_one()
    free = 10 << 30
    node.outcome = lambda **_named: node.analysis()
    assert worker.analyse_one(), "as soon as there is room"
    assert node.detail().series.state is SeriesState.ANALYSED


def test_a_full_host_that_is_alone_goes_on_with_it_in_a_while(node: Node) -> None:
    node.assess()
    shared = node.settings.node.model_copy(update={"shares_database": True})
    settings = node.settings.model_copy(update={"node": shared})
    worker = Worker(settings, "node/worker/1/", threading.Event(), node.clock)
    node.outcome = raising(OSError(errno.ENOSPC, "No space left on device"))
    assert worker.analyse_one()
    node.clock.move(31)
    node.outcome = lambda **_named: node.analysis()
    assert worker.analyse_one()
    assert node.detail().series.state is SeriesState.ANALYSED


def test_what_changed_since_it_was_queued_is_not_analysed(node: Node) -> None:
    node.assess()
    node.receive(node.files[-1:])
    assert not node.worker.analyse_one()
    assert (node.job().state, node.job().error) == (JobState.DONE, "superseded")


def test_an_analysis_leaves_a_flight_record_with_its_results_or_neither(node: Node) -> None:
    node.assess()
    with node.database.read() as session:
        assert flight_records.head(session).number == 0
    assert node.worker.analyse_one()
    with node.database.read() as session:
        (record,) = flight_records.records(session)
        assert list(flight_records.check([record])) == []
    told = record.content
    assert record.series_key == told["series_instance_uid"] == node.uid
    assert told["input"]["digest"] == node.detail().series.input_digest
    assert told["input"]["instances"] == len(node.files) - 1
    assert told["made_with"] == "digest"
    assert told["product"]["version"] == VERSION
    assert told["libraries"]["pydicom"]
    assert told["settings"]["eligibility"]["max_slice_thickness_mm"] == 3.0
    assert datetime.fromisoformat(told["times"]["ended"]) == record.recorded_at
    assert {"rule", "verdict"} == set(told["reasons"][0])


def test_a_store_that_is_away_or_damaged_fails_no_series_however_long_it_is(node: Node) -> None:
    node.assess()
    for error in (ObjectStoreError("no answer"), DamagedObjectError("another SHA-256")):
        node.outcome = raising(error)
        for _ in range(60):  # half an hour
            assert node.worker.analyse_one()
            assert (node.job().state, node.job().attempt) == (JobState.QUEUED, 0)
            node.clock.move(31)
