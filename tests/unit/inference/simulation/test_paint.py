"""What is painted: where, by how much, and that nothing but the lesion tells."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from inference.arrays.components import Mask, dilate_in_plane, label_volume
from inference.errors import NoLungsError
from inference.lungs.sides import lung_sides
from inference.regions import Side
from inference.simulation.paint import SEEN_HU, paint
from inference.simulation.patterns import Painted, Pattern
from inference.volume import CtVolume
from support.chest_volume import LUNG_AXES, LUNG_CENTRES, Chest, chest
from support.orientations import AXIAL, Stored, stored, turned

SPACING = (6.0, 2.2, 2.2)
SEEDS = range(8)
SICK = (Pattern.COVID19, Pattern.CAP, Pattern.INFLUENZA)
ALL = (*SICK, Pattern.IRRELEVANT)
NOISE_HU = 15.0


@cache
def host() -> Chest:
    return chest(SPACING)


@cache
def painted(pattern: Pattern, seed: int) -> Painted:
    return paint(host().volume(), host().lungs, pattern, seed)


def of_class(pattern: Pattern, seed: int) -> Mask:
    """Voxels of the pattern's own lesions, without the findings beside them."""
    one = painted(pattern, seed)
    own = [mark.number for mark in one.marks if mark.class_name == pattern]
    return np.isin(one.lesions, own)


def change(pattern: Pattern, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return painted(pattern, seed).volume.hu.astype(np.float64) - host().hu


def ml(pattern: Pattern) -> list[float]:
    return [float(of_class(pattern, seed).sum()) * host().volume().voxel_ml for seed in SEEDS]


@pytest.mark.parametrize("pattern", ALL)
def test_lesions_stay_in_the_lungs_and_the_rim_of_their_pleura(pattern: Pattern) -> None:
    near = dilate_in_plane(host().lungs, 1)
    for seed in SEEDS:
        assert not (painted(pattern, seed).lesions[~near]).any()
        assert not change(pattern, seed)[~near].any()


@pytest.mark.parametrize("pattern", ALL)
def test_the_truth_is_what_changed(pattern: Pattern) -> None:
    """Beyond the noise that is given back, all that moved is a lesion, and lesions moved."""
    for seed in SEEDS:
        moved, lesions = abs(change(pattern, seed)), painted(pattern, seed).lesions > 0
        assert lesions.any()
        assert (moved[~lesions] > SEEN_HU + 5 * NOISE_HU).mean() < 1e-4
        assert (moved[lesions] > SEEN_HU - 2 * NOISE_HU).mean() > 0.95


@pytest.mark.parametrize("pattern", ALL)
def test_every_mark_has_voxels_and_a_box_about_them(pattern: Pattern) -> None:
    one = painted(pattern, 3)
    assert [mark.number for mark in one.marks] == list(range(1, len(one.marks) + 1))
    assert set(np.unique(one.lesions)) == {0, *(mark.number for mark in one.marks)}
    assert pattern in {mark.class_name for mark in one.marks}
    for mark in one.marks:
        index = np.argwhere(one.lesions == mark.number)
        ends = np.stack([index.min(axis=0) - 0.5, index.max(axis=0) + 0.5])
        corners = [one.volume.to_lps((z, y, x)) for z, y, x in ends.tolist()]
        np.testing.assert_allclose(mark.box, corners, atol=1e-6)
        assert mark.kind


def test_a_clean_scan_is_the_host() -> None:
    clean = painted(Pattern.CLEAN, 0)
    np.testing.assert_array_equal(clean.volume.hu, host().hu)
    assert clean.marks == ()
    assert not clean.lesions.any()


@pytest.mark.parametrize("pattern", ALL)
def test_the_same_seed_paints_the_same_and_another_does_not(pattern: Pattern) -> None:
    again = paint(host().volume(), host().lungs, pattern, 1)
    np.testing.assert_array_equal(again.volume.hu, painted(pattern, 1).volume.hu)
    np.testing.assert_array_equal(again.lesions, painted(pattern, 1).lesions)
    assert again.marks == painted(pattern, 1).marks
    assert (painted(pattern, 2).volume.hu != again.volume.hu).any()


@pytest.mark.parametrize("how", [AXIAL[5], Stored((2, 0, 1), (True, False, True))], ids=str)
@pytest.mark.parametrize("pattern", [Pattern.COVID19, Pattern.IRRELEVANT])
def test_a_patient_is_painted_the_same_however_stored(pattern: Pattern, how: Stored) -> None:
    other = paint(stored(host().volume(), how), turned(host().lungs, how), pattern, 4)
    straight = painted(pattern, 4)
    np.testing.assert_array_equal(other.volume.hu, turned(straight.volume.hu, how))
    np.testing.assert_array_equal(other.lesions, turned(straight.lesions, how))
    found = np.array([mark.box for mark in other.marks])
    np.testing.assert_allclose(found, [mark.box for mark in straight.marks], atol=1e-6)


def depth_mm(mask: Mask) -> float:
    """Mean distance from the lung's lateral wall, of drawn ellipsoids, by radius (0 to 1) left."""
    drawn = host()
    a, b, c = LUNG_AXES
    outward = np.zeros(mask.shape)
    for cx, cy in LUNG_CENTRES:
        radius = np.sqrt((drawn.z / a) ** 2 + ((drawn.y - cy) / b) ** 2 + ((drawn.x - cx) / c) ** 2)
        lateral = np.where(np.sign(drawn.x - cx) == np.sign(cx), 1.0, 0.4)
        outward = np.where(radius < 1.1, np.maximum(outward, radius * lateral), outward)
    return float((1 - outward[mask]).mean())


def test_covid_lies_further_out_than_influenza() -> None:
    covid = [depth_mm(of_class(Pattern.COVID19, seed)) for seed in SEEDS]
    influenza = [depth_mm(of_class(Pattern.INFLUENZA, seed)) for seed in SEEDS]
    assert np.median(covid) < np.median(influenza) - 0.1


def test_covid_lies_low_and_at_the_back() -> None:
    drawn = host()
    where = np.concatenate([np.argwhere(of_class(Pattern.COVID19, seed)) for seed in SEEDS])
    assert np.median(drawn.y[0, where[:, 1], 0]) > 10
    assert np.median(drawn.z[where[:, 0], 0, 0]) < 0


def one_sided(pattern: Pattern) -> float:
    sides = lung_sides(host().volume(), host().lungs)
    shares = []
    for seed in SEEDS:
        found = np.bincount(sides[of_class(pattern, seed)], minlength=3)
        shares.append(found[[Side.RIGHT, Side.LEFT]].max() / found[1:].sum())
    return float(np.mean(np.array(shares) > 0.95))


def test_covid_is_in_both_lungs_and_pneumonia_mostly_in_one() -> None:
    assert one_sided(Pattern.COVID19) <= 0.3
    assert one_sided(Pattern.CAP) >= 0.5


def test_covid_is_several_lesions() -> None:
    counts = [
        sum(mark.class_name == Pattern.COVID19 for mark in painted(Pattern.COVID19, seed).marks)
        for seed in SEEDS
    ]
    assert min(counts) >= 2
    assert np.median(counts) >= 4


def test_ground_glass_is_half_way_and_consolidation_is_dense() -> None:
    covid = np.concatenate(
        [painted(Pattern.COVID19, s).volume.hu[of_class(Pattern.COVID19, s)] for s in SEEDS]
    )
    pneumonia = np.concatenate(
        [painted(Pattern.CAP, s).volume.hu[of_class(Pattern.CAP, s)] for s in SEEDS]
    )
    assert -720 < np.median(covid) < -350
    assert np.percentile(covid, 99) > -300  # some of it is consolidated
    assert (pneumonia > -150).mean() > 0.2
    assert pneumonia.max() < 150


@pytest.mark.parametrize("pattern", SICK)
def test_neither_volume_nor_contrast_tells_infection_from_the_rest(pattern: Pattern) -> None:
    """The middle halves of both distributions overlap with those of the distractors."""
    sick, other = ml(pattern), ml(Pattern.IRRELEVANT)
    assert np.percentile(sick, 75) > np.percentile(other, 25)
    assert np.percentile(other, 75) > np.percentile(sick, 25)
    strong, faint = (
        [float(abs(change(each, seed))[of_class(each, seed)].mean()) for seed in SEEDS]
        for each in (pattern, Pattern.IRRELEVANT)
    )
    assert max(strong) > np.percentile(faint, 25)
    assert np.percentile(strong, 25) < max(faint)


def flat_host(deviation: float) -> tuple[CtVolume, Mask]:
    """The drawn chest with noise of another strength, smooth along rows and columns."""
    drawn = host()
    clean = np.where(drawn.lungs, -850.0, np.where(drawn.hu > -400, 40.0, -1000.0))
    noise = np.random.default_rng(8).standard_normal(clean.shape)
    for axis in (1, 2):
        noise = (np.roll(noise, 1, axis) + 2 * noise + np.roll(noise, -1, axis)) / 4
    hu = (clean + deviation * noise / noise.std()).astype(np.int16)
    return CtVolume(hu, drawn.volume().affine), drawn.lungs


@pytest.mark.parametrize("deviation", [10.0, 35.0])
def test_inside_lesions_noise_is_as_strong_and_as_smooth_as_outside(deviation: float) -> None:
    """Differences of neighbours in effusions and masses, which have no texture of their own,
    against those of the host's muscle; mixing alone would leave none of it."""
    volume, lungs = flat_host(deviation)
    inside = []
    for seed in range(14):
        one = paint(volume, lungs, Pattern.IRRELEVANT, seed)
        even = [mark.number for mark in one.marks if mark.kind in ("effusion", "mass")]
        full = np.isin(one.lesions, even) & (one.volume.hu > -20 - 3 * deviation)
        core = full[:, :, 3:] & full[:, :, :-3] & full[:, :, 1:-2] & full[:, :, 2:-1]
        hu = one.volume.hu.astype(np.float64)
        inside.append((hu[:, :, 1:-2] - hu[:, :, 2:-1])[core])
    body = host().hu > -200
    core = body[:, :, 3:] & body[:, :, :-3] & body[:, :, 1:-2] & body[:, :, 2:-1]
    hu = volume.hu.astype(np.float64)
    outside = (hu[:, :, 1:-2] - hu[:, :, 2:-1])[core]
    found = np.concatenate(inside)
    assert len(found) > 1000
    assert found.std() == pytest.approx(outside.std(), rel=0.2)


def test_vessels_go_on_through_ground_glass_and_denser_things_are_left_alone() -> None:
    drawn = chest(SPACING)
    across = (abs(drawn.y - 40) < 3) & (abs(drawn.z) < 90)
    vessel = np.broadcast_to(across, drawn.hu.shape) & drawn.lungs
    clip = drawn.ball(-20, 45, 80, 5)
    drawn.paint(vessel, 40)
    drawn.paint(clip, 900)
    one = paint(drawn.volume(), drawn.lungs, Pattern.COVID19, 2)
    hit = (one.lesions > 0) & drawn.lungs
    assert (hit & dilate_in_plane(vessel, 2)).sum() > 50
    assert one.volume.hu[vessel].min() > -200
    np.testing.assert_array_equal(one.volume.hu[clip], 900)


def test_bronchi_stay_open_in_consolidation() -> None:
    """Air finer than the lung about it is not filled: an air bronchogram of the host's own."""
    drawn = chest(SPACING)
    apart = (drawn.y % 30 - 15) ** 2 + (drawn.x % 30 - 15) ** 2
    bronchi = np.broadcast_to(apart < 3.5**2, drawn.hu.shape) & drawn.lungs
    drawn.paint(bronchi, -1000)
    kept = []
    for seed in SEEDS:
        one = paint(drawn.volume(), drawn.lungs, Pattern.CAP, seed)
        dense = dilate_in_plane((one.volume.hu > -150) & drawn.lungs & ~bronchi, 2)
        kept += [one.volume.hu[dense & bronchi & (apart < 2.2**2)]]
    assert np.median(np.concatenate(kept)) < -950


def test_a_thick_slice_shows_the_mean_of_what_thin_ones_show() -> None:
    thick, thin = (chest((mm, 2.2, 2.2)) for mm in (6.0, 2.0))
    counts = []
    for drawn in (thick, thin):
        one = paint(drawn.volume(), drawn.lungs, Pattern.CAP, 6)
        counts.append(float((one.lesions > 0).sum()) * drawn.volume().voxel_ml)
    assert counts[0] == pytest.approx(counts[1], rel=0.5)
    layered = paint(thick.volume(), thick.lungs, Pattern.IRRELEVANT, 7)
    assert label_volume(layered.lesions > 0).count >= 1


def test_too_little_lung_is_refused() -> None:
    drawn = host()
    with pytest.raises(NoLungsError):
        paint(drawn.volume(), np.zeros_like(drawn.lungs), Pattern.COVID19, 0)
    with pytest.raises(ValueError, match="are not those of a volume"):
        paint(drawn.volume(), drawn.lungs[1:], Pattern.COVID19, 0)
