from __future__ import annotations

import numpy as np
import pytest

from inference.lungs.sides import lung_sides, side_cells
from inference.regions import Side, VoxelBox
from inference.volume import CtVolume
from support.chest_volume import LUNG_HU, TISSUE_HU, Chest, chest
from support.orientations import AXIAL, Stored, stored, turned

SIDEWAYS = Stored((2, 0, 1), (False, True, False))


@pytest.fixture
def drawn() -> Chest:
    return chest((8.0, 3.0, 3.0))


@pytest.mark.parametrize("how", [*AXIAL, SIDEWAYS], ids=str)
def test_right_is_the_patients_right_however_it_is_stored(drawn: Chest, how: Stored) -> None:
    truth = np.where(drawn.x < 0, Side.RIGHT, Side.LEFT) * drawn.lungs
    sides = lung_sides(stored(drawn.volume(), how), turned(drawn.lungs, how))
    assert (sides == turned(truth, how)).all()


@pytest.mark.parametrize("how", [*AXIAL, SIDEWAYS], ids=str)
def test_within_a_box_they_are_those_of_the_volume(drawn: Chest, how: Stored) -> None:
    volume, lungs = stored(drawn.volume(), how), turned(drawn.lungs, how)
    sides, cells = lung_sides(volume, lungs), side_cells(volume, lungs)
    slices, rows, columns = lungs.shape
    box = VoxelBox((1, slices - 2), (rows // 5, rows - 3), (columns // 7, columns - 1))
    assert {int(side) for side in np.unique(sides[box.part])} == {0, Side.RIGHT, Side.LEFT}
    assert np.array_equal(cells.within(box), sides[box.part])


def test_lungs_that_touch_are_parted(drawn: Chest) -> None:
    bridge = (abs(drawn.y + 50) < 4) & (abs(drawn.x) < 60) & (abs(drawn.z) < 12)
    drawn.paint(bridge, LUNG_HU)
    sides = lung_sides(drawn.volume(), drawn.lungs | bridge)
    assert (sides[drawn.lungs & (drawn.x < 0)] == Side.RIGHT).all()
    assert (sides[drawn.lungs & (drawn.x > 0)] == Side.LEFT).all()


def test_lungs_grown_into_one_are_parted_at_the_middle_of_the_body(drawn: Chest) -> None:
    block = np.broadcast_to((abs(drawn.y) < 60) & (abs(drawn.x) < 90), drawn.hu.shape)
    drawn.paint(np.asarray(block), LUNG_HU)
    sides = lung_sides(drawn.volume(), np.asarray(block))
    right, left = (int((sides == side).sum()) for side in Side)
    assert right == pytest.approx(left, rel=0.1)


@pytest.mark.parametrize(("gone", "side"), [(-1, Side.LEFT), (1, Side.RIGHT)])
def test_one_lung_alone_is_on_its_side(drawn: Chest, gone: int, side: Side) -> None:
    lost = drawn.lungs & (np.sign(drawn.x) == gone)
    drawn.paint(lost, TISSUE_HU)
    sides = lung_sides(drawn.volume(), drawn.lungs & ~lost)
    assert set(np.unique(sides).tolist()) == {0, side}


def test_no_lung_has_no_side_and_another_shape_is_refused(drawn: Chest) -> None:
    nothing = np.zeros_like(drawn.lungs)
    assert not lung_sides(drawn.volume(), nothing).any()
    with pytest.raises(ValueError, match="are not those of a volume"):
        lung_sides(drawn.volume(), nothing[1:])


def test_two_slices_of_a_patient(drawn: Chest) -> None:
    volume = drawn.volume()
    thin = CtVolume(volume.hu[15:17], volume.affine)
    sides = lung_sides(thin, drawn.lungs[15:17])
    assert {int((sides == side).sum() > 100) for side in Side} == {1}
