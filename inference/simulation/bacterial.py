"""Community-acquired-pneumonia-like: consolidation of a segment or lobe with air bronchograms.

Often one-sided; sometimes many small foci (bronchopneumonia). Simulated, no claim about disease.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inference.regions import Side
from inference.simulation import shapes
from inference.simulation.anatomy import Sites
from inference.simulation.canvas import Canvas
from inference.simulation.fields import Vector, random_field
from inference.simulation.lesions import (
    Blob,
    Lesion,
    carve_airways,
    choose,
    draw_blob,
    log_uniform,
    mottle,
)
from inference.simulation.patterns import Pattern

ONE_SIDED = 0.75
FOCAL = 0.3
"""Share of scans with many small foci in place of segments."""
REACH_MM = 170.0
"""No segment reaches further from its hilum."""


def community_acquired(canvas: Canvas, rng: np.random.Generator) -> Iterator[Lesion]:
    """The lesions of one scan."""
    sites = canvas.anatomy.sites
    if rng.random() < ONE_SIDED:
        sites = sites.of(sites.side == rng.choice(np.unique(sites.side)))
    if rng.random() < FOCAL:
        yield from _foci(canvas, rng, sites)
        return
    number = int(rng.choice([1, 2, 3], p=[0.55, 0.3, 0.15]))
    outer = np.exp(-sites.costal_mm / 10.0) * (0.5 + 0.5 * sites.back)
    for index in choose(rng, sites, outer, number):
        hilum = canvas.anatomy.hila[Side(int(sites.side[index]))]
        yield _segment(canvas, rng, hilum, sites.position[index])


def _segment(canvas: Canvas, rng: np.random.Generator, hilum: Vector, target: Vector) -> Lesion:
    """A cone from the hilum to the pleura, cut off where a fissure may lie."""
    way = target - hilum
    distance = float(np.linalg.norm(way))
    axis = way / max(distance, 1.0)
    angle = np.deg2rad(log_uniform(rng, 12.0, 34.0))
    blob = _cone(canvas, rng, hilum, axis, angle, distance)
    start = rng.uniform(0.15, 0.55) * distance
    through = hilum + axis * start
    np.minimum(blob.depth, shapes.half_space(blob.points, through, axis), out=blob.depth)
    if rng.random() < 0.6:
        fissure = shapes.half_space(blob.points, target, _fissure(rng))
        np.minimum(blob.depth, fissure + np.float32(rng.uniform(0.0, 25.0)), out=blob.depth)
    rim = rng.uniform(0.2, 0.5) * canvas.edge(blob.depth + np.float32(rng.uniform(2.0, 10.0)), 3.0)
    core = canvas.edge(blob.depth, rng.uniform(0.3, 4.0))
    core *= np.minimum(mottle(rng, blob, rng.uniform(0.05, 0.3), rng.uniform(8.0, 20.0)), 1.0)
    core *= np.float32(rng.uniform(0.8, 1.0))
    fraction = np.maximum(core, rim.astype(np.float32))
    for _ in range(int(rng.integers(1, 4))):
        turned = axis + 0.5 * np.sin(angle) * rng.standard_normal(3)
        tubes = shapes.branches(rng, through, turned, 0.7 * distance, rng.uniform(1.2, 2.6))
        carve_airways(canvas, blob.points, fraction, tubes)
    return Lesion(Pattern.CAP, "consolidation", blob.cut, canvas.settle(fraction))


def _cone(
    canvas: Canvas,
    rng: np.random.Generator,
    hilum: Vector,
    axis: Vector,
    angle: float,
    distance: float,
) -> Blob:
    length = min(1.5 * distance, REACH_MM)
    wide = length * float(np.tan(min(angle * 1.4, 1.0)))
    ends = np.stack([hilum, hilum + axis * length])
    across = wide * np.sqrt(1 - axis**2) + 22.0  # outline and rim stray by less
    low, high = ends.min(axis=0) - across, ends.max(axis=0) + across
    cut = canvas.cut(low, high)
    points = canvas.points(cut)
    depth = shapes.cone(points, hilum, axis, angle)
    for wavelength, part in ((40.0, 0.16), (12.0, 0.05)):
        stray = random_field(rng, low, high, wavelength).at(points)
        np.clip(stray, -1.5, 1.5, out=stray)
        depth += np.float32(part * min(wide, 40.0)) * stray
    return Blob(cut, points, depth, low, high)


def _fissure(rng: np.random.Generator) -> Vector:
    """Normal (z, y, x) of a plane that leans as the oblique fissures do, either way up."""
    normal = np.array([0.75, -0.65, 0.0]) + 0.15 * rng.standard_normal(3)
    return normal if rng.random() < 0.35 else -normal


def _foci(canvas: Canvas, rng: np.random.Generator, sites: Sites) -> Iterator[Lesion]:
    """Bronchopneumonia: foci about one place, dense in the middle."""
    first = sites.position[choose(rng, sites, 1.0 - 0.6 * sites.height, 1)[0]]
    apart = np.linalg.norm(sites.position - first, axis=1)
    about = np.exp(-0.5 * (apart / rng.uniform(20.0, 45.0)) ** 2)
    for index in choose(rng, sites, about, int(rng.integers(4, 11))):
        radius = log_uniform(rng, 6.0, 20.0)
        axes = shapes.frame(rng, rng.standard_normal(3))
        radii = radius * rng.uniform(0.7, 1.3, 3)
        blob = draw_blob(canvas, rng, sites.position[index], axes, radii, rng.uniform(0.3, 0.6))
        rim = canvas.edge(blob.depth + np.float32(0.25 * radius), 0.25 * radius)
        rim *= np.float32(rng.uniform(0.2, 0.45))
        core = canvas.edge(blob.depth - np.float32(0.15 * radius), 0.15 * radius)
        core *= np.minimum(mottle(rng, blob, 0.25, 8.0), 1.0)
        core *= np.float32(rng.uniform(0.8, 1.0))
        fraction = np.maximum(core, rim)
        hilum = canvas.anatomy.hila[Side(int(sites.side[index]))]
        way = sites.position[index] - hilum
        start = sites.position[index] - 0.3 * way
        tubes = shapes.branches(rng, start, way, 2.2 * radius, rng.uniform(0.8, 1.6))
        carve_airways(canvas, blob.points, fraction, tubes)
        yield Lesion(Pattern.CAP, "focus of consolidation", blob.cut, canvas.settle(fraction))
