"""Patches for the classifier: which class a box means, and what is mined from proposals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from inference.location_attention.network import CLASSES
from inference.location_attention.preprocess import region_grid
from inference.location_attention.proposals import Candidates
from inference.training.plan import PreparedScan
from inference.training.regions.data import region_tensors, stored_view
from inference.training.regions.lesion_truth import Lesion
from inference.training.regions.mining import (
    KEPT_SENSITIVITY,
    LOWEST_SCORE,
    score_threshold,
    sensitivity,
)
from inference.training.regions.patch_data import (
    HEALTHY,
    JITTERED,
    NOT_PROPOSED,
    class_of,
    patch_tensors,
)
from support.labelled_scans import COVID, FLU, IRRELEVANT, SETTINGS, known_lungs, labelled, prepared

FOCUS, SCAR = (0.0, 20.0, -70.0, 30.0), (30.0, 0.0, 80.0, 25.0)
NOTHING = 2


def _box(low: float, high: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([[low] * 3, [high] * 3], np.float64)


LESIONS = (Lesion(1, 0, _box(0, 10)), Lesion(2, NOTHING, _box(20, 30)))


@pytest.mark.parametrize(
    ("low", "high", "meant"),
    [
        (0, 10, 0),  # the lesion itself
        (4, 6, 0),  # small, in its middle
        (-8, 12, 0),  # large, its middle in the lesion
        (8, 16, None),  # grazes the infection
        (11, 19, NOTHING),  # lung
        (20, 30, NOTHING),  # a scar
        (28, 40, NOTHING),  # grazes a scar
    ],
)
def test_which_class_a_box_means(low: float, high: float, meant: int | None) -> None:
    assert class_of(_box(low, high), LESIONS, NOTHING) == meant


def test_of_two_lesions_the_one_overlapped_more_counts() -> None:
    two = (Lesion(1, 0, _box(0, 10)), Lesion(2, 1, _box(2, 12)))
    assert class_of(_box(3, 13), two, NOTHING) == 1
    assert class_of(_box(-1, 9), two, NOTHING) == 0
    assert class_of(_box(0, 10), (), NOTHING) == NOTHING


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> PreparedScan:
    loaded = labelled({FOCUS: COVID, SCAR: IRRELEVANT})
    tensors = region_tensors(loaded, known_lungs(loaded), COVID, CLASSES, SETTINGS)
    return prepared(tmp_path_factory.mktemp("cache"), "a", COVID, tensors)


def _patches(scan: PreparedScan, seed: int = 0) -> dict[str, torch.Tensor]:
    stored = stored_view(scan, SETTINGS)
    focus, scar = scan.tensor("boxes").numpy()
    far = np.array([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]])
    graze = focus + (focus[1] - focus[0]) * 0.9
    proposed = Candidates(np.stack((focus + 0.3, scar, graze, far)), np.array([0.9, 0.8, 0.7, 0.6]))
    random = np.random.Generator(np.random.PCG64(seed))
    return patch_tensors(
        stored, region_grid(stored.view, SETTINGS), proposed, random, SETTINGS, NOTHING
    )


def test_proposals_lesions_and_lung_each_give_three_patches(scan: PreparedScan) -> None:
    found = _patches(scan)
    scores = found["scores"].tolist()
    assert scores[:3] == pytest.approx([0.9, 0.8, 0.6])  # what grazes the focus is left out
    assert found["classes"][:3].tolist() == [0, NOTHING, NOTHING]
    assert found["classes"][-2 * JITTERED :].tolist() == [0] * JITTERED + [NOTHING] * JITTERED
    assert 3 + 2 * JITTERED <= len(scores) <= 3 + 2 * JITTERED + HEALTHY
    assert set(scores[3:]) == {NOT_PROPOSED}
    assert found["values"].shape == (3 * len(scores), 32, 32)
    assert found["found"].tolist() == pytest.approx([0.9])


def test_a_patch_of_a_lesion_is_brighter_than_lung(scan: PreparedScan) -> None:
    """A ball of -300 HU in lung of -850 HU; the window is -1250 to 250 HU."""
    values = _patches(scan)["values"].float() / 255
    middle = values[0, 12:20, 12:20].mean()
    assert float(middle) == pytest.approx((-300 + 1250) / 1500, abs=0.05)


def test_the_same_chance_gives_the_same_patches(scan: PreparedScan) -> None:
    one, again, other = _patches(scan), _patches(scan), _patches(scan, seed=1)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["distances"], other["distances"])


def _scored(folder: Path, found: list[float], scores: list[float]) -> PreparedScan:
    tensors = {"found": torch.tensor(found), "scores": torch.tensor(scores)}
    return prepared(folder, f"s{len(list(folder.iterdir()))}", FLU, tensors)


def test_the_threshold_keeps_most_of_the_lesions_that_can_be_found(tmp_path: Path) -> None:
    found = [0.0] + [(at + 0.5) / 20 for at in range(2, 20)]  # 18 found, 1 missed
    scans = [_scored(tmp_path, found[:9], [0.5, 0.2]), _scored(tmp_path, found[9:], [0.9, -1.0])]
    threshold = score_threshold(scans, 0.3)
    kept = sum(each >= threshold for each in found) / 18
    assert kept >= KEPT_SENSITIVITY
    assert sum(each >= threshold + 0.06 for each in found) / 18 < KEPT_SENSITIVITY
    figures = sensitivity(scans, 0.4)
    assert figures["sensitivity"] == pytest.approx(sum(each >= 0.4 for each in found) / 19)
    assert figures["candidates"] == 1.0


def test_without_a_lesion_found_the_threshold_stays(tmp_path: Path) -> None:
    scans = [_scored(tmp_path, [0.0], [0.5]), _scored(tmp_path, [], [])]
    assert score_threshold(scans, 0.3) == 0.3
    low = [_scored(tmp_path, [LOWEST_SCORE + 0.001], [0.5])]
    assert score_threshold(low, 0.3) == LOWEST_SCORE
