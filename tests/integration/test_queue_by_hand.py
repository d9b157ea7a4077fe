"""`dicomnode queue hold | release | cancel` in a process of its own, while an analysis runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from storage.by_hand import CANCELLED
from storage.decided import failed_rules
from storage.errors import LeaseLostError
from storage.records import JobState, SeriesState
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline
from support.wait import wait_for


def queue(config: Path, *arguments: str) -> Any:
    command = [sys.executable, "-m", "dicomnode", "queue", *arguments, "--config", str(config)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.long
def test_a_running_analysis_is_stopped_and_begun_again_and_stopped_for_good(
    tmp_path: Path, shared_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Pipeline(tmp_path / "data", shared_models)
    config = node.write_config(tmp_path)
    files = write_series(tmp_path / "ct")
    uid = series_uid(files)
    node.receive(files)
    node.assess()
    worker = node.load_worker()
    monkeypatch.setattr("dicomnode.analyse.held_job._AWAITED_SECONDS", 0.1)
    go_on = worker._stop_if_superseded
    said: list[Any] = []

    def stopped_by(*arguments: str) -> None:
        """Analyse, and have a person stop it at its first step."""
        stages: list[str] = []

        def progress(stage: str, done: int, total: int) -> None:
            stages.append(stage)
            if len(stages) == 1:
                said.append(queue(config, *arguments))
                wait_for(worker._unawaited.is_set, "the worker knows that it is not awaited")
            go_on(stage, done, total)

        monkeypatch.setattr(worker, "_stop_if_superseded", progress)
        with pytest.raises(LeaseLostError):
            worker.analyse_one()
        assert len(stages) == 1
        assert node.detail(uid).results == ()

    stopped_by("hold", uid)
    assert said.pop()[0]["analysis_stopped"] is True
    job = node.detail(uid).jobs[-1]
    assert (job.state, job.attempt) == (JobState.QUEUED, 0)
    assert not worker.analyse_one(), "nobody takes it"
    assert queue(config, "release", uid) == [{"series_key": uid, "released": True}]
    stopped_by("cancel", uid, "--yes")
    assert said.pop()[0]["state"] == "skipped"
    assert not worker.analyse_one()
    series = node.detail(uid).series
    assert series.state is SeriesState.SKIPPED
    assert failed_rules(series.reasons) == [CANCELLED]
    queue(config, "retry", uid)
    node.assess()
    monkeypatch.setattr(worker, "_stop_if_superseded", go_on)
    node.analyse()
    assert node.detail(uid).series.state is SeriesState.ANALYSED
    node.database.close()
