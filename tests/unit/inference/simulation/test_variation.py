"""Hosts varied before they are painted: geometry stays true, and the pattern plays no part."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from inference.lungs.thresholds import segment_lungs
from inference.simulation.variation import BEYOND_LUNGS_MM, SCALE, THICKEST_MM, Host, vary
from inference.volume import spacing_of
from support.chest_volume import Chest, chest

SEEDS = range(12)


@cache
def drawn(slice_mm: float = 6.0) -> Chest:
    return chest((slice_mm, 2.2, 2.2))


def host(slice_mm: float = 6.0) -> Host:
    return Host(drawn(slice_mm).volume(), drawn(slice_mm).lungs)


@cache
def varied(seed: int, slice_mm: float = 6.0) -> Host:
    return vary(host(slice_mm), seed)


def test_the_same_seed_varies_the_same_and_another_does_not() -> None:
    again = vary(host(), 3)
    np.testing.assert_array_equal(again.volume.hu, varied(3).volume.hu)
    np.testing.assert_array_equal(again.volume.affine, varied(3).volume.affine)
    assert (varied(4).volume.affine != again.volume.affine).any()


def test_the_host_itself_is_left_as_it_was() -> None:
    before = drawn().hu.copy()
    vary(host(), 5)
    np.testing.assert_array_equal(drawn().hu, before)


@pytest.mark.parametrize("slice_mm", [6.0, 1.5])
def test_spacing_changes_within_its_bounds(slice_mm: float) -> None:
    factors, thickness = [], []
    for seed in SEEDS:
        slices, rows, columns = spacing_of(varied(seed, slice_mm).volume.affine)
        assert rows == pytest.approx(columns)
        factors.append(rows / 2.2)
        thickness.append(slices)
    assert SCALE[0] <= min(factors) < 0.97
    assert 1.03 < max(factors) <= SCALE[1]
    if slice_mm == 6.0:
        assert max(thickness) <= 6.0 * SCALE[1]
    else:
        assert min(thickness) < 2.0
        assert 3.5 < max(thickness) <= THICKEST_MM * SCALE[1]


def test_the_lungs_move_with_the_volume() -> None:
    """The mask is still where the segmentation finds lungs, joined slices or not."""
    for seed in (0, 3, 7):
        one = varied(seed, 1.5)
        assert one.lungs.shape == one.volume.hu.shape
        found = segment_lungs(one.volume)
        assert 2 * (found & one.lungs).sum() / (found.sum() + one.lungs.sum()) > 0.95


def test_what_is_left_is_the_body_about_the_lungs() -> None:
    whole, cut = host(1.5), varied(1, 1.5)
    assert cut.volume.hu.size < whole.volume.hu.size
    slices = np.flatnonzero(cut.lungs.any(axis=(1, 2)))
    beyond = slices[0] * cut.volume.spacing_mm[0]
    assert beyond <= (BEYOND_LUNGS_MM + 5.0) * SCALE[1]
    ml = cut.lungs.sum() * cut.volume.voxel_ml
    assert ml == pytest.approx(whole.lungs.sum() * whole.volume.voxel_ml, rel=0.35)


def test_noise_and_sharpness_differ_from_scan_to_scan() -> None:
    deviations = []
    for seed in SEEDS:
        one = varied(seed)
        tissue = (one.volume.hu > -20) & (one.volume.hu < 100)
        steps = np.diff(one.volume.hu.astype(np.float64), axis=2)
        deviations.append(float(steps[tissue[:, :, 1:] & tissue[:, :, :-1]].std()))
    assert max(deviations) > 1.5 * min(deviations)


def test_padding_stays_padding() -> None:
    volume = drawn().volume()
    volume.hu[:, :, -30:] = -1024
    one = vary(Host(volume, drawn().lungs), 2)
    assert (one.volume.hu[:, 3:-3, -3:] == -1024).all()
