"""A chest of ellipsoids, drawn at any spacing, with the mask that must be found in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.volume import CtVolume

Field = NDArray[np.float64]
Mask = NDArray[np.bool_]
LUNG_HU, TISSUE_HU, GAS_HU, AIR_HU, FOAM_HU, WALL_HU = -850, 40, -1000, -1000, -900, 300
HEIGHT_MM, DEPTH_MM, WIDTH_MM = 260.0, 270.0, 360.0
LUNG_CENTRES = ((-72.0, 0.0), (72.0, 0.0))
LUNG_AXES = (100.0, 72.0, 52.0)  # along z, y and x, in mm
LUNGS_ML = 2 * 4 / 3 * np.pi * float(np.prod(LUNG_AXES)) / 1000


@dataclass(frozen=True, eq=False)
class Chest:
    """`lungs`: the truth, bool (slices, rows, columns); `z, y, x`: mm from the middle."""

    hu: NDArray[np.int16]
    lungs: Mask
    spacing_mm: tuple[float, float, float]
    z: Field
    y: Field
    x: Field

    def volume(self) -> CtVolume:
        affine = np.zeros((4, 4))
        affine[2, 0], affine[1, 1], affine[0, 2] = self.spacing_mm
        affine[3, 3] = 1.0
        return CtVolume(self.hu, affine)

    def paint(self, where: Mask, hu: int) -> None:
        self.hu[where] = hu

    def ball(self, z: float, y: float, x: float, radius: float) -> Mask:
        inside: Mask = (self.z - z) ** 2 + (self.y - y) ** 2 + (self.x - x) ** 2 < radius**2
        return inside


def chest(spacing_mm: tuple[float, float, float] = (5.0, 1.5, 1.5)) -> Chest:
    """Body with two lungs, trachea with main bronchi, and a table with a foam core under it."""
    z, y, x = _axes(spacing_mm)
    hu = np.full(np.broadcast_shapes(z.shape, y.shape, x.shape), AIR_HU, np.int16)
    hu[np.broadcast_to((y / 110) ** 2 + (x / 160) ** 2 < 1, hu.shape)] = TISSUE_HU
    table = np.broadcast_to((abs(y - 118) < 6) & (abs(x) < 150), hu.shape)
    hu[table] = WALL_HU
    hu[table & (abs(y - 118) < 4.5) & (abs(x) < 148)] = FOAM_HU
    lungs = np.zeros(hu.shape, np.bool_)
    a, b, c = LUNG_AXES
    for cx, cy in LUNG_CENTRES:
        lungs |= (z / a) ** 2 + ((y - cy) / b) ** 2 + ((x - cx) / c) ** 2 < 1
    hu[lungs] = LUNG_HU
    drawn = Chest(hu, lungs, spacing_mm, z, y, x)
    drawn.paint(airways(drawn), GAS_HU)
    drawn.lungs[airways(drawn)] = False
    noise = np.random.default_rng(0).normal(0, 15, hu.shape)
    hu += noise.astype(np.int16)
    return drawn


def airways(drawn: Chest) -> Mask:
    """A trachea of 18 mm from the top to z = 20, then two bronchi of 12 mm, 30 degrees out."""
    trachea = (drawn.z > 20) & (drawn.y**2 + drawn.x**2 < 9**2)
    way = np.clip((20 - drawn.z) * 0.6, 0, None)
    bronchi = (drawn.z <= 20) & (way < 15) & (drawn.y**2 + (abs(drawn.x) - way) ** 2 < 6**2)
    return np.asarray(trachea | bronchi)


def _axes(spacing_mm: tuple[float, float, float]) -> tuple[Field, Field, Field]:
    lines: list[Field] = []
    for length, step in zip((HEIGHT_MM, DEPTH_MM, WIDTH_MM), spacing_mm, strict=True):
        number = round(length / step)
        lines.append((np.arange(number, dtype=np.float64) - (number - 1) / 2) * step)
    return lines[0][:, None, None], lines[1][None, :, None], lines[2][None, None, :]


def dice(found: Mask, truth: Mask) -> float:
    return 2 * int((found & truth).sum()) / int(found.sum() + truth.sum())
