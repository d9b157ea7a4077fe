"""Location attention on volumes that no textbook shows: findings, or a reason with its name."""

from __future__ import annotations

import numpy as np
import pytest

from inference.errors import VolumeError
from inference.findings import Findings, ModelIdentity, Training
from inference.location_attention.engine import RegionEngine
from inference.location_attention.network import CLASSES, LocationAttention
from inference.location_attention.preprocess import RegionPreprocessing
from inference.training.regions.initial import draw_like
from inference.volume import CtVolume
from support.chest_volume import TISSUE_HU, Chest, chest

SETTINGS = RegionPreprocessing(
    patch_size=32, grid_slice_mm=5.0, grid_pixel_mm=5.0, score_threshold=0.0, most_regions=6
)
"""Whatever their score, the best six."""


@pytest.fixture(scope="module")
def engine() -> RegionEngine:
    network = LocationAttention(width=2)
    network.load_state_dict(draw_like(network, 0))
    identity = ModelIdentity("test", "1", "0" * 64, Training.UNTRAINED)
    return RegionEngine.load(network, identity, CLASSES, SETTINGS, "cpu")


def _whole(found: Findings, drawn: Chest) -> bool:
    """Six regions in the volume, their probabilities finite and sums of 1."""
    sums = [sum(patch.probabilities) for each in found.candidates for patch in each.patches]
    ends = [(each.box.slices, each.box.rows, each.box.columns) for each in found.candidates]
    inside = all(
        0 <= start < stop <= length
        for box in ends
        for (start, stop), length in zip(box, drawn.hu.shape, strict=True)
    )
    return inside and len(ends) == SETTINGS.most_regions and np.allclose(sums, 1.0)


@pytest.mark.parametrize(
    "spacing_mm",
    [(13.0, 3.0, 3.0), (260 / 1094, 6.0, 6.0), (10.0, 1.0, 4.0), (10.0, 4.0, 1.0)],
    ids=["20 slices", "1094 slices", "tall pixels", "wide pixels"],
)
def test_any_spacing_is_analysed(
    engine: RegionEngine, spacing_mm: tuple[float, float, float]
) -> None:
    drawn = chest(spacing_mm)
    assert _whole(engine.analyse(drawn.volume(), drawn.lungs), drawn)


@pytest.mark.parametrize("side", [-1, 1])
def test_one_lung_is_analysed_and_has_the_regions(engine: RegionEngine, side: int) -> None:
    """At least a tenth of a region is lung, so that none can lie wholly in the other half."""
    drawn = chest((10.0, 3.0, 3.0))
    gone = drawn.lungs & (np.sign(drawn.x) == side)
    drawn.paint(gone, TISSUE_HU)
    found = engine.analyse(drawn.volume(), drawn.lungs & ~gone)
    assert _whole(found, drawn)
    middle = drawn.hu.shape[2] / 2
    for region in found.candidates:
        start, stop = region.box.columns
        assert start < middle if side == 1 else stop > middle


def test_a_spacing_that_is_wrong_is_a_named_error(engine: RegionEngine) -> None:
    """Slices of half a metre: no patient is 10 m tall."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = 500.0, 3.0, 3.0, 1.0
    volume = CtVolume(np.full((20, 32, 32), -850, np.int16), affine)
    with pytest.raises(VolumeError, match=r"10020 mm need \d+ cells"):
        engine.analyse(volume, np.ones(volume.hu.shape, np.bool_))
