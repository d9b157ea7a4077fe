"""The bundles that the product comes with."""

from __future__ import annotations

import numpy as np
import pytest

from dicomnode.weights.scans import read_ct
from inference.bundles.bundle import load_bundle
from inference.bundles.tasks import TASKS
from inference.demonstration import shipped_bundles
from inference.findings import IntendedUse, Training
from inference.lungs.network import LungNetwork
from inference.lungs.thresholds import segment_lungs
from support.chest_volume import dice
from support.data import PHILIPS

MOST_BYTES = 60_000_000
WARNING = "DEMONSTRATION – trained on simulated lesions, no clinical meaning"


def test_there_is_one_for_each_task() -> None:
    assert sorted(shipped_bundles()) == sorted(TASKS)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_each_is_whole_and_says_what_it_is(task: str) -> None:
    card = load_bundle(shipped_bundles()[task]).card
    assert card.task == task
    assert (card.training, card.use) == (Training.DEMONSTRATION, IntendedUse.DEMONSTRATION)
    assert card.identity_at(IntendedUse.CLINICAL).warning == WARNING
    assert "painted by a simulator" in card.training_data
    assert card.metrics


def test_together_they_are_small() -> None:
    files = [file for folder in shipped_bundles().values() for file in folder.iterdir()]
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES


def test_the_lungs_of_a_real_chest_end_where_the_chest_does() -> None:
    """The neck was held for lung, and the air about it, before they were looked for in the body."""
    volume = read_ct(PHILIPS[0].parent)
    bundle = load_bundle(shipped_bundles()["lungs"])
    found = LungNetwork.load(bundle, "cpu").segment(volume) > 0
    classical = segment_lungs(volume)
    assert dice(found, classical) > 0.97
    highest = int(np.flatnonzero(classical.any(axis=(1, 2)))[-1])
    above = found[highest + 1 :]
    assert len(above) > 5
    assert not above.any()
