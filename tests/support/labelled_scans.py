"""Chest phantoms with lesions whose place and class are known, and scans prepared from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from inference.arrays.components import Mask
from inference.location_attention.network import CLASSES
from inference.location_attention.preprocess import RegionPreprocessing
from inference.training.plan import PreparedScan
from inference.training.scan import LesionBox, LoadedScan
from support.chest_volume import Chest, chest

COVID, FLU, IRRELEVANT = CLASSES
SPACING_MM = (10.0, 4.0, 4.0)
SETTINGS = RegionPreprocessing(grid_slice_mm=8.0, grid_pixel_mm=5.0, patch_size=32)
"""A grid of 32 x 48 x 64 cells."""

Ball = tuple[float, float, float, float]
"""Middle (z, y, x) and radius, in mm of the phantom."""


def drawn_chest() -> Chest:
    return chest(SPACING_MM)


def labelled(
    balls: Mapping[Ball, str], hu: int = -300, boxes: bool = True, masks: bool = True
) -> LoadedScan:
    """A chest with balls of a class each; numbers rise from 1 in the order given."""
    drawn = drawn_chest()
    lesions = np.zeros(drawn.hu.shape, np.uint16)
    for number, ball in enumerate(balls, start=1):
        inside = drawn.ball(*ball) & drawn.lungs
        lesions[inside] = number
        drawn.paint(inside, hu)
    known = [_box(lesions, number, name) for number, name in enumerate(balls.values(), start=1)]
    return LoadedScan(
        drawn.volume(),
        drawn.lungs,
        lesions if masks else None,
        tuple(known) if boxes else (),
    )


def _box(lesions: NDArray[np.uint16], number: int, name: str) -> LesionBox:
    """About the voxels of a lesion, to their outer faces, in LPS mm."""
    places = np.argwhere(lesions == number)
    low, high = (places.min(axis=0) - 0.5) * SPACING_MM, (places.max(axis=0) + 0.5) * SPACING_MM
    (z0, y0, x0), (z1, y1, x1) = low.tolist(), high.tolist()
    return LesionBox(number, name, "ball", (x0, y0, z0), (x1, y1, z1))


def known_lungs(scan: LoadedScan) -> Mask:
    assert scan.lungs is not None
    return scan.lungs


def prepared(
    folder: Path, scan: str, label: str, tensors: Mapping[str, Tensor], patient: str = "p"
) -> PreparedScan:
    """The tensors in a file, as the cache keeps them."""
    path = folder / f"{scan}.safetensors"
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    return PreparedScan(scan, patient, label, path)
