"""What is computed before a series is decided upon: used for exactly that, or thrown away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicomnode.analyse import ahead, analysis
from dicomnode.analyse.ahead import Ahead
from dicomnode.analyse.analysis import Refusal
from dicomnode.errors import DataError
from inference.progress import Progress
from storage import by_hand
from support.clock import StandingClock
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline

COMPUTED = Refusal(())
"""Stands for whatever is computed."""


@pytest.fixture
def node(tmp_path: Path, small_models: Path) -> Pipeline:
    return Pipeline(tmp_path / "data", small_models)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_series(tmp_path / "series")


def ahead_of(node: Pipeline) -> Ahead:
    """That of its worker, some seconds after what has come."""
    early = node.load_worker()._ahead
    early._clock = StandingClock(datetime.now(UTC) + timedelta(seconds=2))
    return early


def computing(
    node: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[], None] = lambda: None,
    after_seconds: float = 2.0,
    stop: threading.Event | None = None,
) -> Ahead:
    """Whose computation takes a second; `meanwhile` comes to pass in it."""
    clock = StandingClock(datetime.now(UTC) + timedelta(seconds=after_seconds))

    def compute(_engines: Any, _assessment: Any, _settings: Any, progress: Progress) -> Refusal:
        meanwhile()
        clock.move(1.0)
        progress("lungs", 0, 1)
        return COMPUTED

    monkeypatch.setattr(ahead, "compute", compute)
    return Ahead(node.settings, node.database, None, stop or threading.Event(), clock)  # type: ignore[arg-type]


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
    assert not computing(node, monkeypatch, after_seconds=seconds).look()


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
