"""Shapes as signed depth in mm, against plain geometry."""

from __future__ import annotations

import numpy as np
import pytest

from inference.simulation import shapes
from inference.simulation.fields import Points, Values, Vector

LINE = np.arange(-30.0, 31.0, 1.0)
POINTS = Points(LINE, LINE, LINE)
CENTRE = np.array([2.0, -3.0, 5.0])


def position(depth: Values, which: tuple[int, int, int]) -> float:
    """Value at a position in mm."""
    z, y, x = (int(mm + 30) for mm in which)
    return float(depth[z, y, x])


def axes() -> Vector:
    return shapes.frame(np.random.default_rng(4), np.array([0.0, 1.0, 1.0]))


def test_a_frame_is_of_three_unit_vectors_at_right_angles_that_begin_with_the_given() -> None:
    turned = axes()
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(turned[0], np.array([0, 1, 1]) / np.sqrt(2))


def test_a_ball_is_as_deep_as_it_is_far_from_its_surface() -> None:
    depth = shapes.ellipsoid(POINTS, CENTRE, axes(), np.full(3, 12.0))
    z, y, x = np.meshgrid(LINE, LINE, LINE, indexing="ij")
    away = np.sqrt((z - 2) ** 2 + (y + 3) ** 2 + (x - 5) ** 2)
    np.testing.assert_allclose(depth, 12.0 - away, atol=1e-3)


def test_an_ellipsoid_has_its_volume_and_lies_within_its_bounds() -> None:
    radii = np.array([6.0, 10.0, 15.0])
    inside = shapes.ellipsoid(POINTS, CENTRE, axes(), radii) > 0
    assert inside.sum() == pytest.approx(4 / 3 * np.pi * radii.prod(), rel=0.02)
    low, high = shapes.bounds(CENTRE, axes(), radii)
    found = np.argwhere(inside) - 30.0
    assert (found >= low).all()
    assert (found <= high).all()
    assert (found.min(axis=0) - low).max() < 1.5


def test_a_cone_opens_by_its_angle_about_its_axis() -> None:
    depth = shapes.cone(POINTS, np.zeros(3), np.array([0.0, 0.0, 1.0]), np.deg2rad(45))
    assert position(depth, (0, 9, 10)) > 0 > position(depth, (0, 11, 10))
    assert position(depth, (0, 0, -10)) < 0
    assert position(depth, (0, 0, 20)) == pytest.approx(20 / np.sqrt(2), rel=1e-5)


def test_a_tube_is_round_and_ends() -> None:
    depth = shapes.tube(POINTS, np.array([0.0, 0.0, -10.0]), np.array([0.0, 0.0, 10.0]), 3.0)
    assert position(depth, (0, 0, 0)) == pytest.approx(3.0)
    assert position(depth, (3, 4, 0)) == pytest.approx(-2.0)
    assert position(depth, (0, 0, 15)) == pytest.approx(-2.0)


def test_a_half_space_is_deep_where_its_normal_points() -> None:
    depth = shapes.half_space(POINTS, np.array([0.0, 5.0, 0.0]), np.array([0.0, 2.0, 0.0]))
    assert position(depth, (7, 9, -3)) == pytest.approx(4.0)


def test_a_bronchus_forks_twice_and_each_fork_begins_where_one_ends() -> None:
    tubes = shapes.branches(np.random.default_rng(0), CENTRE, np.array([1.0, 0, 0]), 30.0, 2.0)
    starts = [tuple(start) for start, _, _ in tubes]
    stops = {tuple(stop) for _, stop, _ in tubes}
    assert len(tubes) == 1 + 2 + 4
    assert all(start in stops for start in starts[1:])
    assert [round(radius, 2) for _, _, radius in tubes] == [2.0, *[1.6] * 2, *[1.28] * 4]


def test_near_cuts_out_the_part_of_the_grid_about_a_line() -> None:
    cut = shapes.near(POINTS, np.array([0.0, 0.0, 0.0]), np.array([0.0, 10.0, 0.0]), 2.0)
    part = shapes.part_of(POINTS, cut)
    assert [(line[0], line[-1]) for line in part] == [(-2, 2), (-2, 12), (-2, 2)]
