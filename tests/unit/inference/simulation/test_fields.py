"""Lattices in mm and random fields: independent of the grid that they are drawn on."""

from __future__ import annotations

import numpy as np
import pytest

from inference.simulation.fields import Lattice, Points, random_field

LOW, HIGH = np.zeros(3), np.full(3, 60.0)


def grid(step: float, length: float = 60.0) -> Points:
    line = np.arange(0.0, length, step)
    return Points(line, line, line)


def ramp() -> Lattice:
    z, y, x = np.mgrid[0:5, 0:6, 0:7].astype(np.float32)
    return Lattice(2 * z + 3 * y - x, np.array([10.0, 20.0, 30.0]), np.array([4.0, 2.0, 1.0]))


def test_a_lattice_is_linear_between_its_points() -> None:
    points = Points(np.array([12.0, 18.0]), np.array([21.0]), np.array([30.25, 35.5]))
    found = ramp().at(points)
    wanted = [[[2 * z + 3 * 0.5 - x for x in (0.25, 5.5)]] for z in (0.5, 2.0)]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert found.dtype == np.float32


def test_beyond_its_edge_a_lattice_goes_on_as_it_ends() -> None:
    far = Points(np.array([-50.0, 500.0]), np.array([20.0]), np.array([30.0]))
    np.testing.assert_allclose(ramp().at(far).ravel(), [0.0, 8.0], atol=1e-5)


def test_a_random_field_has_mean_0_and_deviation_1() -> None:
    fields = [random_field(np.random.default_rng(s), LOW, HIGH, 8.0).at(grid(2.0)) for s in (0, 1)]
    assert abs(np.mean(fields)) < 0.05
    assert 0.9 < np.std(fields) < 1.1


def test_a_random_field_is_the_same_on_every_grid() -> None:
    coarse, fine = (
        random_field(np.random.default_rng(3), LOW, HIGH, 10.0).at(grid(step))
        for step in (4.0, 1.0)
    )
    np.testing.assert_allclose(coarse, fine[::4, ::4, ::4], atol=1e-4)


@pytest.mark.parametrize("wavelength", [6.0, 20.0])
def test_the_waves_are_about_as_long_as_asked_for(wavelength: float) -> None:
    field = random_field(np.random.default_rng(5), LOW, HIGH, wavelength).at(grid(1.0))
    near, far = round(wavelength / 6), round(wavelength)
    assert np.corrcoef(field[:, :, :-near].ravel(), field[:, :, near:].ravel())[0, 1] > 0.7
    assert abs(np.corrcoef(field[:, :, :-far].ravel(), field[:, :, far:].ravel())[0, 1]) < 0.35


def test_a_field_that_repeats_does_so_without_a_step() -> None:
    field = random_field(np.random.default_rng(1), LOW, np.full(3, 400.0), 4.0)
    line = np.arange(0.0, 400.0, 0.25)
    values = field.at(Points(np.zeros(1), np.zeros(1), line)).ravel()
    assert field.values.shape == (40, 40, 40)
    assert abs(np.diff(values)).max() < 1.0
    np.testing.assert_allclose(values[:320], values[320:640], atol=1e-4)  # after 40 half waves
