from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.arrays.patient_axes import PatientView, patient_view
from inference.arrays.resample import taps, triangular_weights
from inference.errors import NoLungsError, VolumeError
from inference.location_attention.preprocess import RegionPreprocessing, region_grid, windowed
from inference.volume import CtVolume
from support.chest_volume import chest

SETTINGS = RegionPreprocessing()


def test_the_defaults_are_usable() -> None:
    assert SETTINGS.problems() == ()
    assert SETTINGS.cell_mm == (3.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"hu_low": 300.0}, "window"),
        ({"patch_size": 100}, "patch_size"),
        ({"patch_size": 0}, "patch_size"),
        ({"most_regions": 0}, "most_regions"),
        ({"grid_slice_mm": 0.0}, "grid_slice_mm"),
        ({"grid_pixel_mm": float("nan")}, "grid_pixel_mm"),
        ({"margin_mm": -1.0}, "margin_mm"),
        ({"score_threshold": 1.5}, "score_threshold"),
        ({"largest_overlap": -0.1}, "largest_overlap"),
        ({"distance_scale": float("inf")}, "distance_scale"),
    ],
)
def test_every_unusable_value_is_named(change: dict[str, float], named: str) -> None:
    (problem,) = replace(SETTINGS, **change).problems()  # type: ignore[arg-type]
    assert problem.startswith(named)


def test_the_window() -> None:
    hu = np.array([-3000, -1250, -500, 250, 3000], np.int16)
    assert windowed(hu, SETTINGS).tolist() == [0, 0, 0.5, 1, 1]


@given(st.integers(1, 30), st.integers(1, 40), st.floats(-5, 20), st.floats(0.1, 5))
def test_weights_of_a_cell_sum_to_1_within_and_0_outside(
    voxels: int, cells: int, origin: float, step: float
) -> None:
    weights = triangular_weights(voxels, cells, origin, step)
    centres = origin + step * np.arange(cells)
    inside = (centres >= -0.5) & (centres <= voxels - 0.5)
    assert weights.sum(axis=1) == pytest.approx(inside.astype(float), abs=1e-5)


@given(st.integers(1, 30), st.integers(1, 40), st.floats(-5, 20), st.floats(0.1, 5))
def test_taps_are_the_weights(voxels: int, cells: int, origin: float, step: float) -> None:
    values = np.random.default_rng(0).random((voxels, 3)).astype(np.float32)
    wanted = triangular_weights(voxels, cells, origin, step) @ values
    found = taps(voxels, cells, origin, step)
    assert found.down(values) == pytest.approx(wanted, abs=1e-5)
    assert found.across(values.T) == pytest.approx(wanted.T, abs=1e-5)


def test_between_voxels_the_weights_are_linear() -> None:
    assert triangular_weights(4, 3, 0.5, 0.25).tolist() == [
        [0.5, 0.5, 0, 0],
        [0.25, 0.75, 0, 0],
        [0, 1, 0, 0],
    ]


def _view(spacing: tuple[float, float, float]) -> PatientView:
    drawn = chest(spacing)
    return patient_view(drawn.volume(), drawn.lungs)


@pytest.fixture(scope="module")
def view() -> PatientView:
    return _view((5.0, 2.0, 2.0))


def test_the_grid_holds_the_lungs_volume(view: PatientView) -> None:
    grid = region_grid(view, SETTINGS)
    assert all(length % 16 == 0 for length in grid.values.shape)
    cell_ml = 3 * 2 * 2 / 1000
    lungs_ml = float(view.lungs.sum()) * view.voxel_ml
    assert float(grid.lungs.sum()) * cell_ml == pytest.approx(lungs_ml, rel=0.02)


def test_inside_is_the_windowed_lung_and_outside_nothing(view: PatientView) -> None:
    grid = region_grid(view, SETTINGS)
    assert not grid.values[grid.lungs == 0].any()
    assert grid.values[grid.lungs > 0.999].mean() == pytest.approx(400 / 1500, abs=0.01)


def test_cells_lie_where_the_grid_says(view: PatientView) -> None:
    """The centre of gravity of the lungs, in LPS mm, by the grid and by the voxels."""
    grid = region_grid(view, SETTINGS)
    cells = np.stack(np.meshgrid(*map(np.arange, grid.lungs.shape), indexing="ij"), axis=-1)
    total = grid.lungs.sum(dtype=np.float64)
    middle = (cells * grid.lungs[..., None]).sum(axis=(0, 1, 2), dtype=np.float64) / total
    by_grid = view.to_lps(tuple(grid.to_voxels(middle)))
    wanted = np.argwhere(view.lungs).mean(axis=0)
    assert by_grid == pytest.approx(view.to_lps(tuple(wanted)), abs=0.3)


def test_thin_and_thick_slices_give_nearly_the_same_grid() -> None:
    thick, thin = (region_grid(_view((mm, 2.0, 2.0)), SETTINGS) for mm in (4.0, 2.0))
    assert thick.values.shape == thin.values.shape
    assert abs(thick.values - thin.values).mean() < 0.01


def test_an_empty_mask_is_a_named_error(view: PatientView) -> None:
    with pytest.raises(NoLungsError):
        region_grid(replace(view, lungs=np.zeros_like(view.lungs)), SETTINGS)


def test_lungs_as_wide_as_a_house_are_a_named_error() -> None:
    volume = CtVolume(np.zeros((2, 32, 32), np.int16), np.diag([100.0, 100.0, 100.0, 1.0]))
    with pytest.raises(VolumeError, match="mm need"):
        region_grid(patient_view(volume, np.ones((2, 32, 32), np.bool_)), SETTINGS)
