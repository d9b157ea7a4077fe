"""COVID-19-like: several rounded ground-glass areas below the pleura of both lungs.

After what Li et al. 2020 and Xu et al. 2020 name as typical: ground glass, peripheral, bilateral,
multiple; crazy paving and consolidated parts in some. Simulated, no claim about disease.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inference.simulation import shapes
from inference.simulation.anatomy import Sites
from inference.simulation.canvas import Canvas
from inference.simulation.fields import Values, Vector
from inference.simulation.lesions import (
    Blob,
    Lesion,
    choose,
    draw_blob,
    log_uniform,
    mottle,
    septa,
)
from inference.simulation.patterns import Pattern

BILATERAL = 0.9
NUMBER = (3, 12)
RADIUS_MM = (9.0, 36.0)
DIFFUSE = 0.25
"""Share of scans in which much larger areas run together."""
WIDE_MM = (45.0, 80.0)
"""Radius of the fainter area behind those, one in each lung."""
CRAZY_PAVING = 0.4
CONSOLIDATED = 0.5


def covid19(canvas: Canvas, rng: np.random.Generator) -> Iterator[Lesion]:
    """The lesions of one scan."""
    sites = canvas.anatomy.sites
    if rng.random() >= BILATERAL:
        sites = sites.of(sites.side == rng.choice(np.unique(sites.side)))
    diffuse = rng.random() < DIFFUSE
    number = round(log_uniform(rng, *NUMBER)) + (4 if diffuse else 0)
    density = rng.uniform(0.3, 0.75)
    scale = log_uniform(rng, 0.7, 1.3) * (1.5 if diffuse else 1.0)
    paved = rng.random() < CRAZY_PAVING
    dense = rng.random() < CONSOLIDATED
    size = float(np.clip(np.cbrt(canvas.anatomy.lungs_ml / 4000.0), 0.5, 1.2))
    if diffuse:
        for side in np.unique(sites.side):
            mine = sites.of(sites.side == side)
            index = choose(rng, mine, _likely(mine), 1)[0]
            faint = density * rng.uniform(0.4, 0.9)
            radius = rng.uniform(*WIDE_MM) * size
            yield _area(canvas, rng, mine, index, radius, faint, paved, False)
    for index in choose(rng, sites, _likely(sites), number):
        radius = log_uniform(rng, *RADIUS_MM) * scale * size
        strength = float(np.clip(density * rng.uniform(0.75, 1.3), 0.2, 0.8))
        yield _area(canvas, rng, sites, index, radius, strength, paved, dense)


def _likely(sites: Sites) -> Vector:
    """Below the ribs, at the back, low."""
    peripheral = np.exp(-np.maximum(sites.costal_mm - 4.0, 0.0) / 9.0)
    weight: Vector = peripheral * (0.25 + sites.back) ** 1.5 * (1.25 - sites.height)
    return weight


def _area(
    canvas: Canvas,
    rng: np.random.Generator,
    sites: Sites,
    index: int,
    radius: float,
    strength: float,
    paved: bool,
    dense: bool,
) -> Lesion:
    """One area, flatter towards the ribs than along them."""
    axes = shapes.frame(rng, sites.inward[index])
    radii = radius * np.array([rng.uniform(0.5, 0.9), 1.0, rng.uniform(0.8, 1.2)])
    blob = draw_blob(canvas, rng, sites.position[index], axes, radii, rng.uniform(0.25, 0.6))
    fraction = canvas.edge(blob.depth, rng.uniform(0.5, 0.32 * radius))
    texture = mottle(rng, blob, rng.uniform(0.15, 0.5), rng.uniform(5.0, 14.0))
    texture *= np.float32(strength)
    kind = "ground glass"
    if paved:
        kind = "crazy paving"
        lines = septa(rng, blob, rng.uniform(5.0, 9.0), rng.uniform(0.8, 1.4))
        texture += np.float32(rng.uniform(0.15, 0.35)) * lines
    if dense and rng.random() < 0.7:
        kind = "ground glass with consolidation"
        texture = _consolidate(rng, blob, texture)
    fraction *= np.minimum(texture, 1.0)
    return Lesion(Pattern.COVID19, kind, blob.cut, canvas.settle(fraction))


def _consolidate(rng: np.random.Generator, blob: Blob, texture: Values) -> Values:
    """The inner part grows dense, in patches."""
    patches = mottle(rng, blob, 0.6, rng.uniform(10.0, 20.0))
    deepest = max(float(blob.depth.max(initial=0.0)), 1.0)
    inner = np.clip(blob.depth / np.float32(deepest) * 1.6 * patches - rng.uniform(0.2, 0.7), 0, 1)
    most = np.float32(rng.uniform(0.75, 1.0))
    denser: Values = texture + inner * np.maximum(most - texture, 0.0)
    return denser
