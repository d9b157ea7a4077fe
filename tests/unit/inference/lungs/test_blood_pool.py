"""The blood pool of drawn chests whose heart, vessels and bones have known HU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dicomnode.decisions.contrast.pixels import pixel_witness
from inference.lungs.blood_pool import BloodPool, measure_blood_pool
from inference.lungs.thresholds import segment_lungs
from inference.volume import CtVolume
from support.chest_volume import LUNG_HU, Chest, chest

BLOOD_HU, ENHANCED_HU, MUSCLE_HU, FAT_HU, BONE_HU, METAL_HU = 45, 140, 55, -100, 400, 3000
RNG_SEED = 7


def drawn_chest(
    blood: int, spacing_mm: tuple[float, float, float] = (5.0, 1.5, 1.5), noise: float = 0.0
) -> Chest:
    """Muscle, then fat between the lungs, a heart with the great vessels above it, and a spine."""
    drawn = chest(spacing_mm)
    drawn.paint((drawn.hu > -300) & (drawn.hu < 200), MUSCLE_HU)
    middle = (abs(drawn.x) < 60) & (abs(drawn.y) < 80) & ~drawn.lungs & (drawn.hu == MUSCLE_HU)
    drawn.paint(middle, FAT_HU)
    heart = drawn.ball(-10, -25, 10, 42) & ~drawn.lungs
    vessels = ((drawn.x - 3) ** 2 + (drawn.y + 20) ** 2 < 18**2) & (drawn.z > 0) & ~drawn.lungs
    drawn.paint(heart | (vessels & (drawn.hu > -300)), blood)
    spine = (drawn.x**2 + (drawn.y - 50) ** 2 < 18**2) & (abs(drawn.z) < 200) & ~drawn.lungs
    drawn.paint(spine, BONE_HU)
    if noise:
        rng = np.random.default_rng(RNG_SEED)
        drawn.hu[...] = np.clip(drawn.hu + rng.normal(0, noise, drawn.hu.shape), -1024, 3071)
    return drawn


def measured(drawn: Chest) -> BloodPool:
    return measure_blood_pool(drawn.volume(), drawn.lungs)


@pytest.mark.parametrize("spacing_mm", [(5.0, 1.5, 1.5), (1.25, 1.5, 1.5), (8.0, 0.75, 0.75)])
@pytest.mark.parametrize(("blood", "verdict"), [(BLOOD_HU, "no"), (ENHANCED_HU, "yes")])
def test_known_blood_and_muscle_at_any_spacing(
    spacing_mm: tuple[float, float, float], blood: int, verdict: str
) -> None:
    found = measured(drawn_chest(blood, spacing_mm))
    assert found.blood_hu == pytest.approx(blood, abs=6)
    assert found.mediastinum_hu == pytest.approx(blood, abs=6)
    assert found.muscle_hu == pytest.approx(MUSCLE_HU, abs=6)
    assert found.blood_ml > 50
    assert pixel_witness(found).verdict == verdict


@pytest.mark.parametrize(("blood", "verdict"), [(BLOOD_HU, "no"), (ENHANCED_HU, "yes")])
def test_noise_of_a_thin_slice_with_a_sharp_kernel(blood: int, verdict: str) -> None:
    found = measured(drawn_chest(blood, (1.25, 1.0, 1.0), noise=80.0))
    assert found.blood_hu == pytest.approx(blood, abs=25)
    assert pixel_witness(found).verdict == verdict


def test_calcium_and_metal_are_not_taken_for_blood() -> None:
    drawn = drawn_chest(BLOOD_HU)
    drawn.paint(drawn.ball(-10, -30, 20, 9), 600)  # a calcified valve
    drawn.paint(drawn.ball(20, -30, 10, 28) & (drawn.hu == BLOOD_HU), METAL_HU)
    found = measured(drawn)
    assert found.blood_hu == pytest.approx(BLOOD_HU, abs=12)
    assert pixel_witness(found).verdict == "no"


def test_only_the_right_heart_enhanced_as_in_pulmonary_angiography() -> None:
    drawn = drawn_chest(BLOOD_HU)
    drawn.paint((drawn.hu == BLOOD_HU) & (drawn.x < 0), 300)
    assert pixel_witness(measured(drawn)).verdict == "yes"


@pytest.mark.parametrize("flip", [(0,), (1,), (2,), (0, 1, 2)])
def test_feet_first_prone_and_mirrored_give_the_same(flip: tuple[int, ...]) -> None:
    drawn = drawn_chest(ENHANCED_HU)
    volume = drawn.volume()
    affine = volume.affine.copy()
    for axis, column in {0: 0, 1: 1, 2: 2}.items():
        if axis in flip:
            affine[:3, 3] += affine[:3, column] * (volume.hu.shape[axis] - 1)
            affine[:3, column] *= -1
    turned = CtVolume(np.ascontiguousarray(np.flip(volume.hu, flip)), affine)
    lungs = np.ascontiguousarray(np.flip(drawn.lungs, flip))
    found, expected = measure_blood_pool(turned, lungs), measured(drawn)
    assert found.blood_hu == pytest.approx(expected.blood_hu, abs=3)
    assert found.blood_ml == pytest.approx(expected.blood_ml, rel=0.1)


@pytest.mark.parametrize("side", [-1, 1])
def test_one_lung_in_view(side: int) -> None:
    drawn = drawn_chest(ENHANCED_HU)
    drawn.lungs[np.broadcast_to(drawn.x * side < 0, drawn.hu.shape)] = False
    found = measured(drawn)
    assert found.blood_ml > 15
    assert pixel_witness(found).verdict == "yes"


def test_the_liver_below_the_lung_is_left_out() -> None:
    drawn = drawn_chest(BLOOD_HU)
    liver = drawn.ball(-50, -10, -76, 42)
    drawn.paint(liver, 110)  # as dense as one with iron or amiodarone
    drawn.lungs[liver] = False
    assert pixel_witness(measured(drawn)).verdict == "no"


def test_bronchi_all_through_the_heart_change_nothing() -> None:
    drawn = drawn_chest(400)
    checks = (drawn.x // 10 + drawn.y // 10) % 2 == 0
    drawn.paint((drawn.hu > 300) & (drawn.hu < 500) & checks, LUNG_HU)
    assert measured(drawn).mediastinum_hu == pytest.approx(400, abs=15)


def test_a_mask_without_lung_gives_nothing() -> None:
    drawn = chest()
    found = measure_blood_pool(drawn.volume(), np.zeros_like(drawn.lungs))
    assert (found.blood_hu, found.muscle_hu, found.blood_ml, found.blood_voxels) == (
        None,
        None,
        0,
        0,
    )


def test_the_mask_must_fit_the_volume() -> None:
    drawn = chest()
    with pytest.raises(ValueError, match="lungs are"):
        measure_blood_pool(drawn.volume(), drawn.lungs[1:])


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_a_few_slices_of_lung_are_measured_without_error(slices: int) -> None:
    drawn = drawn_chest(ENHANCED_HU, (1.0, 1.5, 1.5))
    middle = len(drawn.hu) // 2
    part = slice(middle, middle + slices)
    volume = CtVolume(drawn.hu[part], drawn.volume().affine)
    found = measure_blood_pool(volume, drawn.lungs[part])
    assert found.blood_voxels > 0
    assert found.blood_voxels % slices == 0


def test_two_real_thin_slices_of_a_heart_with_contrast() -> None:
    stored = np.load(Path(__file__).parents[3] / "data" / "lungs" / "lidc_2_slices.npz")
    volume = CtVolume(stored["hu"], stored["affine"])
    found = measure_blood_pool(volume, segment_lungs(volume, minimum_ml=20))
    assert found.blood_hu is not None
    assert found.blood_hu > 300
    assert found.muscle_hu == pytest.approx(50, abs=15)
