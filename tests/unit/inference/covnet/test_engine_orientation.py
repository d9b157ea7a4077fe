"""One lesion at a known place in the patient: the heatmap shows it there, however it is stored.

The weights are made by hand: the network measures how bright its cells are, so the lesion is
what it looks for.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from inference.bundles.bundle import Bundle, load_bundle
from inference.covnet.engine import Engine
from inference.findings import Findings
from inference.heatmap import activation_on_slice
from inference.lungs.thresholds import segment_lungs
from inference.volume import CtVolume
from support.chest_volume import TISSUE_HU, chest
from support.orientations import AXIAL, Stored, stored
from support.untrained import make_untrained_bundle

LESION_LPS = (-80.0, 30.0, 20.0)
"""Of its middle, in mm: in the right lung, towards the back, above the middle."""
RADIUS_MM = 18.0
LUNG_BRIGHTNESS = 0.5
"""Of the window from 0 to 1: lung lies below, the lesion above."""
CELL_MM = 25.0
"""About the size of a cell of the heatmap: no place can be told more finely."""


def brightness_weights(bundle: Bundle) -> dict[str, torch.Tensor]:
    """The first channel carries the mean of what is brighter than lung; all else is 0."""
    weights = {name: torch.zeros_like(value) for name, value in bundle.weights.items()}
    for name, value in weights.items():
        if name.endswith("running_var") or (name.endswith("weight") and value.ndim == 1):
            value.fill_(1.0)
    weights["conv1.weight"][0] = 1.0 / (3 * 49)
    weights["bn1.bias"][0] = -LUNG_BRIGHTNESS
    for stage in range(1, 5):
        for number, weight in ((1, 1.0), (2, 1.0 / 9), (3, 1.0)):
            weights[f"layer{stage}.0.conv{number}.weight"][0, 0] = weight
    weights["fc.weight"][0, 0] = 30.0
    return weights


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    bundle = load_bundle(make_untrained_bundle(tmp_path_factory.mktemp("bright") / "bundle"))
    input_settings = replace(bundle.card.preprocessing, size=256)  # type: ignore[type-var]
    card = replace(bundle.card, preprocessing=input_settings)
    return Engine.load(replace(bundle, card=card, weights=brightness_weights(bundle)), "cpu")


@pytest.fixture(scope="module")
def volume() -> CtVolume:
    drawn = chest((20.0, 2.5, 2.5))
    x, y, z = LESION_LPS
    drawn.paint(drawn.ball(z, y, x, RADIUS_MM) & drawn.lungs, TISSUE_HU)
    made = drawn.volume()
    affine = made.affine.copy()  # of the phantom's own millimetres
    affine[:3, 3] = drawn.x.min(), drawn.y.min(), drawn.z.min()
    return CtVolume(made.hu, affine)


def _hottest(found: Findings, volume: CtVolume) -> tuple[float, float, float]:
    """Place in the patient (LPS mm) of the heatmap's maximum on the slice ranked first."""
    first = found.ranked[0]
    heat = activation_on_slice(first, *volume.hu.shape[1:])
    row, column = np.argwhere(heat > 0.98 * heat.max()).mean(axis=0)
    return volume.to_lps((first.slice_index, float(row), float(column)))


@pytest.fixture(scope="module")
def analysed(engine: Engine, volume: CtVolume) -> dict[Stored, tuple[CtVolume, Findings]]:
    turned = {how: stored(volume, how) for how in AXIAL}
    return {how: (each, engine.analyse(each, segment_lungs(each))) for how, each in turned.items()}


@pytest.mark.parametrize("how", AXIAL, ids=str)
def test_the_heatmap_is_where_the_lesion_is(
    analysed: dict[Stored, tuple[CtVolume, Findings]], how: Stored
) -> None:
    turned, found = analysed[how]
    assert np.linalg.norm(np.subtract(_hottest(found, turned), LESION_LPS)) < CELL_MM


def test_the_way_it_is_stored_does_not_change_the_probabilities(
    analysed: dict[Stored, tuple[CtVolume, Findings]],
) -> None:
    _, first = analysed[AXIAL[0]]
    assert max(first.answer.scores) > 0.4  # it sees the lesion: without, all three are equal
    for _, found in analysed.values():
        assert found.answer.scores == pytest.approx(first.answer.scores, abs=1e-5)
