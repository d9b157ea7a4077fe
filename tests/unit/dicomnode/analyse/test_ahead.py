"""What is computed before a series is decided upon: used for exactly that, or thrown away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import update

from dicomnode.analyse import ahead, analysis
from dicomnode.analyse.ahead import Ahead
from dicomnode.analyse.analysis import Computed, Refusal
from dicomnode.assess.assessment import Assessment, Slices, read_slices_of
from dicomnode.decisions.method_failure import MethodFailure
from dicomnode.dicom_files import volume
from dicomnode.errors import DataError
from dicomnode.methods.bundles import Engines
from inference.lungs.finder import LungFinder
from inference.progress import Progress
from storage import by_hand
from storage.early import open_series
from storage.index import end_lost_associations
from storage.models import AssociationRow
from support.clock import StandingClock
from support.phantom import COLUMNS, ROWS, series_uid, write_series
from support.pipeline import Pipeline
from support.result_samples import SAMPLE

COMPUTED = Refusal(())
"""Stands for whatever is computed."""


@pytest.fixture
def node(tmp_path: Path, small_models: Path) -> Pipeline:
    return Pipeline(tmp_path / "data", small_models)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_series(tmp_path / "series")


def clock_after(node: Pipeline, seconds: float) -> StandingClock:
    """So long after the last instance that has come, however slow the machine is."""
    with node.database.read() as session:
        found = open_series(session, datetime(2026, 1, 1, tzinfo=UTC), 0)
    last = found[0].last_received_at if found else datetime.now(UTC)
    return StandingClock(last + timedelta(seconds=seconds))


def ahead_of(node: Pipeline) -> Ahead:
    """That of its worker, some seconds after what has come."""
    early = node.load_worker()._ahead
    early._clock = clock_after(node, 5)
    return early


def computing(
    node: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[], None] = lambda: None,
    after_seconds: float = 5.0,
    stop: threading.Event | None = None,
) -> Ahead:
    """Whose computation takes a second; `meanwhile` comes to pass in it."""
    clock = clock_after(node, after_seconds)

    def compute(_engines: Any, _assessment: Any, _settings: Any, progress: Progress) -> Refusal:
        meanwhile()
        clock.move(1.0)
        progress("lungs", 0, 1)
        return COMPUTED

    monkeypatch.setattr(ahead, "compute", compute)
    engines = Engines(LungFinder(), (), "")
    return Ahead(node.settings, node.database, engines, stop or threading.Event(), clock)


def digest(node: Pipeline, files: list[Path]) -> str:
    return node.detail(series_uid(files)).series.input_digest or ""


def outcome(node: Pipeline, files: list[Path]) -> tuple[Any, set[str]]:
    """The findings, and the names of all objects, made of what they hold; but that of the report,
    which says for how long was waited."""
    detail = node.detail(series_uid(files))
    analysis = detail.series.analysis
    assert analysis is not None
    return analysis["findings"], {
        each.sop_instance_uid for each in detail.results if each.kind != "sr"
    }


def thicken(data_set: Dataset, _number: int) -> None:
    data_set.SliceThickness = 5


def test_the_results_are_those_of_an_analysis_in_turn(
    node: Pipeline,
    files: list[Path],
    tmp_path: Path,
    small_models: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_turn = Pipeline(tmp_path / "in turn", small_models)
    in_turn.bring_to_results(files)
    node.receive(files)
    assert ahead_of(node).look()
    node.assess()
    monkeypatch.delattr(analysis, "compute")  # it is not done again
    node.analyse()
    assert outcome(node, files) == outcome(in_turn, files)


def test_what_comes_late_is_analysed_too(
    node: Pipeline, files: list[Path], tmp_path: Path, small_models: Path
) -> None:
    in_turn = Pipeline(tmp_path / "in turn", small_models)
    in_turn.bring_to_results(files)
    node.receive(files[:-1])
    assert ahead_of(node).look()
    node.receive(files[-1:])
    node.assess()
    node.analyse()
    assert outcome(node, files) == outcome(in_turn, files)


def test_what_was_computed_while_it_came_is_not_computed_again(
    node: Pipeline,
    files: list[Path],
    tmp_path: Path,
    small_models: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_turn = Pipeline(tmp_path / "in turn", small_models)
    in_turn.bring_to_results(files)
    early = node.load_worker()._ahead
    early._clock = StandingClock(datetime.now(UTC) - timedelta(seconds=5))
    early._started_at = early._clock.now()
    monkeypatch.setattr(ahead, "_LEAST_MORE", 1)
    monkeypatch.setattr(ahead, "_HURRY", timedelta(0))
    for start, stop in ((0, 10), (10, 11), (11, 12)):
        node.receive(files[start:stop])
        assert early.look()
    node.assess()
    monkeypatch.delattr(volume, "decode_hu")
    node.analyse()
    assert outcome(node, files) == outcome(in_turn, files)
    assert not early.waits


def test_a_series_is_computed_once(
    node: Pipeline, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.receive(files)
    early = computing(node, monkeypatch)
    assert early.look()
    assert not early.look()
    node.assess()
    kept = early.take(series_uid(files), digest(node, files))
    assert kept is not None
    assert kept.computed is COMPUTED
    assert early.take(series_uid(files), digest(node, files)) is None


def test_it_is_kept_when_the_association_that_brought_it_ends(
    node: Pipeline, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scanner may hold it open for seconds after the last slice."""
    node.receive(files)
    with node.database.write() as session:
        session.execute(update(AssociationRow).values(ended_at=None, ending=None))
    early = computing(node, monkeypatch)
    assert early.look()
    with node.database.write() as session:
        end_lost_associations(session, "", datetime.now(UTC))
    assert not early.look()
    node.assess()
    assert early.take(series_uid(files), digest(node, files)) is not None


def test_an_instance_that_comes_meanwhile_ends_it(
    node: Pipeline, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.receive(files[:-1])
    early = computing(node, monkeypatch, lambda: node.receive(files[-1:]))
    assert early.look()
    node.assess()
    assert early.take(series_uid(files), digest(node, files)) is None


def test_another_series_that_is_due_ends_it(
    node: Pipeline, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_series(tmp_path / "other")
    node.receive(files)
    node.assess()
    node.receive(other)
    early = computing(node, monkeypatch)
    assert early.look()
    assert early._kept is None


def test_it_goes_on_when_its_own_analysis_is_due(
    node: Pipeline, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.receive(files)
    early = computing(node, monkeypatch, node.assess)
    assert early.look()
    assert early.take(series_uid(files), digest(node, files)) is not None


def test_a_stop_ends_it(node: Pipeline, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    node.receive(files)
    stop = threading.Event()
    early = computing(node, monkeypatch, stop.set, stop=stop)
    assert early.look()
    node.assess()
    assert early.take(series_uid(files), digest(node, files)) is None


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_what_has_just_come_or_long_ago_is_not_begun(
    node: Pipeline, files: list[Path], monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    node.receive(files)
    early = computing(node, monkeypatch, after_seconds=seconds)
    early._started_at = datetime.now(UTC)
    assert not early.look()


def test_nor_is_what_is_on_hold(
    node: Pipeline, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.receive(files)
    with node.database.write() as session:
        by_hand.hold(session, series_uid(files), datetime.now(UTC))
    assert not computing(node, monkeypatch).look()


def test_nor_what_has_too_few_slices_or_is_not_for_analysis(
    node: Pipeline, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.receive(files[:5])
    assert not computing(node, monkeypatch).look()
    node.receive(write_series(tmp_path / "thick", change=thicken))
    assert not computing(node, monkeypatch).look()


def test_one_of_several_workers_begins_nothing(
    node: Pipeline, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.receive(files)
    several = node.settings.inference.model_copy(update={"workers": 2})
    node.settings = node.settings.model_copy(update={"inference": several})
    assert not computing(node, monkeypatch).look()


@pytest.mark.parametrize("error", [DataError("pixel_data", "damaged"), ValueError("a fault")])
def test_what_cannot_be_computed_is_left_to_its_turn(
    node: Pipeline, files: list[Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> None:
        raise error

    node.receive(files)
    early = computing(node, monkeypatch, fail)
    assert early.look()
    node.assess()
    assert early.take(series_uid(files), digest(node, files)) is None


def test_a_method_that_lacked_memory_is_asked_again_in_its_turn(
    node: Pipeline, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of slices takes memory that is free by then."""
    failure = MethodFailure("regions", "search", "Any 1", "memory", "out of memory", None)
    found: Any = None
    node.receive(files)
    early = computing(node, monkeypatch)
    computed = Computed(found, found, (SAMPLE, failure), (), 0.0)
    monkeypatch.setattr(ahead, "compute", lambda *_: computed)
    assert early.look()
    node.assess()
    assert early.take(series_uid(files), digest(node, files)) is None


class Foreseeing:
    """What is looked at while a series comes, `meanwhile` in the middle of it."""

    def __init__(self, node: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[int] = []
        self.ended: list[int] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.stage, self.takes_seconds = "network", 0.6
        # a file system's clock may be some milliseconds late
        self.clock = StandingClock(datetime.now(UTC) - timedelta(seconds=5))
        monkeypatch.setattr(ahead, "foresee", self._foresee)
        monkeypatch.setattr(ahead, "_HURRY", timedelta(0))
        engines = Engines(LungFinder(), (), "")
        self.ahead = Ahead(node.settings, node.database, engines, threading.Event(), self.clock)

    def _foresee(self, _engines: Any, assessment: Assessment, progress: Progress) -> None:
        count = len(assessment.eligibility.stack.headers)
        self.seen.append(count)
        self.meanwhile()
        self.clock.move(self.takes_seconds)
        progress(self.stage, 0, 1)
        self.ended.append(count)


@pytest.fixture
def foreseeing(node: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Foreseeing:
    return Foreseeing(node, monkeypatch)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_series(tmp_path_factory.mktemp("many"), 60)


def test_what_comes_is_looked_at_when_enough_has_come(
    node: Pipeline, many: list[Path], foreseeing: Foreseeing
) -> None:
    looked = []
    for at in range(0, 60, 6):
        node.receive(many[at : at + 6])
        looked.append(foreseeing.ahead.look())
    assert foreseeing.seen == foreseeing.ended == [12, 30, 48]
    assert looked == [each in foreseeing.seen for each in range(6, 66, 6)]
    assert foreseeing.ahead.waits


def test_what_had_begun_to_come_before_the_worker_did_is_not(
    node: Pipeline, many: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be what had ended the worker."""
    node.receive(many[:30])
    late = Foreseeing(node, monkeypatch)
    late.ahead._started_at = datetime.now(UTC)
    node.receive(many[30:])
    assert not late.ahead.look()


@pytest.mark.parametrize(("stage", "ended"), [("lungs", [30]), ("network", [])])
def test_many_more_slices_are_looked_at_first(
    node: Pipeline, many: list[Path], foreseeing: Foreseeing, stage: str, ended: list[int]
) -> None:
    foreseeing.stage = stage
    node.receive(many[:30])
    foreseeing.meanwhile = lambda: node.receive(many[30:])
    assert foreseeing.ahead.look()
    assert foreseeing.ended == ended
    foreseeing.meanwhile = lambda: None
    assert foreseeing.ahead.look()
    assert foreseeing.seen == [30, 60]


def test_nothing_is_computed_beside_a_sender_in_a_hurry(
    node: Pipeline, many: list[Path], foreseeing: Foreseeing, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.receive(many)
    monkeypatch.setattr(ahead, "_HURRY", timedelta(hours=1))
    assert not foreseeing.ahead.look()
    monkeypatch.setattr(ahead, "_HURRY", timedelta(0))
    assert foreseeing.ahead.look()


def test_of_a_long_series_nothing_is_kept(
    node: Pipeline, many: list[Path], foreseeing: Foreseeing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "_MOST_BYTES", 40 * 2 * ROWS * COLUMNS)
    node.receive(many[:40])
    assert foreseeing.ahead.look()
    assert foreseeing.ahead.waits
    node.receive(many[40:])
    assert not foreseeing.ahead.look()
    assert not foreseeing.ahead.waits


def test_what_is_due_goes_first(
    node: Pipeline, many: list[Path], files: list[Path], foreseeing: Foreseeing
) -> None:
    node.receive(files)
    node.assess()
    node.receive(many)
    foreseeing.stage = "lungs"
    foreseeing.takes_seconds = 60.0
    assert foreseeing.ahead.look()
    assert (foreseeing.seen, foreseeing.ended) == ([60], [])


def test_its_own_analysis_goes_first_too(
    node: Pipeline, many: list[Path], foreseeing: Foreseeing
) -> None:
    node.receive(many)
    foreseeing.stage = "lungs"
    foreseeing.meanwhile = node.assess
    assert foreseeing.ahead.look()
    assert foreseeing.ended == []


def test_of_two_that_come_the_one_that_was_begun_goes_on(
    node: Pipeline, many: list[Path], tmp_path: Path, foreseeing: Foreseeing
) -> None:
    node.receive(many[:30])
    assert foreseeing.ahead.look()
    node.receive(write_series(tmp_path / "other", 40))
    assert not foreseeing.ahead.look()
    node.receive(many[30:])
    assert foreseeing.ahead.look()
    assert foreseeing.seen == [30, 60]


def test_slices_in_any_order_are_looked_at_and_thick_ones_are_not(
    node: Pipeline, many: list[Path], tmp_path: Path, foreseeing: Foreseeing
) -> None:
    node.receive(write_series(tmp_path / "thick", 20, change=thicken))
    assert not foreseeing.ahead.look()
    node.receive(sorted(many, key=lambda each: each.name[::-1])[:45])
    assert foreseeing.ahead.look()


def test_a_fault_is_met_once(
    node: Pipeline, many: list[Path], foreseeing: Foreseeing, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("a fault")

    foreseeing.meanwhile = fail
    node.receive(many[:30])
    assert foreseeing.ahead.look()
    node.receive(many[30:])
    assert not foreseeing.ahead.look()
    assert [each.levelname for each in caplog.records].count("ERROR") == 1


def test_headers_are_read_once(
    node: Pipeline, many: list[Path], foreseeing: Foreseeing, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def noted(path: Path) -> Slices:
        read.append(path)
        return read_slices_of(path)

    monkeypatch.setattr(ahead, "read_slices_of", noted)
    node.receive(many[:30])
    foreseeing.ahead.look()
    node.receive(many[30:])
    foreseeing.ahead.look()
    assert len(read) == len(set(read)) == 60


def test_what_waits_for_nobody_is_forgotten(
    node: Pipeline, many: list[Path], foreseeing: Foreseeing
) -> None:
    node.receive(many)
    foreseeing.ahead.look()
    foreseeing.clock.move(200.0)
    assert not foreseeing.ahead.look()
    assert not foreseeing.ahead.waits
