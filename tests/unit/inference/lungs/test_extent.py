"""Extent of drawn lungs of known volume and place."""

from __future__ import annotations

import numpy as np
import pytest

from inference.lungs.extent import LungExtent, measure_extent
from inference.volume import CtVolume
from support.chest_volume import LUNG_AXES, LUNGS_ML, TISSUE_HU, Chest, chest


def measured(drawn: Chest) -> LungExtent:
    return measure_extent(drawn.volume(), drawn.lungs)


@pytest.mark.parametrize("spacing_mm", [(5.0, 1.5, 1.5), (2.5, 1.0, 1.0)])
def test_volume_sides_and_height(spacing_mm: tuple[float, float, float]) -> None:
    found = measured(chest(spacing_mm))
    assert found.total_ml == pytest.approx(LUNGS_ML, rel=0.02)
    assert found.right_ml == pytest.approx(found.left_ml, rel=0.02)
    assert found.height_mm == pytest.approx(2 * LUNG_AXES[0], abs=2 * spacing_mm[0])
    assert found.slices_with_lung == pytest.approx(found.height_mm / spacing_mm[0])
    assert (found.top_cut_mm2, found.base_cut_mm2) == (0.0, 0.0)


@pytest.mark.parametrize("mirrored", [False, True])
def test_an_airless_lung_is_told_on_the_patients_side(mirrored: bool) -> None:
    drawn = chest()
    left = np.broadcast_to(drawn.x > 0, drawn.hu.shape)  # x grows to the patient's left
    drawn.paint(drawn.lungs & left, TISSUE_HU)
    drawn.lungs[left] = False
    volume = drawn.volume()
    if mirrored:
        affine = volume.affine.copy()
        affine[0, 2] *= -1
        volume = CtVolume(volume.hu, affine)
    found = measure_extent(volume, drawn.lungs)
    gone, there = (found.right_ml, found.left_ml) if mirrored else (found.left_ml, found.right_ml)
    assert gone < 0.02 * there


@pytest.mark.parametrize("headwards", [True, False])
def test_lung_that_goes_on_above_or_below_the_series(headwards: bool) -> None:
    drawn = chest()
    part = slice(0, len(drawn.hu) // 2) if headwards else slice(len(drawn.hu) // 2, None)
    affine = drawn.volume().affine.copy()
    affine[2, 0] *= 1 if headwards else -1
    found = measure_extent(CtVolume(drawn.hu[part], affine), drawn.lungs[part])
    section = 2 * np.pi * LUNG_AXES[1] * LUNG_AXES[2]
    assert found.top_cut_mm2 == pytest.approx(section, rel=0.05)
    assert found.base_cut_mm2 == 0.0
    assert found.largest_section_mm2 == pytest.approx(section, rel=0.05)


def test_no_lung_at_all() -> None:
    drawn = chest()
    found = measure_extent(drawn.volume(), np.zeros_like(drawn.lungs))
    assert (found.total_ml, found.height_mm, found.slices_with_lung) == (0.0, 0.0, 0)


def test_nothing_but_air() -> None:
    volume = CtVolume(np.full((3, 40, 40), -1000, np.int16), np.diag([5.0, 1.0, 1.0, 1.0]))
    assert measure_extent(volume, np.zeros((3, 40, 40), np.bool_)).total_ml == 0.0


def test_the_mask_must_fit_the_volume() -> None:
    drawn = chest()
    with pytest.raises(ValueError, match="lungs are"):
        measure_extent(drawn.volume(), drawn.lungs[:, 1:])
