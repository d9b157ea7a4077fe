"""The strokes that all patterns draw with: blobs, mottle, septa, bronchi left open."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from inference.arrays.patient_axes import patient_view
from inference.simulation import shapes
from inference.simulation.canvas import MOST_LAYERS, Canvas, canvas_of
from inference.simulation.fields import Vector
from inference.simulation.lesions import (
    Blob,
    carve_airways,
    choose,
    draw_blob,
    log_uniform,
    mottle,
    septa,
)
from support.chest_volume import chest


@cache
def canvas(slice_mm: float = 4.0) -> Canvas:
    drawn = chest((slice_mm, 2.2, 2.2))
    return canvas_of(patient_view(drawn.volume(), drawn.lungs))


def middle() -> Vector:
    """Inside the left lung."""
    sites = canvas().anatomy.sites
    left = sites.of(sites.position[:, 2] > 190)
    place: Vector = left.position[left.surface_mm.argmax()]
    return place


def blob(seed: int = 0, radius: float = 20.0, ragged: float = 0.0) -> Blob:
    radii = np.full(3, radius)
    return draw_blob(canvas(), np.random.default_rng(seed), middle(), np.eye(3), radii, ragged)


def test_a_smooth_blob_has_the_volume_of_its_ellipsoid() -> None:
    drawn = blob()
    step = np.prod([line[1] - line[0] for line in drawn.points])
    assert (drawn.depth > 0).sum() * step == pytest.approx(4 / 3 * np.pi * 20.0**3, rel=0.05)


@pytest.mark.parametrize("seed", range(6))
def test_however_ragged_a_blob_ends_within_its_box(seed: int) -> None:
    """Otherwise straight cuts would show."""
    inside = blob(seed, 12.0, 0.7).depth > 0
    assert inside.any()
    for axis in range(3):
        faces = np.moveaxis(inside, axis, 0)[[0, -1]]
        assert not faces.any()


def test_ragged_outlines_differ_and_smooth_ones_do_not() -> None:
    smooth = [blob(seed).depth > 0 for seed in (1, 2)]
    ragged = [blob(seed, ragged=0.6).depth > 0 for seed in (1, 2)]
    np.testing.assert_array_equal(smooth[0], smooth[1])
    assert (ragged[0] != ragged[1]).mean() > 0.02


def test_mottle_is_about_1_and_as_strong_as_asked_for() -> None:
    textures = [mottle(np.random.default_rng(1), blob(), amount, 8.0) for amount in (0.1, 0.4)]
    for texture, amount in zip(textures, (0.1, 0.4), strict=True):
        assert texture.mean() == pytest.approx(1.0, abs=0.1)
        assert texture.std() == pytest.approx(0.94 * amount, rel=0.25)
        assert texture.min() >= 0


def test_septa_are_a_thin_net() -> None:
    net = septa(np.random.default_rng(2), blob(), 8.0, 1.0)
    assert net.min() == 0
    assert net.max() > 0.9
    assert 0.1 < (net > 0.1).mean() < 0.6


def test_airways_are_taken_out_of_what_is_painted_and_nothing_else() -> None:
    drawn = blob()
    fraction = np.ones_like(drawn.depth)
    way = np.array([0.0, 15.0, 0.0])
    ends = middle() - way, middle() + way
    carve_airways(canvas(), drawn.points, fraction, [(ends[0], ends[1], 3.0)])
    depth = shapes.tube(drawn.points, ends[0], ends[1], 3.0)
    assert fraction[depth > 1.5].max() < 0.3
    assert fraction[depth < -4.0].min() > 0.98


def test_airways_outside_the_grid_change_nothing() -> None:
    drawn = blob()
    fraction = np.ones_like(drawn.depth)
    far = middle() + 500.0
    carve_airways(canvas(), drawn.points, fraction, [(far, far + 10.0, 3.0)])
    assert (fraction == 1).all()


def test_sites_are_chosen_by_weight() -> None:
    sites = canvas().anatomy.sites
    weight = np.where(sites.height > 0.5, 3.0, 1.0)
    weight[sites.back > 0.5] = 0.0
    chosen = sites.of(np.array(choose(np.random.default_rng(0), sites, weight, 4000)))
    assert (chosen.back <= 0.5).all()
    up = float(weight[sites.height > 0.5].sum() / weight.sum())
    assert (chosen.height > 0.5).mean() == pytest.approx(up, abs=0.03)


def test_log_uniform_doubles_as_often_anywhere() -> None:
    rng = np.random.default_rng(0)
    values = np.array([log_uniform(rng, 2.0, 32.0) for _ in range(2000)])
    assert values.min() >= 2.0
    assert values.max() <= 32.0
    assert np.median(values) == pytest.approx(8.0, rel=0.1)


@pytest.mark.parametrize(
    ("slice_mm", "layers"), [(1.0, 1), (3.0, 2), (5.0, 3), (10.0, MOST_LAYERS)]
)
def test_a_slice_is_drawn_as_layers_that_fill_it(slice_mm: float, layers: int) -> None:
    one = Canvas((slice_mm, 1.0, 1.0), canvas().box, canvas().anatomy, canvas().noise)
    points = one.points((slice(3, 5), slice(0, 2), slice(0, 2)))
    assert one.layers == layers
    assert len(points.z) == 2 * layers
    by_slice = points.z.reshape(2, layers)
    np.testing.assert_allclose(by_slice.mean(axis=1), [3 * slice_mm, 4 * slice_mm])
    np.testing.assert_allclose(np.diff(points.z), slice_mm / layers)
    values = np.broadcast_to(points.z[:, None, None], points.shape).astype(np.float32)
    np.testing.assert_allclose(one.settle(values)[:, 0, 0], [3 * slice_mm, 4 * slice_mm])


def test_no_edge_is_sharper_than_the_scanner() -> None:
    line = np.linspace(-10, 10, 401, dtype=np.float32)
    sharp, soft = canvas().edge(line), canvas().edge(line, 4.0)
    rise = float(np.diff(sharp).max()) / 0.05
    gaussian = 1 / (np.sqrt(2 * np.pi) * canvas().noise.blur_mm)
    assert rise == pytest.approx(gaussian, rel=0.05)
    assert np.diff(soft).max() < 0.5 * np.diff(sharp).max()
    assert sharp[0] == pytest.approx(0.0, abs=1e-3)
    assert sharp[-1] == pytest.approx(1.0, abs=1e-3)


def test_a_box_outside_the_lungs_cuts_out_nothing() -> None:
    low = np.array([-900.0, -900.0, -900.0])
    cut = canvas().cut(low, low + 50.0)
    assert 0 in canvas().points(cut).shape
    everything = canvas().cut(low, -low)
    assert everything == canvas().box
