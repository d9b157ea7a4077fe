"""Means over small blocks of a chest, in slabs spread over the height of its lungs.

Means, because the noise of a thin slice with a sharp kernel is as large as the enhancement of
blood by contrast medium; slabs, because a chest need not be read wholly to measure its blood.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask
from inference.volume import CtVolume

Blocks = NDArray[np.float32]

BLOCK_MM = 3.0
"""Side of the blocks whose means are measured: smaller than any vessel that counts here."""
SLAB_COUNT = 24
"""Slabs looked at, evenly spread: one each 5 mm of a heart and its great vessels."""
HEIGHT_SHARES = (0.25, 0.70)
"""Part of the lungs' height, from the apex: from the aortic arch to above the liver's dome."""
LEAST_SECTION_SHARE = 0.05
"""A slice with less lung than this part of the largest section does not count for the height."""


@dataclass(frozen=True, eq=False)
class Slab:
    """Means over blocks of neighbouring slices, rows and columns.

    `hu` and `lung` (0 to 1) are float32 (blocks down, blocks across); `factors`: rows and columns
    of a block; `front_first`: whether rows go from the patient's front to the back.
    """

    hu: Blocks
    lung: Blocks
    factors: tuple[int, int]
    column_mm: float
    front_first: bool
    block_voxels: int
    block_ml: float


def slabs(volume: CtVolume, lungs: Mask) -> Iterator[Slab]:
    """Slabs of one block's thickness between the two heights, at most SLAB_COUNT of them."""
    thickness = min(max(1, round(BLOCK_MM / volume.spacing_mm[0])), len(lungs))
    factors = _factors(volume)
    for start in _starts(volume, lungs, thickness):
        part = slice(start, start + thickness)
        yield Slab(
            hu=_block_mean(volume.hu[part], factors),
            lung=_block_mean(lungs[part].view(np.uint8), factors),
            factors=factors,
            column_mm=volume.spacing_mm[2] * factors[1],
            front_first=bool(volume.affine[1, 1] > 0),
            block_voxels=thickness * factors[0] * factors[1],
            block_ml=thickness * factors[0] * factors[1] * volume.voxel_ml,
        )


def _starts(volume: CtVolume, lungs: Mask, thickness: int) -> list[int]:
    """First slices of the slabs, evenly spread over the part of the lungs' height looked at."""
    areas = lungs[:, ::2, ::2].sum(axis=(1, 2))
    found = np.flatnonzero(areas >= max(1.0, LEAST_SECTION_SHARE * areas.max(initial=0)))
    if not len(found):
        return []
    first, height = int(found[0]), int(found[-1]) + 1 - int(found[0])
    low, high = HEIGHT_SHARES
    if volume.affine[2, 0] > 0:  # slices go to the head: the apex is the last one
        low, high = 1 - high, 1 - low
    start, stop = first + int(low * height), first + math.ceil(high * height)
    last = min(max(stop - thickness, start), len(areas) - thickness)
    number = max(1, min(SLAB_COUNT, (stop - start) // thickness))
    return [int(each) for each in np.linspace(min(start, last), last, number).round()]


def _factors(volume: CtVolume) -> tuple[int, int]:
    """Rows and columns of a block."""
    _, row_mm, column_mm = volume.spacing_mm
    return max(1, round(BLOCK_MM / row_mm)), max(1, round(BLOCK_MM / column_mm))


def _block_mean(values: NDArray[np.int16] | NDArray[np.uint8], factors: tuple[int, int]) -> Blocks:
    """Mean over all slices and blocks of rows and columns: (blocks down, blocks across).

    Rows and columns that fill no block are left out.
    """
    slices, rows, columns = values.shape
    down, across = rows // factors[0], columns // factors[1]
    cut = values[:, : down * factors[0], : across * factors[1]]
    summed = cut.sum(axis=0, dtype=np.int32)
    blocks = summed.reshape(down, factors[0], across, factors[1]).sum(axis=(1, 3))
    means: Blocks = blocks.astype(np.float32) / np.float32(slices * factors[0] * factors[1])
    return means
