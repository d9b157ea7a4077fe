"""The host's noise measured, and noise made with its texture."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.simulation.host_noise import ASSUMED_HU, HostNoise, measure_noise
from support.chest_volume import chest

SPACING = (6.0, 1.5, 1.5)
Values = NDArray[np.floating[Any]]


def smoothed(values: Values, axes: tuple[int, ...]) -> Values:
    """Weights 1, 2, 1 along these axes."""
    for axis in axes:
        values = (np.roll(values, 1, axis) + 2 * values + np.roll(values, -1, axis)) / 4
    return values


@cache
def grainy(deviation: float, axes: tuple[int, ...] = (), blur: int = 0) -> HostNoise:
    """Of a chest whose edges are blurred so often, then given noise smooth along these axes."""
    drawn = chest(SPACING)
    clean = np.where(drawn.lungs, -850.0, np.where(drawn.hu > -400, 40.0, -1000.0))
    for _ in range(blur):
        clean = smoothed(clean.astype(np.float32), (1, 2))
    noise = smoothed(np.random.default_rng(1).standard_normal(clean.shape), axes)
    hu = (clean + deviation * noise / noise.std()).astype(np.int16)
    return measure_noise(hu, drawn.lungs, SPACING[1])


def likeness(noise: Values, axis: int) -> float:
    """Correlation of neighbours along an axis."""
    ahead, behind = (np.take(noise, range(*ends), axis) for ends in _pairs(noise.shape[axis]))
    return float(np.corrcoef(ahead.ravel(), behind.ravel())[0, 1])


def _pairs(length: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (0, length - 1), (1, length)


@pytest.mark.parametrize("deviation", [8.0, 30.0])
def test_the_deviation_is_found_in_tissue_and_in_lung(deviation: float) -> None:
    found = grainy(deviation)
    assert found.tissue_hu == pytest.approx(deviation, rel=0.15)
    assert found.lung_hu == pytest.approx(deviation, rel=0.25)


@pytest.mark.parametrize("axes", [(), (2,), (1, 2)])
def test_noise_is_made_with_the_texture_of_the_host(axes: tuple[int, ...]) -> None:
    made = grainy(20.0, axes).sample(np.random.default_rng(2), (6, 120, 90))
    assert made.std() == pytest.approx(1.0, rel=0.05)
    for axis in (1, 2):  # neighbours under weights 1, 2, 1 correlate by 4 / 6
        assert likeness(made, axis) == pytest.approx(2 / 3 if axis in axes else 0.0, abs=0.12)


def test_noise_that_goes_on_from_slice_to_slice_does_so_in_what_is_made() -> None:
    alone, joined = grainy(20.0), grainy(20.0, (0,))
    assert alone.slice_correlation < 0.1
    assert joined.slice_correlation == pytest.approx(2 / 3, abs=0.12)
    made = joined.sample(np.random.default_rng(2), (40, 48, 48))
    assert likeness(made, 0) == pytest.approx(joined.slice_correlation, abs=0.05)


def test_soft_edges_are_told_from_sharp_ones() -> None:
    sharp, soft = grainy(8.0).blur_mm, grainy(8.0, (), 2).blur_mm
    assert sharp < 0.75 * soft
    assert soft == pytest.approx(np.sqrt(2 * 0.5) * SPACING[1], rel=0.25)  # 2 passes: variance 1


def test_between_lung_and_tissue_the_deviation_goes_straight() -> None:
    noise = HostNoise(10.0, 20.0, np.ones((16, 16), np.float32), 0.0, 0.7)
    found = noise.at(np.array([-1000, -850, -425, 0, 300], np.float32))
    np.testing.assert_allclose(found, [20, 20, 15, 10, 10])


def test_a_host_without_any_noise_to_measure_gets_what_is_usual() -> None:
    drawn = chest(SPACING)
    flat = np.where(drawn.lungs, -850, 40).astype(np.int16)
    found = measure_noise(flat, drawn.lungs, SPACING[1])
    assert found.tissue_hu == found.lung_hu == ASSUMED_HU
