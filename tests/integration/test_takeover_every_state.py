"""The released schema with a series in every state, taken over on SQLite and on PostgreSQL.

What waited goes on, each once; what had ended stays as it was (`tests/data/former/make_0002.py`
says how each came into its state).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomnode.assess.assessor import Assessor
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.cleaner import Cleaner
from dicomnode.data_directory.own_data import Taking, note_first_start
from dicomnode.decisions.reasons import Verdict
from dicomnode.decisions.retention import RetentionPolicy
from dicomnode.receive.reconciliation import reconcile
from storage.conflicts import release
from storage.records import ConflictState, DeliveryState, JobState, SeriesDetail, SeriesState
from support.former import move_to_postgresql, unpack
from support.pacs import Pacs, running_pacs
from support.pipeline import Pipeline, databases_closed
from support.postgresql import postgresql_server

REVISION = "0002"
NAMES = (
    *("withdrawn", "removed", "sending", "analysed", "failed", "parked", "skipped"),
    *("running", "queued", "held", "receiving"),
)
GO_ON = ("running", "queued", "receiving")
OBJECTS = 4  # report, montage, key slice, segmentation
SLICES = 12


class Taken:
    """The node of today on the former data directory."""

    def __init__(self, folder: Path, url: str, models: Path, pacs: dict[str, Pacs]) -> None:
        self.pacs = pacs
        peers = [each.destination.model_copy(update={"name": name}) for name, each in pacs.items()]
        settings = Settings(node=NodeSettings(data_directory=folder, database_url=url))
        note_first_start(settings)
        assert Taking(settings, (folder / "node.id").read_text()).taken
        self.node = Pipeline(folder, models, peers, url)

    def detail(self, name: str) -> SeriesDetail:
        return self.node.detail(f"1.2.826.0.1.3680043.10.79.{NAMES.index(name) + 1}")

    def details(self, *names: str) -> dict[str, SeriesDetail]:
        return {name: self.detail(name) for name in names}

    def work(self) -> None:
        """All roles, until none has anything to do."""
        reconcile(self.node.database, self.node.files, "node")
        assessor = Assessor(self.node.settings, "node/assessor/1/")
        for _ in range(3 * len(NAMES)):  # the held one is looked at again and again
            assessor.assess_one(datetime.now(UTC))
        while self.node.load_worker().analyse_one():
            pass
        for destination in self.node.settings.destinations:
            while self.node.deliver(destination):
                pass

    def received(self) -> dict[str, Counter[str]]:
        """SOP Instance UIDs by destination, and how often each came."""
        return {
            name: Counter(str(each.SOPInstanceUID) for each in pacs.received)
            for name, pacs in self.pacs.items()
        }


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)]
)
def taken(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_models: Path
) -> Iterator[Taken]:
    folder, url = tmp_path_factory.mktemp("former") / "data", ""
    unpack(REVISION, folder)
    with ExitStack() as stack:
        if request.param == "postgresql":
            server = stack.enter_context(postgresql_server())
            url = stack.enter_context(server.empty_database())
            move_to_postgresql(folder, REVISION, url)
        stack.enter_context(databases_closed())
        pacs = {name: stack.enter_context(running_pacs()) for name in ("first", "second")}
        made = Taken(folder, url, shared_models, pacs)
        stack.callback(made.node.database.close)
        yield made


def uids(detail: SeriesDetail) -> set[str]:
    return {each.sop_instance_uid for each in detail.results}


def missing(taken: Taken, destination: str) -> set[str]:
    """What a destination had not yet when the former release ended."""
    return {
        each.result.sop_instance_uid
        for detail in taken.details("sending", "analysed", "failed", "parked", "skipped").values()
        for each in detail.deliveries
        if each.destination == destination and each.state is not DeliveryState.STORED
    }


def test_every_state_is_taken_over_and_goes_on(taken: Taken) -> None:
    before = taken.details(*NAMES)
    states = [each.state for name in NAMES for each in taken.detail(name).jobs]
    assert {JobState.RUNNING, JobState.PARKED, JobState.QUEUED, JobState.FAILED} <= set(states)
    missed = {name: missing(taken, name) for name in taken.pacs}
    assert len(missed["second"] - missed["first"]) >= 2 * OBJECTS
    taken.work()

    for name in ("withdrawn", "removed"):
        assert taken.detail(name) == before[name], f"{name}: nothing changed"
    for name in ("failed", "parked", "skipped", "sending", "analysed"):
        now, then = taken.detail(name), before[name]
        assert (now.series, now.jobs, now.results) == (then.series, then.jobs, then.results)
        assert {each.state for each in now.deliveries} == {DeliveryState.STORED}
    made: set[str] = set()
    for name, detail in taken.details(*GO_ON).items():
        assert detail.series.state is SeriesState.ANALYSED, (name, detail.series.reasons)
        made |= uids(detail)
    assert len(made) == len(GO_ON) * OBJECTS
    assert taken.received() == {name: Counter(made | missed[name]) for name in taken.pacs}


def test_a_removal_that_was_begun_is_ended(taken: Taken) -> None:
    """The rows had gone; the cleaner of today unlinks the files."""
    cleaner = Cleaner(taken.node.settings, RetentionPolicy(), taken.node.database)
    assert cleaner.clean(datetime.now(UTC)).files == SLICES + OBJECTS
    assert cleaner.clean(datetime.now(UTC)).files == 0
    assert taken.detail("removed").series.removed_at is not None


def test_working_on_does_nothing_twice(taken: Taken) -> None:
    taken.work()
    before = taken.details(*NAMES), taken.received()
    taken.work()
    assert (taken.details(*NAMES), taken.received()) == before


def test_what_waits_for_a_person_is_held_until_one_decides(taken: Taken) -> None:
    taken.work()
    held = taken.detail("held")
    failed = {each.rule for each in held.series.reasons if each.verdict is Verdict.FAIL}
    assert (held.series.state, failed) == (SeriesState.SKIPPED, {"resent"})
    assert [each.state for each in held.conflicts] == [ConflictState.HELD] * SLICES
    assert held.results == ()
    with taken.node.database.write() as session:
        assert release(session, held.series.series_key, newest=True, now=datetime.now(UTC))
    taken.work()
    settled = taken.detail("held")
    assert settled.series.state is SeriesState.ANALYSED
    assert len(settled.results) == OBJECTS
