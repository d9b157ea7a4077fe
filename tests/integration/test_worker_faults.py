"""A worker whose disk fails, or whose job takes too long: real files, rows and networks."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dicomnode.analyse.held_job import EXIT_DEADLINE
from dicomnode.analyse.worker import Worker
from storage.records import JobState, SeriesState
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline
from support.wait import PATIENCE_SECONDS


@pytest.fixture
def node(tmp_path: Path, shared_models: Path) -> Iterator[Pipeline]:
    made = Pipeline(tmp_path / "data", shared_models)
    yield made
    made.database.close()


def break_reading(monkeypatch: pytest.MonkeyPatch, where: str, number: int) -> None:
    def broken(*_arguments: Any, **_named: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(where, broken)


@pytest.mark.parametrize(
    "where",
    [
        "dicomnode.assess.assessment.read_headers_and_sources",
        "dicomnode.dicom_files.volume.read_slices",
    ],
)
def test_a_file_that_cannot_be_read_just_now_costs_no_attempt(
    node: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    files = write_series(tmp_path / "series")
    node.receive(files)
    node.assess()
    break_reading(monkeypatch, where, errno.ESTALE)
    node.analyse()
    waiting = node.detail(series_uid(files))
    assert waiting.series.state is SeriesState.QUEUED
    (job,) = [each for each in waiting.jobs if each.kind.value == "analyse"]
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    assert os.strerror(errno.ESTALE) in (job.error or "")
    assert job.not_before > job.created_at
    monkeypatch.undo()


def test_what_can_never_be_read_fails_in_the_end(
    node: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_series(tmp_path / "series")
    node.receive(files)
    node.assess()
    break_reading(monkeypatch, "dicomnode.dicom_files.volume.read_slices", errno.EIO)
    monkeypatch.setattr("dicomnode.dicom_files.read_again.decide_retry", lambda *_arguments: None)
    node.analyse()
    failed = node.detail(series_uid(files)).series
    assert failed.state is SeriesState.FAILED
    assert failed.reasons[-1].rule == "file"


def test_a_job_over_its_deadline_is_told_with_the_key(
    node: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process would end there; here its thread goes on and finds its lease gone."""
    files = write_series(tmp_path / "series")
    node.receive(files)
    node.assess()
    short = node.settings.inference.model_copy(update={"deadline_seconds": 0.05})
    settings = node.settings.model_copy(update={"inference": short})
    worker = Worker(settings, "node/worker/1/", threading.Event())
    ended: list[int] = []
    over = threading.Event()

    def end(status: int) -> None:
        ended.append(status)
        over.set()

    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr(worker, "_analyse", lambda _job: over.wait(PATIENCE_SECONDS))
    assert worker.analyse_one()
    assert ended[0] == EXIT_DEADLINE
    found = node.detail(series_uid(files))
    (job,) = [each for each in found.jobs if each.kind.value == "analyse"]
    assert job.attempt == 1
    assert job.error == "deadline: longer than inference.deadline_seconds = 0.05"


def test_a_fault_outside_the_analysis_is_one_of_the_series_too(
    node: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a result that cannot be encoded: the worker goes on with the next."""
    files = write_series(tmp_path / "series")
    node.receive(files)
    node.assess()

    def broken(*_arguments: Any) -> Callable[..., bytes]:
        raise ValueError("not to be encoded")

    monkeypatch.setattr("dicomnode.deliver.result_store.encode", broken)
    node.analyse()
    failed = node.detail(series_uid(files)).series
    assert failed.state is SeriesState.FAILED
    assert failed.reasons[-1].value == "ValueError"
