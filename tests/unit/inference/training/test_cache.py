"""Prepared scans on disk, and what is told of scans that cannot be prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from inference.errors import NoLungsError
from inference.training.cache import PreparationError, prepare_all
from inference.training.plan import Example, PreparedScan
from inference.training.scan import LesionBox, LoadedScan, Split
from inference.training.task import TrainingTask
from inference.volume import CtVolume


def loaded() -> LoadedScan:
    return LoadedScan(CtVolume(np.full((3, 4, 5), 7, np.int16), np.eye(4)))


@dataclass
class Doubling:
    """A plan that keeps twice the HU; `made` tells how often it was asked to."""

    preparation: Mapping[str, object]
    made: int = 0
    name: str = "covnet"
    settings: None = None

    def prepare(self, example: Example) -> dict[str, Tensor]:
        self.made += 1
        if example.scan.startswith("empty"):
            raise NoLungsError("lung volume", 3.0, 150.0, "ml")
        return {"twice": 2 * torch.from_numpy(example.load().volume.hu)}

    def problems(self, _data: Mapping[Split, Sequence[Example]]) -> Sequence[str]:
        return ()

    def task(self, _data: Mapping[Split, Sequence[PreparedScan]]) -> TrainingTask[Any]:
        raise NotImplementedError


def examples(*names: str) -> list[Example]:
    return [Example(name, f"patient of {name}", "a", "0", loaded) for name in names]


def test_a_scan_is_prepared_once_and_found_again(tmp_path: Path) -> None:
    plan = Doubling({"size": 3})
    told: list[tuple[str, int, int]] = []
    first = prepare_all(
        examples("b", "a"), plan, tmp_path, progress=lambda *each: told.append(each)
    )
    again = prepare_all(examples("b", "a"), plan, tmp_path)
    assert first == again
    assert first is not None
    assert [scan.scan for scan in first] == ["b", "a"]
    assert plan.made == 2
    assert told == [("prepare", 1, 2), ("prepare", 2, 2)]
    assert first[0].names() == {"twice"}
    assert first[0].tensor("twice").shape == (3, 4, 5)
    assert first[0].rows("twice", [2, 0]).tolist() == [[[14] * 5] * 4] * 2


@pytest.mark.parametrize("change", ["signature", "label", "settings"])
def test_what_the_tensors_depend_on_makes_them_anew(tmp_path: Path, change: str) -> None:
    (example,) = examples("a")
    prepare_all([example], Doubling({"size": 3}), tmp_path)
    plan = Doubling({"size": 4} if change == "settings" else {"size": 3})
    changed = {"signature": replace(example, signature="1"), "label": replace(example, label="b")}
    other = changed.get(change, example)
    prepare_all([other], plan, tmp_path)
    assert plan.made == 1


def test_all_scans_that_cannot_be_used_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(PreparationError) as caught:
        prepare_all(examples("empty1", "good", "empty2"), Doubling({}), tmp_path)
    told = "lung volume: 3.0 ml found, at least 150.0 ml asked for"
    assert caught.value.problems == (f"scan empty1: {told}", f"scan empty2: {told}")


def test_a_preparation_that_is_stopped_prepares_no_more(tmp_path: Path) -> None:
    plan = Doubling({})
    stopped = prepare_all(examples("a", "b", "c", "d"), plan, tmp_path, 1, stop=lambda: True)
    assert stopped is None
    assert plan.made == 0


def test_a_mask_must_be_of_its_volume() -> None:
    volume = loaded().volume
    with pytest.raises(ValueError, match=r"lungs \(2, 4, 5\) are not of the volume \(3, 4, 5\)"):
        LoadedScan(volume, lungs=np.zeros((2, 4, 5), np.bool_))
    box = LesionBox(1, "a", "nodule", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert LoadedScan(volume, boxes=(box,)).boxes[0].kind == "nodule"
