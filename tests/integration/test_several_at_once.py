"""A worker that analyses several series at once gives, byte for byte, what it gives one by one."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from dicomnode.analyse.worker import Worker
from inference.covnet.torch_backend import TorchBackend
from storage.records import SeriesState
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline, databases_closed, inference

pytestmark = pytest.mark.long  # six analyses
SERIES = 3


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    with databases_closed():
        yield


def at(folder: Path, models: Path, at_once: int) -> Pipeline:
    made = Pipeline(folder, models)
    chosen = inference(models, device="cpu", engine="torch", at_once=at_once)
    made.settings = made.settings.model_copy(update={"inference": chosen})
    return made


def analysed(node: Pipeline) -> dict[str, bytes]:
    """Each result of all series that wait, made by as many threads as the settings say."""
    first = Worker(node.settings, "node/worker/1/", threading.Event())
    workers = [first, *first.beside()]
    assert len(workers) == node.settings.inference.at_once
    begin = threading.Barrier(len(workers))

    def work(worker: Worker) -> None:
        begin.wait()
        while worker.analyse_one():
            pass

    with ThreadPoolExecutor(len(workers)) as pool:
        list(pool.map(work, workers))
    return node.result_bytes()


def test_the_same_bytes(
    tmp_path: Path, small_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    maps = TorchBackend._maps

    def counted(self: TorchBackend, batch: Tensor) -> Any:
        batches.append(len(batch))
        return maps(self, batch)

    monkeypatch.setattr(TorchBackend, "_maps", counted)
    prepared = at(tmp_path / "one", small_models, 1)
    uids = []
    for number in range(SERIES):
        files = write_series(tmp_path / f"series-{number}", slices=12 + number, seed=number)
        uids.append(series_uid(files))
        prepared.receive(files)
        prepared.assess()
    prepared.database.close()
    shutil.copytree(tmp_path / "one", tmp_path / "several")
    found = {}
    for name, count in (("one", 1), ("several", SERIES)):
        node = at(tmp_path / name, small_models, count)
        batches.clear()
        found[name] = analysed(node), list(batches)
        assert {node.detail(uid).series.state for uid in uids} == {SeriesState.ANALYSED}
    (one_by_one, alone), (at_once, shared) = found["one"], found["several"]
    assert at_once.keys() == one_by_one.keys()
    assert len(at_once) > SERIES
    assert [uid for uid in at_once if at_once[uid] != one_by_one[uid]] == []
    assert set(alone) == set(shared), "a batch has always the same size"
    assert len(shared) <= len(alone)
