"""A data directory with its database, as a former release left them, is taken over.

Nothing is analysed twice, nothing is sent twice, what was withdrawn stays withdrawn, and what
waited goes on.
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
from dicomnode.data_directory.own_data import Taking, note_first_start
from dicomnode.receive.reconciliation import _recovered, reconcile
from storage import index
from storage.queries import list_series
from storage.records import Arrival, SeriesDetail, SeriesState
from support.former import unpack
from support.pacs import Pacs, running_pacs
from support.pipeline import Pipeline

ENDINGS = {
    "withdrawn": "008179",
    "analysed": "413579",
    "skipped": "720567",
    "queued": "747634",
    "receiving": "139390",
}
OBJECTS = 4  # report, montage, key slice, segmentation


class Taken:
    """The node of today on the former data directory."""

    def __init__(self, folder: Path, models: Path, first: Pacs, second: Pacs) -> None:
        unpack("0001", folder)
        settings = Settings(node=NodeSettings(data_directory=folder))
        note_first_start(settings)
        assert Taking(settings, (folder / "node.id").read_text()).taken
        self.first, self.second = first, second
        peers = [
            pacs.destination.model_copy(update={"name": name})
            for name, pacs in (("first", first), ("second", second))
        ]
        self.node = Pipeline(folder, models, peers)
        with self.node.database.read() as session:
            keys = [each.series_key for each in list_series(session)]
        self.keys = {
            name: next(key for key in keys if key.endswith(ending))
            for name, ending in ENDINGS.items()
        }

    def detail(self, name: str) -> SeriesDetail:
        return self.node.detail(self.keys[name])

    def work(self) -> None:
        """All roles, until none has anything to do."""
        reconcile(self.node.database, self.node.files, "node")
        assessor = Assessor(self.node.settings, "node/assessor/1/")
        while assessor.assess_one(datetime.now(UTC)):
            pass
        while self.node.load_worker().analyse_one():
            pass
        for destination in self.node.settings.destinations:
            while self.node.deliver(destination):
                pass

    def arrivals_again(self) -> Counter[Arrival]:
        """Every instance comes once more, as the receiver of today would record it."""
        paths = list(self.node.files.iter_paths())
        again = [_recovered(self.node.files, path, own=()) for path in paths]
        instances = [each for each in again if each is not None]
        assert len(instances) == len(paths) == 50
        with self.node.database.write() as session:
            return Counter(index.record_instances(session, instances))


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> Iterator[Taken]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(running_pacs()) for _ in range(2))
        made = Taken(tmp_path_factory.mktemp("former") / "data", shared_models, first, second)
        stack.callback(made.node.database.close)
        yield made


def test_nothing_is_done_twice_and_what_waited_goes_on(taken: Taken) -> None:
    before = {name: taken.detail(name) for name in ENDINGS}
    waiting = {
        each.result.sop_instance_uid for each in before["analysed"].deliveries if not each.arrived
    }
    assert len(waiting) == OBJECTS
    taken.work()

    for name in ("withdrawn", "skipped"):
        assert taken.detail(name) == before[name], f"{name}: nothing changed"
    analysed = taken.detail("analysed")
    assert analysed.jobs == before["analysed"].jobs
    assert analysed.results == before["analysed"].results
    assert all(each.arrived for each in analysed.deliveries)
    made: set[str] = set()
    for name in ("queued", "receiving"):
        detail = taken.detail(name)
        assert detail.series.state is SeriesState.ANALYSED, detail.series.reasons
        assert [job.kind.value for job in detail.jobs] == ["assess", "analyse"]
        made |= {each.sop_instance_uid for each in detail.results}
    assert len(made) == 2 * OBJECTS

    for pacs, expected in ((taken.first, made), (taken.second, made | waiting)):
        received = [str(each.SOPInstanceUID) for each in pacs.received]
        assert sorted(received) == sorted(expected), "each once, and nothing else"


def test_what_comes_again_changes_nothing(taken: Taken) -> None:
    taken.work()
    before = {name: taken.detail(name) for name in ENDINGS}
    sent = len(taken.first.received), len(taken.second.received)
    assert taken.arrivals_again() == Counter({Arrival.DUPLICATE: 50})
    taken.work()
    assert {name: taken.detail(name) for name in ENDINGS} == before
    assert (len(taken.first.received), len(taken.second.received)) == sent
