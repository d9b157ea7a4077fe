"""bfloat16 beside float32: float32 answers, and what the other changes is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dicomnode.weights import evaluation_bf16
from dicomnode.weights.evaluation_bf16 import (
    Change,
    Trial,
    lung_change,
    precision_blocks,
)
from inference.errors import NetworkOutputError, NoLungsError
from inference.evaluation.report.document import Notice, Table
from inference.findings import Findings, SliceActivation
from support.result_samples import SAMPLE, lungs, volume

HEAT = SAMPLE.heat or ()


def answering(*scores: float) -> Findings:
    answer = replace(SAMPLE.answer, scores=scores, winner=int(np.argmax(scores)))
    return replace(SAMPLE, answer=answer)


class Says:
    """A method, or a network for lungs, that gives what it is made with."""

    backend = "openvino"

    def __init__(self, found: Any) -> None:
        self._found = found

    def analyse(self, *_: Any) -> Any:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found

    def segment(self, _volume: Any) -> Any:
        return self.analyse()


def _change(found: Any, other: Any) -> Change:
    trial = Trial(Says(other)).watch(Says(found))
    assert trial.analyse(volume(), lungs()) is found
    (change,) = trial.changes
    return change


@pytest.mark.parametrize(
    ("scores", "score", "other_class"),
    [
        ((0.2, 0.5, 0.3), 0.0, False),
        ((0.2, 0.496, 0.304), 0.004, False),
        ((0.2, 0.3, 0.5), 0.2, True),
    ],
)
def test_the_score_that_changes_most_counts(
    scores: tuple[float, ...], score: float, other_class: bool
) -> None:
    change = _change(answering(0.2, 0.5, 0.3), answering(*scores))
    assert change.score == pytest.approx(score)
    assert change.other_class is other_class
    assert (change.heat_moved_mm, change.heat_correlation) == pytest.approx((0.0, 1.0))


def test_no_answer_in_bf16_is_the_largest_change() -> None:
    fault = NetworkOutputError("probabilities (nan, nan, nan)")
    assert _change(SAMPLE, fault) == Change(1.0, other_class=True)


def test_another_fault_is_raised() -> None:
    with pytest.raises(RuntimeError, match="a fault of ours"):
        _change(SAMPLE, RuntimeError("a fault of ours"))


def _hot(slice_index: int, at: tuple[int, int]) -> tuple[SliceActivation, ...]:
    """The sample's heat, the hottest cell of which is this one."""
    cams = [np.full_like(each.cam, 0.1) for each in HEAT]
    cams[slice_index][at] = 1.0
    return tuple(replace(each, cam=cam) for each, cam in zip(HEAT, cams, strict=True))


def test_heat_moves_by_the_way_between_the_hottest_places() -> None:
    found, other = (replace(SAMPLE, heat=_hot(index, (0, 0))) for index in (0, 2))
    step_mm = volume().spacing_mm[0] * (HEAT[2].slice_index - HEAT[0].slice_index)
    boxes = HEAT[0].box, HEAT[2].box
    assert boxes[0] == boxes[1]  # or the way is longer
    change = _change(found, other)
    assert change.heat_moved_mm == pytest.approx(step_mm)
    assert change.heat_correlation < 0.1


def test_lungs_are_compared_by_mask_and_side() -> None:
    found = np.zeros((1, 2, 4), np.uint8)
    found[0, 0], found[0, 1] = 1, 2
    swapped = found.copy()
    swapped[0, 0, 0] = 2
    missed = found.copy()
    missed[0, 0, 0] = 0
    trials = [Trial(Says(other)).watch(Says(found)) for other in (found, swapped, missed)]
    assert all(trial.segment(volume()) is found for trial in trials)
    assert [trial.changes[0].score for trial in trials] == pytest.approx([0, 1 / 8, 1 / 15])


def test_no_lungs_in_bf16_is_the_largest_change() -> None:
    def none() -> Any:
        raise NoLungsError("lung volume", 0, 1000, "ml")

    assert lung_change(np.ones((1, 1, 1), np.uint8), none).score == 1.0


def test_a_proof_is_of_all_scans_and_names_what_it_was_measured_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluation_bf16, "described", lambda _engine: ("2026.4.1", "Any CPU"))
    changes = [Change(0.002, False, 3.0, 0.99), Change(0.004), Change(0.0, True, 1.0, 0.95)]
    trial = Trial(Says(None))
    assert trial.proof("no scans") is None
    trial.changes = changes
    proof = trial.proof("3 scans of 2 patient(s)")
    assert proof is not None
    assert (proof.cases, proof.classes_changed) == (3, 1)
    assert (proof.largest_change, proof.mean_change) == pytest.approx((0.004, 0.002))
    assert (proof.heat_moved_mm, proof.heat_correlation) == (3.0, 0.95)
    assert (proof.engine, proof.version, proof.processor) == ("openvino", "2026.4.1", "Any CPU")
    assert proof.problems() == ()
    notice, table = precision_blocks(proof, 0.01, "covnet")
    assert notice == Notice("bf16 is not used with this proof: 1 of 3 scans are called otherwise.")
    assert isinstance(table, Table)
    assert ("Scans called otherwise", "1") in table.rows
