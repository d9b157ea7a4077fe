"""What is kept of a scan for location attention is what is computed in use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from inference.arrays.patient_axes import patient_view
from inference.errors import NoLungsError
from inference.location_attention.measures import boxes_in_view
from inference.location_attention.network import CLASSES
from inference.location_attention.patches import images_with_lung, patches
from inference.location_attention.preprocess import region_grid
from inference.training.regions.crops import crop, drawn_crop, flipped
from inference.training.regions.data import (
    LESION,
    NOTHING,
    UNCOUNTED,
    StoredGrid,
    region_tensors,
    stored_view,
    to_grid,
)
from inference.training.scan import LoadedScan
from support.labelled_scans import (
    COVID,
    IRRELEVANT,
    SETTINGS,
    known_lungs,
    labelled,
    prepared,
)
from support.orientations import AXIAL, Stored, stored, turned

FOCUS, SCAR = (0.0, 20.0, -70.0, 30.0), (30.0, 0.0, 80.0, 25.0)
OTHER = 2
HALF_LEVEL = 0.5 / 255 + 1e-6
STORED = HALF_LEVEL + 0.5 / 1500  # and half a HU


@pytest.fixture(scope="module")
def scan() -> LoadedScan:
    return labelled({FOCUS: COVID, SCAR: IRRELEVANT})


def _tensors(scan: LoadedScan) -> dict[str, Tensor]:
    return region_tensors(scan, known_lungs(scan), COVID, CLASSES, SETTINGS)


@pytest.fixture(scope="module")
def grid(scan: LoadedScan, tmp_path_factory: pytest.TempPathFactory) -> StoredGrid:
    return StoredGrid(prepared(tmp_path_factory.mktemp("cache"), "a", COVID, _tensors(scan)))


@pytest.mark.parametrize(
    "how", [AXIAL[0], AXIAL[3], Stored((2, 0, 1), (True, False, True))], ids=str
)
def test_the_grid_is_the_one_of_use_however_stored(scan: LoadedScan, how: Stored) -> None:
    assert scan.lesions is not None
    lungs = turned(known_lungs(scan), how)
    other = LoadedScan(stored(scan.volume, how), lungs, turned(scan.lesions, how), scan.boxes)
    tensors = _tensors(other)
    used = region_grid(patient_view(other.volume, lungs), SETTINGS)
    for name, wanted in (("values", used.values), ("lungs", used.lungs)):
        assert np.abs(tensors[name].numpy() / 255 - wanted).max() <= HALF_LEVEL
    assert (tensors["truth"].numpy() == _tensors(scan)["truth"].numpy()).mean() > 0.999


def test_truth_is_where_the_lesions_are(scan: LoadedScan) -> None:
    tensors = _tensors(scan)
    truth, (focus, scar) = tensors["truth"].numpy(), tensors["boxes"].numpy()
    cell_ml = 8 * 5 * 5 / 1000
    for value, box, radius in ((LESION, focus, 30), (UNCOUNTED, scar, 25)):
        places = np.argwhere(truth == value)
        assert (places.min(axis=0) >= box[0] - 1).all()
        assert (places.max(axis=0) + 1 <= box[1] + 1).all()
        assert len(places) * cell_ml == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.15)
    assert tensors["classes"].tolist() == [0, 2]
    assert truth[tensors["lungs"].numpy() == 0].max() == NOTHING


def test_an_infection_within_an_irrelevant_lesion_is_one(scan: LoadedScan) -> None:
    assert scan.lesions is not None
    all_one = np.where(scan.lesions > 0, 1, 0).astype(np.uint16)
    both = replace(scan, lesions=all_one, boxes=(scan.boxes[0],))
    assert UNCOUNTED not in _tensors(both)["truth"].numpy()


def test_boxes_of_the_grid_and_of_the_view_are_each_others_inverse(scan: LoadedScan) -> None:
    view = patient_view(scan.volume, known_lungs(scan))
    grid = region_grid(view, SETTINGS)
    box = np.array([[3.0, 4.0, 5.0], [9.5, 20.0, 30.25]])
    assert boxes_in_view(to_grid(box, grid)[None], grid, view)[0] == pytest.approx(box)


def test_without_a_mask_boxes_are_known_and_voxels_are_not(tmp_path: Path) -> None:
    boxed = labelled({FOCUS: COVID}, masks=False)
    stored_grid = StoredGrid(prepared(tmp_path, "b", COVID, _tensors(boxed)))
    masked = _tensors(labelled({FOCUS: COVID}))
    assert not stored_grid.known
    assert stored_grid.boxes == pytest.approx(masked["boxes"].numpy(), abs=1e-6)
    piece = crop(stored_grid, (0, 0, 0), (16, 16, 16), OTHER)
    assert piece.counts.sum() == 0


def test_an_empty_mask_of_lungs_is_refused(scan: LoadedScan) -> None:
    with pytest.raises(NoLungsError):
        region_tensors(scan, np.zeros_like(known_lungs(scan)), COVID, CLASSES, SETTINGS)


def test_patches_of_the_stored_view_are_those_of_use(scan: LoadedScan, tmp_path: Path) -> None:
    view = patient_view(scan.volume, known_lungs(scan))
    kept = stored_view(prepared(tmp_path, "a", COVID, _tensors(scan)), SETTINGS)
    used = region_grid(view, SETTINGS)
    again = region_grid(kept.view, SETTINGS)
    assert np.abs(again.values - used.values).max() <= STORED
    cubes = _tensors(scan)["boxes"].numpy()
    for there, here in zip(
        boxes_in_view(cubes, used, view), boxes_in_view(cubes, again, kept.view), strict=True
    ):
        wanted = patches(view, images_with_lung(view), there, SETTINGS)
        found = patches(kept.view, images_with_lung(kept.view), here, SETTINGS)
        for one, other in zip(wanted, found, strict=True):
            assert np.abs(one.values - other.values).max() <= STORED
            assert one.relative_distance == pytest.approx(other.relative_distance)
    assert [lesion.class_index for lesion in kept.lesions] == [0, 2]


def test_a_piece_is_cut_from_the_grid_and_empty_beyond(grid: StoredGrid) -> None:
    size = (16, 16, 16)
    start = (grid.shape[0] - 8, grid.shape[1] - 8, 0)
    whole, part = grid.cut("values", (0, 0, 0), grid.shape), grid.cut("values", start, size)
    assert (part[:8, :8] == whole[start[0] :, start[1] :, :16]).all()
    assert part[8:].max() == part[:, 8:].max() == 0


def test_a_lesion_mostly_outside_a_piece_need_not_be_proposed(grid: StoredGrid) -> None:
    low, high = grid.boxes[0]
    before = tuple(int(at) for at in np.maximum(np.floor(low) - 1, 0))
    z, y, x = before
    whole = crop(grid, (z, y, x), (16, 16, 16), OTHER)
    assert len(whole.lesions) == 1
    assert whole.lesions[0] == pytest.approx(grid.boxes[0] - before)
    cut = crop(grid, (int(high[0]) - 2, y, x), (16, 16, 16), OTHER)
    assert len(cut.lesions) == 0
    assert len(cut.uncounted) == 1
    assert cut.uncounted[0][0][0] == 0
    assert len(crop(grid, (0, 0, 0), (1, 1, 1), OTHER).uncounted) == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flip_turns_cells_and_boxes_alike(grid: StoredGrid, axis: int) -> None:
    piece = crop(grid, (0, 0, 0), grid.shape, OTHER)
    turned_round = flipped(piece, axis)
    assert (turned_round.truth == np.flip(piece.truth, axis)).all()
    places = np.argwhere(turned_round.truth)
    (box,) = turned_round.lesions
    assert (places.min(axis=0) >= box[0] - 1).all()
    assert (places.max(axis=0) <= box[1]).all()
    again = flipped(turned_round, axis)
    assert (again.values == piece.values).all()
    assert again.uncounted == pytest.approx(piece.uncounted)


def test_drawn_pieces_are_about_a_lesion_when_asked_and_keep_what_is_no_lung(
    grid: StoredGrid,
) -> None:
    random = np.random.Generator(np.random.PCG64(0))
    size = (16, 16, 16)
    with_lesion = [drawn_crop(random, grid, size, OTHER, True) for _ in range(10)]
    assert all(piece.truth.any() for piece in with_lesion)
    for piece in with_lesion:
        assert 0 <= piece.values.min() <= piece.values.max() <= 1
        assert not (piece.counts.astype(bool) & (piece.values == 0)).all()
    spread = [drawn_crop(random, grid, size, OTHER, False) for _ in range(10)]
    assert not all(piece.truth.any() for piece in spread)
