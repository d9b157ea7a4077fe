"""What the survey of a drawn chest says of its sites, against where they were drawn."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from inference.arrays.patient_axes import patient_view
from inference.errors import NoLungsError
from inference.regions import Side
from inference.simulation.anatomy import MINIMUM_ML, Anatomy, survey
from support.chest_volume import HEIGHT_MM, LUNG_AXES, LUNGS_ML, WIDTH_MM, chest
from support.orientations import AXIAL, stored, turned

SPACING = (6.0, 2.2, 2.2)


@cache
def surveyed(orientation: int = 0) -> Anatomy:
    drawn = chest(SPACING)
    how = AXIAL[orientation]
    return survey(patient_view(stored(drawn.volume(), how), turned(drawn.lungs, how)))


def test_the_volume_of_the_lungs_is_right() -> None:
    assert surveyed().lungs_ml == pytest.approx(LUNGS_ML, rel=0.03)


def test_right_and_left_are_told_apart() -> None:
    sites = surveyed().sites
    middle = WIDTH_MM / 2
    assert (sites.position[sites.side == Side.RIGHT, 2] < middle).all()
    assert (sites.position[sites.side == Side.LEFT, 2] > middle).all()


def test_height_and_back_rise_from_base_to_apex_and_from_front_to_back() -> None:
    sites = surveyed().sites
    above = (sites.position[:, 0] - HEIGHT_MM / 2) / LUNG_AXES[0]  # -1 at the base, 1 at the apex
    assert np.corrcoef(above, sites.height)[0, 1] > 0.99
    assert np.corrcoef(sites.position[:, 1], sites.back)[0, 1] > 0.99
    assert (sites.height.min(), sites.height.max()) == (0.0, 1.0)


def test_depth_below_the_ribs_grows_towards_the_mediastinum_too() -> None:
    """The surface beside the heart is no costal one: it is deep, though lung ends there."""
    sites = surveyed().sites
    medial = abs(sites.position[:, 2] - WIDTH_MM / 2) < 28
    level = abs(sites.height - 0.5) < 0.1
    beside = sites.of(medial & level & (abs(sites.back - 0.5) < 0.1))
    assert len(beside) > 2
    assert beside.surface_mm.max() < 12
    assert beside.costal_mm.min() > 50


def test_a_hilum_lies_on_the_middle_side_of_its_lung_half_way_up() -> None:
    anatomy = surveyed()
    for side, sign in ((Side.RIGHT, -1), (Side.LEFT, 1)):
        z, _, x = anatomy.hila[side]
        assert 15 < sign * (x - WIDTH_MM / 2) < 60  # the lungs' middles are 72 mm out
        assert abs(z - HEIGHT_MM / 2) < 0.3 * LUNG_AXES[0]


def test_inward_points_away_from_the_ribs() -> None:
    sites = surveyed().sites
    lateral = (sites.side == Side.LEFT) & (sites.position[:, 2] > WIDTH_MM / 2 + 105)
    assert (sites.inward[lateral, 2] < 0).mean() > 0.95
    assert np.linalg.norm(sites.inward, axis=1).max() < 1.01


@pytest.mark.parametrize("orientation", [1, 3, 7])
def test_the_survey_is_the_same_however_the_volume_is_stored(orientation: int) -> None:
    one, other = surveyed().sites, surveyed(orientation).sites
    assert len(one) == len(other)
    for name in ("position", "costal_mm", "height", "back", "hilar_mm"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_too_little_lung_is_refused_with_how_much_there_is() -> None:
    drawn = chest(SPACING)
    little = drawn.lungs & drawn.ball(0, 0, 72, 20)
    with pytest.raises(NoLungsError) as refused:
        survey(patient_view(drawn.volume(), little))
    assert refused.value.found == pytest.approx(4 / 3 * np.pi * 8, rel=0.15)
    assert refused.value.limit == MINIMUM_ML
