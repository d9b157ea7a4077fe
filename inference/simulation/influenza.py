"""Influenza-like: patches along the bronchi and vessels, towards the middle of the lungs.

Ground glass mixed with small consolidations and thick bronchial walls. Simulated, no claim about
disease.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inference.regions import Side
from inference.simulation import shapes
from inference.simulation.anatomy import Sites
from inference.simulation.canvas import Canvas
from inference.simulation.fields import Values, Vector
from inference.simulation.lesions import (
    Lesion,
    choose,
    draw_blob,
    log_uniform,
    mottle,
)
from inference.simulation.patterns import Pattern

BILATERAL = 0.75
NUMBER = (3, 14)
RADIUS_MM = (8.0, 27.0)


def influenza(canvas: Canvas, rng: np.random.Generator) -> Iterator[Lesion]:
    """The lesions of one scan."""
    sites = canvas.anatomy.sites
    if rng.random() >= BILATERAL:
        sites = sites.of(sites.side == rng.choice(np.unique(sites.side)))
    density = rng.uniform(0.35, 0.75)
    scale = log_uniform(rng, 0.7, 1.4)
    for index in choose(rng, sites, _likely(sites), round(log_uniform(rng, *NUMBER))):
        strength = float(np.clip(density * rng.uniform(0.7, 1.3), 0.25, 0.85))
        radius = log_uniform(rng, *RADIUS_MM) * scale
        yield _patch(canvas, rng, sites, index, radius, strength)
    for index in choose(rng, sites, _likely(sites), int(rng.integers(2, 7))):
        yield _thick_bronchus(canvas, rng, sites, index)


def _likely(sites: Sites) -> Vector:
    """Near the hilum, well below the ribs, where vessels and bronchi run."""
    central = np.exp(-0.5 * ((sites.hilar_mm - 30.0) / 18.0) ** 2)
    deep = np.clip((sites.costal_mm - 12.0) / 10.0, 0.0, 1.0)
    weight: Vector = (central + 1e-4) * (deep + 1e-3) * (0.2 + sites.vessels)
    return weight


def _patch(
    canvas: Canvas,
    rng: np.random.Generator,
    sites: Sites,
    index: int,
    radius: float,
    strength: float,
) -> Lesion:
    """Longer along the bronchus than across, uneven, with small dense foci."""
    centre = sites.position[index]
    way = centre - canvas.anatomy.hila[Side(int(sites.side[index]))]
    axes = shapes.frame(rng, way)
    radii = radius * np.array([rng.uniform(1.1, 1.8), rng.uniform(0.6, 0.9), rng.uniform(0.6, 0.9)])
    blob = draw_blob(canvas, rng, centre, axes, radii, rng.uniform(0.4, 0.7))
    fraction = canvas.edge(blob.depth, rng.uniform(0.08, 0.25) * radius)
    vessels = np.clip(canvas.anatomy.vessels.at(blob.points) * 2.5 + 0.8, 0.0, 1.3)
    texture = mottle(rng, blob, rng.uniform(0.25, 0.6), rng.uniform(5.0, 10.0)) * vessels
    texture *= np.float32(strength)
    kind = "ground glass along the bronchi"
    if rng.random() < 0.5:
        kind = "ground glass along the bronchi with consolidation"
        foci = np.clip((mottle(rng, blob, 1.0, rng.uniform(8.0, 14.0)) - 1.5) * 2.0, 0.0, 1.0)
        texture += foci * np.maximum(np.float32(rng.uniform(0.7, 1.0)) - texture, 0.0)
    fraction *= np.minimum(texture, 1.0)
    fraction *= _away_from_pleura(canvas.anatomy.costal.at(blob.points), rng.uniform(5.0, 12.0))
    return Lesion(Pattern.INFLUENZA, kind, blob.cut, canvas.settle(fraction))


def _away_from_pleura(costal_mm: Values, spared_mm: float) -> Values:
    """0 at the ribs, 1 from twice the spared depth on."""
    share: Values = np.clip(costal_mm / np.float32(spared_mm) - 1.0, 0.0, 1.0)
    return share


def _thick_bronchus(canvas: Canvas, rng: np.random.Generator, sites: Sites, index: int) -> Lesion:
    """A bronchus whose wall shows, from beside the hilum outwards."""
    centre = sites.position[index]
    way = centre - canvas.anatomy.hila[Side(int(sites.side[index]))]
    lumen, wall = rng.uniform(0.8, 1.8), rng.uniform(0.9, 1.8)
    tubes = shapes.branches(rng, centre - 0.3 * way, way, rng.uniform(20.0, 42.0), lumen)
    ends = np.stack([end for start, stop, _ in tubes for end in (start, stop)])
    room = lumen + wall + 3.0
    cut = canvas.cut(ends.min(axis=0) - room, ends.max(axis=0) + room)
    points = canvas.points(cut)
    outer = np.zeros(points.shape, np.float32)
    inner = np.zeros(points.shape, np.float32)
    for start, stop, radius in tubes:
        near = shapes.near(points, start, stop, room)
        part = shapes.part_of(points, near)
        if 0 in part.shape:
            continue
        depth = shapes.tube(part, start, stop, radius)
        outer[near] = np.maximum(
            outer[near], canvas.edge(depth + np.float32(wall * radius / lumen))
        )
        inner[near] = np.maximum(inner[near], canvas.edge(depth))
    fraction = (outer - inner) * np.float32(rng.uniform(0.5, 0.9))
    return Lesion(Pattern.INFLUENZA, "bronchial wall", cut, canvas.settle(fraction))
