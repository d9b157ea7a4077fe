"""Where in the lungs a lesion may sit: sites on a coarse grid with what anatomy says of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask
from inference.arrays.patient_axes import PatientView
from inference.errors import NoLungsError
from inference.lungs.sides import lung_sides
from inference.regions import Side
from inference.simulation.fields import Lattice, Vector
from inference.volume import CtVolume

GRID_MM = 4.0
"""Step of the coarse grid."""
MINIMUM_ML = 100.0
"""Less lung than this holds no pattern that is worth the name."""
DIRECTIONS = 32
"""Sides of the polygon that is laid around the lungs of a slice."""
HILAR_HEIGHTS = (0.4, 0.75)
"""The hila lie between these parts of the height of a lung."""


@dataclass(frozen=True, eq=False)
class Sites:
    """Points of the lungs, n of them, in the patient's axes.

    `position`: (n, 3) mm (z, y, x); `side`: values of `Side`; `costal_mm`: depth below the ribs;
    `surface_mm`: depth below the nearest surface, fissures left out; `inward`: (n, 3) unit vectors
    away from the ribs; `height`: 0 at the base, 1 at the apex; `back`: 0 in front, 1 at the back;
    `hilar_mm`: distance from the hilum of the same lung; `vessels`: share of dense voxels about.
    """

    position: Vector
    side: NDArray[np.uint8]
    costal_mm: Vector
    surface_mm: Vector
    inward: Vector
    height: Vector
    back: Vector
    hilar_mm: Vector
    vessels: Vector

    def of(self, chosen: NDArray[Any]) -> Sites:
        """Some of the sites, by mask or indices."""
        return Sites(**{name: value[chosen] for name, value in vars(self).items()})

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Lattices: `costal` and `surface`, depth in mm; `vessels`, share of dense voxels; `left`, 1 on
    the left lung's side and 0 on the right one's.

    `hila`: position (z, y, x) in mm by side; `lungs_ml`: volume of the mask.
    """

    sites: Sites
    costal: Lattice
    surface: Lattice
    vessels: Lattice
    left: Lattice
    hila: dict[Side, Vector]
    lungs_ml: float


def survey(view: PatientView, dense_above_hu: float = -600.0) -> Anatomy:
    """
    Raises:
        NoLungsError: the mask holds less than MINIMUM_ML.
    """
    lungs_ml = float(view.lungs.sum()) * view.voxel_ml
    if lungs_ml < MINIMUM_ML:
        raise NoLungsError("lungs to paint into", lungs_ml, MINIMUM_ML, "ml")
    spacing = np.array(view.spacing_mm)
    steps = np.maximum(1, np.round(GRID_MM / spacing)).astype(int)
    thinned = tuple(slice(int(step) // 2, None, int(step)) for step in steps)
    lungs = np.ascontiguousarray(view.lungs[thinned])
    sides = lung_sides(CtVolume(view.hu, view.affine), view.lungs)[thinned]
    step_mm, origin = spacing * steps, spacing * (steps // 2)
    costal = _depth(_hull(lungs, step_mm), step_mm)
    surface = _depth(lungs, step_mm)
    vessels = _about(view.hu[thinned] > dense_above_hu, lungs)
    sites, hila = _sites(lungs, sides, costal, surface, vessels, origin, step_mm)
    left = _leftness(sides, step_mm)
    maps = [Lattice(values, origin, step_mm) for values in (costal, surface, vessels, left)]
    return Anatomy(sites, maps[0], maps[1], maps[2], maps[3], hila, lungs_ml)


def _sites(
    lungs: Mask,
    sides: NDArray[np.uint8],
    costal: NDArray[np.float32],
    surface: NDArray[np.float32],
    vessels: NDArray[np.float32],
    origin: Vector,
    step_mm: Vector,
) -> tuple[Sites, dict[Side, Vector]]:
    index = np.nonzero(lungs)
    position = np.stack(index, axis=1) * step_mm + origin
    side, deep = sides[index], costal[index].astype(np.float64)
    slopes = [np.gradient(costal, step, axis=axis) for axis, step in enumerate(step_mm)]
    gradient = np.stack([slope[index] for slope in slopes], axis=1)
    inward = gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-3)
    height, back, hilar = (np.zeros(len(side)) for _ in range(3))
    hila = {}
    for each in Side:
        mine = side == each
        if not mine.any():
            continue
        height[mine] = _relative(position[mine, 0])
        back[mine] = _relative(position[mine, 1])
        hila[each] = _hilum(position[mine], height[mine], deep[mine])
        hilar[mine] = np.linalg.norm(position[mine] - hila[each], axis=1)
    near = surface[index].astype(np.float64), vessels[index].astype(np.float64)
    return Sites(position, side, deep, near[0], inward, height, back, hilar, near[1]), hila


def _relative(values: Vector) -> Vector:
    """0 at the lowest and 1 at the highest hundredth."""
    low, high = np.percentile(values, (1, 99))
    relative: Vector = np.clip((values - low) / max(high - low, 1.0), 0.0, 1.0)
    return relative


def _hilum(position: Vector, height: Vector, costal: Vector) -> Vector:
    """Middle of what lies deepest below the ribs at the heights of a hilum."""
    level = (height >= HILAR_HEIGHTS[0]) & (height <= HILAR_HEIGHTS[1])
    deepest = level & (costal >= np.percentile(costal[level], 97))
    middle: Vector = position[deepest].mean(axis=0)
    return middle


def _hull(lungs: Mask, step_mm: Vector) -> Mask:
    """What a convex line about both lungs encloses on each slice: the lungs with the mediastinum.

    Its edge follows the ribs, the spine's front and the sternum's back.
    """
    _, rows, columns = lungs.shape
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    y, x = np.arange(rows) * step_mm[1], np.arange(columns) * step_mm[2]
    ways = np.sin(angles)[:, None, None] * y[:, None] + np.cos(angles)[:, None, None] * x
    hull = np.zeros_like(lungs)
    for index in np.flatnonzero(lungs.any(axis=(1, 2))):
        furthest = ways[:, lungs[index]].max(axis=1)
        hull[index] = (ways <= furthest[:, None, None] + 0.01).all(axis=0)
    return hull


def _depth(mask: Mask, step_mm: Vector) -> NDArray[np.float32]:
    """Distance (mm) from what is outside the mask; negative there."""
    import SimpleITK

    itk: Any = SimpleITK  # most of its functions are untyped
    image = itk.GetImageFromArray(mask.view(np.uint8))
    image.SetSpacing([float(step) for step in step_mm[::-1]])
    depth: NDArray[np.float32] = itk.GetArrayFromImage(
        itk.SignedMaurerDistanceMap(image, True, False, True)
    )
    return depth


def _about(dense: Mask, lungs: Mask) -> NDArray[np.float32]:
    """Share of dense points among the lung's in the 27 about each."""
    total, held = (_sums((mask & lungs).astype(np.float32)) for mask in (lungs, dense))
    share: NDArray[np.float32] = np.divide(held, np.maximum(total, 1.0), dtype=np.float32)
    return share


def _leftness(sides: NDArray[np.uint8], step_mm: Vector) -> NDArray[np.float32]:
    """By which lung is nearer; all of one where there is only one lung."""
    depths = [
        _depth(sides == side, step_mm) if (sides == side).any() else np.float32(-1e4)
        for side in (Side.LEFT, Side.RIGHT)
    ]
    apart = np.asarray(depths[0] - depths[1], np.float32) / np.float32(2 * GRID_MM)
    return np.clip(np.broadcast_to(apart, sides.shape) + np.float32(0.5), 0.0, 1.0)


def _sums(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the 27 points about each."""
    slices, rows, columns = values.shape
    wide = np.pad(values, 1)
    total = np.zeros(values.shape, np.float32)
    for z, y, x in product(range(3), repeat=3):
        total += wide[z : z + slices, y : y + rows, x : x + columns]
    return total
