from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.arrays.components import label_volume, sizes
from inference.errors import NoLungsError
from inference.lungs.airways import Grid, find_airways
from inference.lungs.thresholds import MINIMUM_LUNGS_ML, segment_lungs
from inference.volume import CtVolume
from support.chest_volume import (
    GAS_HU,
    LUNG_HU,
    LUNGS_ML,
    TISSUE_HU,
    Chest,
    airways,
    chest,
    dice,
)

DATA = Path(__file__).parents[3] / "data" / "lungs"


@pytest.mark.parametrize("spacing_mm", [(5.0, 1.5, 1.5), (2.5, 1.0, 1.0), (8.0, 0.7, 0.7)])
def test_the_volume_of_known_lungs_at_any_spacing(spacing_mm: tuple[float, float, float]) -> None:
    drawn = chest(spacing_mm)
    volume = drawn.volume()
    found = segment_lungs(volume)
    assert found.sum() * volume.voxel_ml == pytest.approx(LUNGS_ML, rel=0.02)
    assert dice(found, drawn.lungs) > 0.985
    assert not (found & airways(drawn)).any()


def test_slices_from_the_head_downwards_give_the_same_lungs() -> None:
    drawn = chest()
    volume = drawn.volume()
    affine = volume.affine.copy()
    affine[2, 0] *= -1
    turned = CtVolume(np.ascontiguousarray(volume.hu[::-1]), affine)
    assert (segment_lungs(turned)[::-1] == segment_lungs(volume)).all()


def test_gas_in_the_bowel_that_touches_the_lung_from_slice_to_slice_stays_out() -> None:
    drawn = chest()
    bowel = drawn.ball(-82, 0, 72, 24) & (drawn.z < -74)
    drawn.paint(bowel, GAS_HU)
    below = bowel & ~drawn.lungs
    found = segment_lungs(drawn.volume())
    assert below.sum() > 400
    assert (found & below).sum() < 0.1 * below.sum()


def test_gas_in_the_bowel_far_below_stays_out() -> None:
    drawn = chest()
    bowel = drawn.ball(-112, -40, 30, 16)
    drawn.paint(bowel, -700)  # with stool, as light as lung
    assert not (segment_lungs(drawn.volume()) & bowel).any()


def test_air_between_arm_and_chest_stays_out() -> None:
    drawn = chest()
    gap = np.broadcast_to(((drawn.y / 40) ** 2 + ((drawn.x - 143) / 8) ** 2) < 1, drawn.hu.shape)
    drawn.paint(np.asarray(gap), GAS_HU)
    assert not (segment_lungs(drawn.volume()) & gap & ~drawn.lungs).any()


def test_the_domes_of_the_liver_are_not_filled() -> None:
    drawn = chest()
    dome = drawn.ball(-110, 0, -72, 70) & (abs(drawn.x + 72) < 40) & (abs(drawn.y) < 55)
    drawn.paint(dome, TISSUE_HU)
    assert (dome & drawn.lungs).sum() > 5000
    found = segment_lungs(drawn.volume())
    assert (found & dome).sum() < 0.05 * (dome & drawn.lungs).sum()


@pytest.mark.parametrize(
    ("where", "radius", "part"),
    # The disc that closes cannot follow the curve of the chest wall where the wall is not seen.
    [((0, 0, -72), 7.0, 0.99), ((0, 0, -72), 15.0, 0.99), ((20, 0, 122), 7.0, 0.7)],
    ids=["vessel or nodule", "mass with lung all about it", "consolidation at the pleura"],
)
def test_dense_things_in_the_lung_belong_to_it(
    where: tuple[float, float, float], radius: float, part: float
) -> None:
    drawn = chest()
    dense = drawn.ball(*where, radius) & drawn.lungs
    drawn.paint(dense, TISSUE_HU)
    found = segment_lungs(drawn.volume())
    assert (found & dense).sum() > part * dense.sum()


def test_lungs_that_touch_do_not_take_in_the_mediastinum() -> None:
    drawn = chest()
    bridge = (abs(drawn.y + 50) < 2) & (abs(drawn.x) < 60) & (abs(drawn.z) < 12)
    drawn.paint(bridge, LUNG_HU)
    between = (abs(drawn.y) < 40) & (abs(drawn.x) < 15) & (abs(drawn.z) < 12)
    found = segment_lungs(drawn.volume())
    counts = sizes(label_volume(found))
    assert (counts > 0.1 * counts.max()).sum() == 1
    assert (found & between).sum() < 0.01 * between.sum()


@pytest.mark.parametrize("cut", [np.s_[:, :, 60:], np.s_[:, :, :180], np.s_[:, 60:, 50:190]])
def test_lungs_that_the_field_of_view_cuts_off_are_found(cut: tuple[slice, ...]) -> None:
    """It ends within a lung, so that nothing in the slices shuts that lung off from the room."""
    drawn = chest()
    hu = np.ascontiguousarray(drawn.hu[cut])
    found = segment_lungs(CtVolume(hu, drawn.volume().affine))
    assert drawn.lungs[cut][:, :, (0, -1)].any()
    assert dice(found, drawn.lungs[cut]) > 0.97


def test_one_lung_alone_is_found() -> None:
    drawn = chest()
    drawn.paint(drawn.lungs & (drawn.x > 0), TISSUE_HU)
    found = segment_lungs(drawn.volume())
    assert dice(found, drawn.lungs & (drawn.x < 0)) > 0.98


def test_a_slice_whose_sides_are_no_multiple_of_the_coarse_grid() -> None:
    drawn = chest((5.0, 0.77, 0.77))
    odd = Chest(
        drawn.hu[:, 3:-4, 3:-4].copy(),
        drawn.lungs[:, 3:-4, 3:-4],
        drawn.spacing_mm,
        drawn.z,
        drawn.y[:, 3:-4],
        drawn.x[:, :, 3:-4],
    )
    assert odd.hu.shape[1] % 2 == 0 or odd.hu.shape[2] % 2 == 0
    assert dice(segment_lungs(odd.volume()), odd.lungs) > 0.985


def test_a_body_without_lungs_is_refused_with_both_figures() -> None:
    drawn = chest()
    drawn.paint(drawn.lungs, TISSUE_HU)
    sinus = drawn.ball(-60, 0, 0, 20)
    drawn.paint(sinus, -800)
    with pytest.raises(NoLungsError) as caught:
        segment_lungs(drawn.volume())
    assert caught.value.limit == MINIMUM_LUNGS_ML
    assert caught.value.found == pytest.approx(4 / 3 * np.pi * 8, rel=0.15)
    assert "ml found, at least 150.0 ml asked for" in str(caught.value)


@pytest.mark.parametrize("hu", [-1024, 40])
def test_nothing_but_air_or_water_is_refused(hu: int) -> None:
    volume = CtVolume(np.full((3, 40, 40), hu, np.int16), np.diag([5.0, 1.0, 1.0, 1.0]))
    with pytest.raises(NoLungsError) as caught:
        segment_lungs(volume)
    assert caught.value.found == 0.0


def test_the_airways_end_in_the_lungs() -> None:
    drawn = chest()
    grid = Grid(5.0, (1.5, 1.5), headwards=True)
    body = np.broadcast_to((drawn.y / 110) ** 2 + (drawn.x / 160) ** 2 < 1, drawn.hu.shape)
    found = find_airways(drawn.hu.astype(np.float32), np.asarray(body), grid)
    assert dice(found, airways(drawn)) > 0.9


def test_two_slices_of_a_patient_against_a_published_network() -> None:
    stored = np.load(DATA / "lidc_2_slices.npz")
    found = segment_lungs(CtVolume(stored["hu"], stored["affine"]), minimum_ml=20)
    right, left = int(found[:, :, :256].sum()), int(found[:, :, 256:].sum())
    # Of tests/data/lungs/README.md; the network also finds the dense dependent lung.
    assert right == pytest.approx(64752, rel=0.06)
    assert left == pytest.approx(36536, rel=0.06)
