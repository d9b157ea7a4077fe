"""Findings that are no infection: nodules, masses, scars, calcified spots, atelectasis, caps,
emphysema, effusion. As dense and as large as the infections, so that contrast alone tells nothing.
Simulated, no claim about disease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from inference.regions import Side
from inference.simulation import shapes
from inference.simulation.anatomy import Sites
from inference.simulation.canvas import Canvas
from inference.simulation.fields import Points, Values, Vector, random_field
from inference.simulation.lesions import (
    Blob,
    Lesion,
    choose,
    draw_blob,
    log_uniform,
    mottle,
)
from inference.simulation.patterns import Pattern

FEWEST_SITES = 8
"""Fewer points of the coarse grid are no part of a lung worth a finding."""
ROOM_MM = 16.0
"""Boxes are so much larger than the sites in them: findings fade out before they end."""

Finding = Callable[[Canvas, np.random.Generator, Sites], Iterator[Lesion]]


def irrelevant(canvas: Canvas, rng: np.random.Generator) -> Iterator[Lesion]:
    """The findings of one scan: two to five kinds."""
    number = int(rng.integers(2, 6))
    yield from findings(canvas, rng, number)


def findings(canvas: Canvas, rng: np.random.Generator, number: int) -> Iterator[Lesion]:
    """So many kinds of finding, each at most once."""
    weights = np.array([weight for _, weight in KINDS])
    chosen = rng.choice(len(KINDS), number, replace=False, p=weights / weights.sum())
    for index in chosen:
        yield from KINDS[index][0](canvas, rng, canvas.anatomy.sites)


def _anywhere(rng: np.random.Generator, sites: Sites, number: int) -> list[Vector]:
    return [sites.position[i] for i in choose(rng, sites, np.ones(len(sites)), number)]


def _round(
    canvas: Canvas, rng: np.random.Generator, centre: Vector, radius: float, ragged: float
) -> Blob:
    axes = shapes.frame(rng, rng.standard_normal(3))
    return draw_blob(canvas, rng, centre, axes, radius * rng.uniform(0.75, 1.25, 3), ragged)


def _lesion(canvas: Canvas, kind: str, blob: Blob, fraction: Values, fill_hu: float) -> Lesion:
    settled = canvas.settle(np.clip(fraction, 0.0, 1.0))
    return Lesion(Pattern.IRRELEVANT, kind, blob.cut, settled, fill_hu)


def _nodules(canvas: Canvas, rng: np.random.Generator, sites: Sites) -> Iterator[Lesion]:
    for centre in _anywhere(rng, sites, int(rng.integers(1, 6))):
        radius = log_uniform(rng, 2.5, 13.0)
        blob = _round(canvas, rng, centre, radius, rng.uniform(0.05, 0.4))
        fraction = canvas.edge(blob.depth, rng.uniform(0.0, 0.8))
        yield _lesion(canvas, "nodule", blob, fraction, rng.uniform(0.0, 70.0))


def _part_solid(canvas: Canvas, rng: np.random.Generator, sites: Sites) -> Iterator[Lesion]:
    """A round, faint nodule, with a solid core or without."""
    for centre in _anywhere(rng, sites, int(rng.integers(1, 3))):
        radius = log_uniform(rng, 6.0, 20.0)
        blob = _round(canvas, rng, centre, radius, rng.uniform(0.1, 0.3))
        fraction = canvas.edge(blob.depth, 1.0) * np.float32(rng.uniform(0.2, 0.6))
        if rng.random() < 0.6:
            depth = blob.depth - np.float32(rng.uniform(0.4, 0.7) * radius)
            fraction = np.maximum(fraction, canvas.edge(depth, 0.6))
        yield _lesion(canvas, "part-solid nodule", blob, fraction, rng.uniform(10.0, 50.0))


def _mass(canvas: Canvas, rng: np.random.Generator, sites: Sites) -> Iterator[Lesion]:
    centre = _anywhere(rng, sites, 1)[0]
    radius = log_uniform(rng, 13.0, 32.0)
    blob = _round(canvas, rng, centre, radius, rng.uniform(0.12, 0.35))
    fraction = canvas.edge(blob.depth, rng.uniform(0.2, 2.0))
    yield _lesion(canvas, "mass", blob, fraction, rng.uniform(15.0, 60.0))


def _calcified(canvas: Canvas, rng: np.random.Generator, sites: Sites) -> Iterator[Lesion]:
    for centre in _anywhere(rng, sites, int(rng.integers(1, 7))):
        blob = _round(canvas, rng, centre, log_uniform(rng, 1.5, 5.0), 0.15)
        yield _lesion(
            canvas, "calcified spot", blob, canvas.edge(blob.depth), log_uniform(rng, 250.0, 900.0)
        )


def _scars(canvas: Canvas, rng: np.random.Generator, sites: Sites) -> Iterator[Lesion]:
    """Bands and plates that reach the pleura."""
    outer = np.exp(-sites.costal_mm / 15.0)
    for index in choose(rng, sites, outer, int(rng.integers(1, 5))):
        long_way = sites.inward[index] + 0.7 * rng.standard_normal(3)
        axes = shapes.frame(rng, long_way)
        radii = np.array(
            [log_uniform(rng, 10.0, 40.0), log_uniform(rng, 6.0, 22.0), log_uniform(rng, 0.8, 3.0)]
        )
        blob = draw_blob(canvas, rng, sites.position[index], axes, radii, 0.3)
        fraction = canvas.edge(blob.depth, 0.3) * np.float32(rng.uniform(0.5, 1.0))
        yield _lesion(canvas, "scar", blob, fraction, rng.uniform(0.0, 60.0))


def _shell(canvas: Canvas, rng: np.random.Generator, sites: Sites, thick_mm: float) -> Blob:
    """Depth in a layer below the ribs that is about so thick, within the box of the sites."""
    low, high = sites.position.min(axis=0) - ROOM_MM, sites.position.max(axis=0) + ROOM_MM
    cut = canvas.cut(low, high)
    points = canvas.points(cut)
    depth = np.float32(thick_mm) - canvas.anatomy.costal.at(points)
    depth += np.float32(0.45 * thick_mm) * random_field(rng, low, high, 30.0).at(points)
    depth += np.float32(0.15 * thick_mm) * random_field(rng, low, high, 8.0).at(points)
    return Blob(cut, points, depth, low, high)


def _fade(canvas: Canvas, points: Points, axis: int, inside_mm: Vector, soft_mm: float) -> Values:
    """A soft edge across one axis of a grid, by signed depth along it; broadcasts to the grid."""
    shape = [1, 1, 1]
    shape[axis] = len(points[axis])
    return canvas.edge(inside_mm.astype(np.float32).reshape(shape), soft_mm)


def _of_side(canvas: Canvas, points: Points, side: int) -> Values:
    """1 in the lung of that side, 0 in the other."""
    left = canvas.anatomy.left.at(points)
    return left if side == Side.LEFT else 1.0 - left


def _dependent(canvas: Canvas, rng: np.random.Generator, sites: Sites) -> Iterator[Lesion]:
    """Dependent atelectasis: a layer at the back of the lungs, denser towards the pleura."""
    top = rng.uniform(0.3, 0.8)
    for side in _some_sides(rng, sites, 0.75):
        mine = sites.of((sites.side == side) & (sites.back > 0.55) & (sites.height < top))
        if len(mine) < FEWEST_SITES:
            continue
        thick = log_uniform(rng, 3.0, 16.0)
        blob = _shell(canvas, rng, mine, thick)
        fraction = canvas.edge(blob.depth, rng.uniform(0.5, 0.3 * thick + 0.5))
        line = float(np.quantile(mine.position[:, 1], rng.uniform(0.15, 0.5)))
        fraction *= _fade(canvas, blob.points, 1, blob.points.y - line, 8.0)
        fraction *= _fade(canvas, blob.points, 0, blob.high_mm[0] - 25.0 - blob.points.z, 10.0)
        fraction *= _of_side(canvas, blob.points, side)
        fraction *= mottle(rng, blob, 0.2, 10.0) * np.float32(rng.uniform(0.2, 0.7))
        yield _lesion(canvas, "dependent atelectasis", blob, fraction, 35.0)


def _apical_cap(canvas: Canvas, rng: np.random.Generator, sites: Sites) -> Iterator[Lesion]:
    for side in _some_sides(rng, sites, 0.7):
        mine = sites.of((sites.side == side) & (sites.height > 0.94))
        if len(mine) < FEWEST_SITES:
            continue
        blob = _shell(canvas, rng, mine, log_uniform(rng, 1.5, 3.5))
        fraction = canvas.edge(blob.depth, 0.8) * np.float32(rng.uniform(0.7, 1.0))
        fraction *= _fade(canvas, blob.points, 0, blob.points.z - blob.low_mm[0] - 14.0, 4.0)
        fraction *= _of_side(canvas, blob.points, side)
        yield _lesion(canvas, "apical cap", blob, fraction, rng.uniform(20.0, 60.0))


def _effusion(canvas: Canvas, rng: np.random.Generator, sites: Sites) -> Iterator[Lesion]:
    """Fluid behind the lung, even, its front level but for a rise at the sides, thinner upwards."""
    for side in _some_sides(rng, sites, 0.4):
        mine = sites.of((sites.side == side) & (sites.height < rng.uniform(0.4, 0.8)))
        level = float(np.quantile(mine.position[:, 1], rng.uniform(0.75, 0.95)))
        low, high = mine.position.min(axis=0) - ROOM_MM, mine.position.max(axis=0) + ROOM_MM
        low[1] = level - ROOM_MM
        cut = canvas.cut(low, high)
        points = canvas.points(cut)
        lean = rng.uniform(0.05, 0.3) * (points.z - low[0])
        front = (points.y[:, None] - level).T - lean[:, None]  # (layers, rows)
        depth = np.float32(3.0) * random_field(rng, low, high, 60.0).at(points)
        depth += front.astype(np.float32)[:, :, None]
        rise = canvas.anatomy.costal.at(points)
        depth += 8.0 * np.exp(-rise / np.float32(6.0))
        blob = Blob(cut, points, depth, low, high)
        fraction = canvas.edge(depth, 0.4) * _of_side(canvas, points, side)
        fraction *= _fade(canvas, points, 0, high[0] - 22.0 - points.z, 4.0)
        fraction *= _fade(canvas, points, 1, points.y - low[1] - 6.0, 1.0)
        yield _lesion(canvas, "effusion", blob, fraction, rng.uniform(0.0, 25.0))


def _some_sides(rng: np.random.Generator, sites: Sites, both: float) -> list[int]:
    """Both lungs, in this share of scans, or one."""
    sides = [int(side) for side in np.unique(sites.side)]
    return sides if rng.random() < both else [int(rng.choice(sides))]


def _emphysema(canvas: Canvas, rng: np.random.Generator, sites: Sites) -> Iterator[Lesion]:
    """Dark holes, more of them in the upper parts."""
    radius_mm = log_uniform(rng, 3.0, 7.0)
    upper = 0.1 + sites.height**1.5
    for index in choose(rng, sites, upper, int(rng.integers(10, 60))):
        radius = radius_mm * rng.uniform(0.6, 1.6)
        blob = _round(canvas, rng, sites.position[index], radius, 0.3)
        fraction = canvas.edge(blob.depth, 0.5) * np.float32(rng.uniform(0.6, 1.0))
        yield _lesion(canvas, "emphysema", blob, fraction, -985.0)


KINDS: tuple[tuple[Finding, float], ...] = (
    (_nodules, 1.0),
    (_part_solid, 1.0),
    (_mass, 0.7),
    (_calcified, 0.6),
    (_scars, 1.0),
    (_dependent, 1.2),
    (_apical_cap, 0.3),
    (_effusion, 0.5),
    (_emphysema, 0.8),
)
"""Each kind with how often it comes, relative to the others."""
