"""A drawn chest with painted lesions, and the truth of each voxel: the same at every call."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicomnode.synthetic.spacing import SPACING_MM
from inference.simulation.paint import paint
from inference.simulation.patterns import Pattern
from inference.volume import AIR_HU, CtVolume

Mask = NDArray[np.bool_]

SLICES, SIDE = 80, 128  # small, so that it is sent and analysed in seconds; lungs are high enough
PIXEL_MM = 2.8
_TISSUE_HU, _LUNG_HU, _VESSEL_HU, _LETTERS_HU = 40, -850, 30, 1000
_NOISE_HU = 12.0
_SEED = 7
_WORDS = "NOT A PATIENT"


@dataclass(frozen=True, eq=False)
class DrawnChest:
    """`lungs`, `lesions`: the truth, bool (slices, rows, columns) of the volume."""

    volume: CtVolume
    lungs: Mask
    lesions: Mask

    def part(self, slices: slice) -> DrawnChest:
        """Some of its slices; their indices count from 0 again."""
        affine = self.volume.affine.copy()
        affine[:3, 3] = self.volume.to_lps((float(slices.start), 0.0, 0.0))
        volume = CtVolume(self.volume.hu[slices], affine)
        return DrawnChest(volume, self.lungs[slices], self.lesions[slices])

    @property
    def spacing_mm(self) -> float:
        return float(self.volume.affine[2, 0])

    @property
    def lungs_ml(self) -> float:
        return int(self.lungs.sum()) * self.volume.voxel_ml


@cache
def drawn_chest(spacing_mm: float = SPACING_MM) -> DrawnChest:
    """A body with two lungs and their vessels; COVID-19-like lesions; words in the air before it.

    The words are voxels, so they are burned into every picture that is made of it.
    """
    z, y, x = _millimetres(spacing_mm)
    lungs = np.logical_or(*(_lung(z, y, x, side) for side in (-72.0, 72.0)))
    vessels = lungs & ((np.abs(x) - 50) ** 2 + (y - 10) ** 2 < 36)
    hu = np.full(lungs.shape, float(AIR_HU))
    hu[np.broadcast_to((x / 160) ** 2 + (y / 115) ** 2 < 1, hu.shape)] = _TISSUE_HU
    hu[lungs] = _LUNG_HU
    hu[vessels] = _VESSEL_HU
    hu += np.random.Generator(np.random.PCG64(_SEED)).normal(0.0, _NOISE_HU, hu.shape)
    volume = CtVolume(np.clip(np.rint(hu), AIR_HU, 3000).astype(np.int16), _affine(spacing_mm))
    painted = paint(volume, lungs, Pattern.COVID19, _SEED)
    painted.volume.hu[:, _letters()] = _LETTERS_HU
    return DrawnChest(painted.volume, lungs, painted.lesions > 0)


def _millimetres(
    spacing_mm: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of each slice, row and column from the middle."""
    slices = round(SLICES * SPACING_MM / spacing_mm)
    along = (np.arange(slices, dtype=np.float64) - (slices - 1) / 2) * spacing_mm
    across = (np.arange(SIDE, dtype=np.float64) - (SIDE - 1) / 2) * PIXEL_MM
    return along[:, None, None], across[None, :, None], across[None, None, :]


def _lung(
    z: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64], middle: float
) -> Mask:
    """An ellipsoid that ends within the series, above and below."""
    inside: Mask = (z / 92) ** 2 + (y / 85) ** 2 + ((x - middle) / 58) ** 2 < 1
    return inside


def _affine(spacing_mm: float) -> NDArray[np.float64]:
    corner = -(SIDE - 1) / 2 * PIXEL_MM
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = spacing_mm, PIXEL_MM, PIXEL_MM
    affine[:, 3] = (corner, corner, 0.0, 1.0)
    return affine


def _letters() -> Mask:
    """Where the words stand in a slice: bool (rows, columns)."""
    canvas = Image.new("1", (SIDE, SIDE))
    ImageDraw.Draw(canvas).text((SIDE // 2, 2), _WORDS, fill=1, anchor="ma")
    return np.asarray(canvas, np.bool_)
