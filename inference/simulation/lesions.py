"""Lesions as fractions of air replaced: what all patterns draw theirs with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inference.simulation import shapes
from inference.simulation.anatomy import Sites
from inference.simulation.canvas import Canvas, Cut
from inference.simulation.fields import Points, Values, Vector, random_field
from inference.simulation.patterns import Pattern

_FURTHEST = 1.4
"""Standard deviations that an outline strays at most."""
FLUID_HU = 35.0
"""Cells, fluid and collapsed lung."""


@dataclass(frozen=True, eq=False)
class Lesion:
    """`fraction`: float32 of the box `cut`, 0 to 1, how much of what was there is replaced by
    matter of `fill_hu`."""

    pattern: Pattern
    kind: str
    cut: Cut
    fraction: Values
    fill_hu: float = FLUID_HU


@dataclass(frozen=True, eq=False)
class Blob:
    """A warped ellipsoid laid on the canvas: `depth` in mm at `points`."""

    cut: Cut
    points: Points
    depth: Values
    low_mm: Vector
    high_mm: Vector


def draw_blob(
    canvas: Canvas,
    rng: np.random.Generator,
    centre: Vector,
    axes: Vector,
    radii_mm: Vector,
    ragged: float,
) -> Blob:
    """`ragged`: how far the outline strays, in parts of the radius; never out of the box."""
    mean = float(np.cbrt(np.prod(radii_mm)))
    low, high = shapes.bounds(centre, axes, radii_mm, 1.3 + _FURTHEST * ragged)
    coarse = random_field(rng, low, high, max(1.4 * mean, 3.0))
    fine = random_field(rng, low, high, max(0.5 * mean, 2.0))
    cut = canvas.cut(low, high)
    points = canvas.points(cut)
    depth = shapes.ellipsoid(points, centre, axes, radii_mm)
    stray = np.float32(0.75) * coarse.at(points) + np.float32(0.35) * fine.at(points)
    np.clip(stray, -_FURTHEST, _FURTHEST, out=stray)
    depth += np.float32(ragged * mean) * stray
    return Blob(cut, points, depth, low, high)


def mottle(rng: np.random.Generator, blob: Blob, amount: float, wavelength_mm: float) -> Values:
    """Unevenness about 1, at two scales; the finer one is a quarter as long."""
    coarse = random_field(rng, blob.low_mm, blob.high_mm, wavelength_mm).at(blob.points)
    fine = random_field(rng, blob.low_mm, blob.high_mm, max(wavelength_mm / 4, 1.6)).at(blob.points)
    coarse *= np.float32(0.8 * amount)
    fine *= np.float32(0.5 * amount)
    coarse += fine
    coarse += 1.0
    return np.maximum(coarse, 0.0, out=coarse)


def septa(rng: np.random.Generator, blob: Blob, mesh_mm: float, width_mm: float) -> Values:
    """A net of lines, 0 to 1: septa between lobules (thickened in crazy paving)."""
    net = np.zeros(blob.points.shape, np.float32)
    for _ in range(2):
        field = random_field(rng, blob.low_mm, blob.high_mm, 2 * mesh_mm).at(blob.points)
        np.abs(field, out=field)
        field *= np.float32(-mesh_mm / (2.2 * width_mm))
        field += 1.0
        np.maximum(net, field, out=net)
    return net


def carve_airways(
    canvas: Canvas, points: Points, fraction: Values, tubes: list[tuple[Vector, Vector, float]]
) -> None:
    """Take what is painted out of the tubes: air bronchograms. Changes `fraction`."""
    for start, stop, radius in tubes:
        cut = shapes.near(points, start, stop, radius + 4.0)
        part = shapes.part_of(points, cut)
        if 0 not in part.shape:
            fraction[cut] *= 1.0 - canvas.edge(shapes.tube(part, start, stop, radius))


def choose(rng: np.random.Generator, sites: Sites, weight: Vector, number: int) -> list[int]:
    """Indices of sites by weight, with replacement; the weights may be of any sum."""
    cumulative = np.cumsum(np.maximum(weight, 0.0))
    drawn = rng.random(number) * cumulative[-1]
    return [min(int(i), len(sites) - 1) for i in np.searchsorted(cumulative, drawn)]


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """As likely to be doubled anywhere in between."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
