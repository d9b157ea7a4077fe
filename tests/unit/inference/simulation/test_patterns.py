"""Each finding that is no infection, for itself: where it lies, how dense it is."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.arrays.patient_axes import patient_view
from inference.simulation.bacterial import community_acquired
from inference.simulation.canvas import Canvas, canvas_of
from inference.simulation.covid19 import covid19
from inference.simulation.influenza import influenza
from inference.simulation.irrelevant import KINDS, findings
from inference.simulation.lesions import Lesion
from support.chest_volume import chest

NAMES = [finding.__name__.removeprefix("_") for finding, _ in KINDS]
SEEDS = range(6)


@cache
def canvas() -> Canvas:
    drawn = chest((5.0, 2.2, 2.2))
    return canvas_of(patient_view(drawn.volume(), drawn.lungs))


@cache
def drawn(name: str) -> list[Lesion]:
    """The lesions of one kind over all seeds."""
    finding, _ = KINDS[NAMES.index(name)]
    sites = canvas().anatomy.sites
    found: list[Lesion] = []
    for seed in SEEDS:
        found += finding(canvas(), np.random.default_rng(seed), sites)
    return found


def middle(lesion: Lesion) -> NDArray[np.float64]:
    """Centre of mass (mm)."""
    total = lesion.fraction.sum()
    sums = [(lesion.fraction.sum(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    starts = zip(sums, lesion.cut, canvas().spacing_mm, strict=True)
    return np.array([(s * (np.arange(len(s)) + c.start) * mm).sum() / total for s, c, mm in starts])


def mm3(lesion: Lesion) -> float:
    return float(lesion.fraction.sum()) * float(np.prod(canvas().spacing_mm))


def heights(name: str) -> NDArray[np.float64]:
    """Of the middles: 0 at the lungs' lowest slice, 1 at the highest."""
    lowest, highest = (
        end * canvas().spacing_mm[0] for end in (canvas().box[0].start, canvas().box[0].stop)
    )
    return np.array([(middle(each)[0] - lowest) / (highest - lowest) for each in drawn(name)])


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_draws_fractions_of_its_box(name: str) -> None:
    lesions = drawn(name)
    assert lesions
    for each in lesions:
        assert each.fraction.dtype == np.float32
        assert each.fraction.shape == tuple(side.stop - side.start for side in each.cut)
        assert each.fraction.min(initial=0.0) >= 0
        assert each.fraction.max(initial=0.0) <= 1.0
    assert max(float(each.fraction.max(initial=0.0)) for each in lesions) > 0.15


def test_a_mass_is_larger_than_a_nodule_and_a_spot_is_denser_than_both() -> None:
    spots, nodules, masses = (drawn(name) for name in ("calcified", "nodules", "mass"))
    assert max(map(mm3, spots)) < np.median([mm3(each) for each in masses])
    assert np.median([mm3(each) for each in nodules]) < np.median([mm3(each) for each in masses])
    assert min(each.fill_hu for each in spots) >= 250 > max(each.fill_hu for each in nodules)


def test_emphysema_is_many_dark_holes_high_up() -> None:
    holes = drawn("emphysema")
    assert len(holes) > 10 * len(SEEDS)
    assert {each.fill_hu for each in holes} == {-985.0}
    assert np.median(heights("emphysema")) > 0.5


def test_an_apical_cap_is_at_the_top_and_atelectasis_and_effusion_are_below() -> None:
    assert heights("apical_cap").min() > 0.85
    assert heights("dependent").max() < 0.7
    assert heights("effusion").max() < 0.6


def test_atelectasis_and_effusion_lie_at_the_back() -> None:
    y = canvas().anatomy.sites.position[:, 1]
    for name in ("dependent", "effusion"):
        for each in drawn(name):
            assert middle(each)[1] > np.quantile(y, 0.6)


def test_an_effusion_is_even_and_of_water() -> None:
    for each in drawn("effusion"):
        full = each.fraction > 0.99
        assert full.any()
        assert 0 <= each.fill_hu <= 25


def test_a_scar_is_thin() -> None:
    for each in drawn("scars"):
        box = np.prod([side.stop - side.start for side in each.cut])
        assert (each.fraction > 0.3).sum() < 0.3 * box


def test_no_kind_comes_twice_in_a_scan() -> None:
    for seed in SEEDS:
        kinds = {each.kind for each in findings(canvas(), np.random.default_rng(seed), 4)}
        assert 3 <= len(kinds) <= 4  # a cap may find no room in a lung


def test_pneumonia_reaches_from_near_the_hilum_to_the_pleura() -> None:
    reached = []
    for seed in range(12):
        for each in community_acquired(canvas(), np.random.default_rng(seed)):
            if each.kind != "consolidation":
                continue
            points = canvas().points(each.cut)
            outer = canvas().settle(canvas().anatomy.costal.at(points)) < 8
            reached.append(float(each.fraction[outer].max(initial=0.0)))
            assert each.fraction.max() > 0.75
    assert len(reached) > 4
    assert np.median(reached) > 0.7


def test_an_influenza_scan_has_patches_and_bronchi_with_open_lumen() -> None:
    for seed in SEEDS:
        kinds = [each.kind for each in influenza(canvas(), np.random.default_rng(seed))]
        assert "bronchial wall" in kinds
        assert any(kind.startswith("ground glass along the bronchi") for kind in kinds)


def test_influenza_spares_what_lies_below_the_ribs() -> None:
    for each in influenza(canvas(), np.random.default_rng(3)):
        if each.kind == "bronchial wall":
            continue
        points = canvas().points(each.cut)
        costal = canvas().anatomy.costal.at(points)
        layers = costal.reshape(-1, canvas().layers, *costal.shape[1:])
        assert not each.fraction[layers.max(axis=1) < 4.0].any()


def test_some_covid_is_paved_and_some_consolidated() -> None:
    kinds = [
        {each.kind for each in covid19(canvas(), np.random.default_rng(seed))} for seed in range(14)
    ]
    for kind in ("ground glass", "crazy paving", "ground glass with consolidation"):
        assert 1 <= sum(kind in each for each in kinds) < 14
