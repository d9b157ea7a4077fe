"""What is tidied slice by slice is what masks of the whole volume would give."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.arrays.components import (
    dilate_in_plane,
    erode_in_plane,
    fill_volume,
    label_volume,
    select,
    sizes,
)
from inference.lungs.airways import Grid
from inference.lungs.chest import CoarseBody
from inference.lungs.thresholds import SMALLEST_PART
from inference.lungs.tidied import tidied

Mask = NDArray[np.bool_]


def _blocks(draw: np.random.Generator, shape: tuple[int, ...], number: int) -> Mask:
    mask = np.zeros(shape, np.bool_)
    for _ in range(number):
        box = []
        for length in shape:
            start = int(draw.integers(0, length))
            box.append(slice(start, start + int(draw.integers(1, 6 + length // 3))))
        mask[tuple(box)] ^= True
    return mask


def _on(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Of each pixel of a grid of `shape`, what the mask says at its place."""
    pairs = zip(shape, mask.shape, strict=True)
    along = [np.arange(length) * cells // length for length, cells in pairs]
    return np.asarray(mask[np.ix_(*along)])


def _plainly(fine: NDArray[np.uint8], coarse: Mask, chest: CoarseBody) -> Mask:
    def whole(part: Mask) -> Mask:
        factor = chest.factor
        on_grid = np.stack([chest.on_slice(index, part) for index in range(chest.shape[0])])
        spread = on_grid.repeat(factor, axis=1).repeat(factor, axis=2)
        return spread[:, : fine.shape[1], : fine.shape[2]]

    body, walled = whole(chest.body), whole(chest.walled)
    labels = label_volume(coarse & _on(body, coarse.shape))
    counts = sizes(labels)
    kept = fill_volume(select(labels, counts >= max(1.0, counts.max() * SMALLEST_PART)))
    near = _on(dilate_in_plane(kept, 1), fine.shape)
    inside = _on(erode_in_plane(kept, 1), fine.shape)
    return (((fine > 0) & body & near) | inside) & ~walled


@pytest.mark.parametrize(
    ("shape", "cells", "factor"),
    [
        ((9, 40, 40), (9, 20, 20), 2),
        ((9, 41, 37), (9, 16, 16), 2),
        ((6, 30, 31), (6, 48, 48), 3),
        ((20, 9, 40), (16, 9, 16), 1),  # stored so that the network's slices are rows
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_it_is_what_masks_of_the_whole_volume_give(
    shape: tuple[int, int, int], cells: tuple[int, int, int], factor: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    grid = (shape[0], -(-shape[1] // factor), -(-shape[2] // factor))
    box = (slice(0, grid[0]), slice(1, grid[1] - 1), slice(2, grid[2]))
    size = tuple(side.stop - side.start for side in box)
    body, walled = ~_blocks(draw, size, 2), _blocks(draw, size, 2)
    chest = CoarseBody(body, walled, Grid(1.0, (1.5, 1.5), True), box, factor, grid)
    fine = draw.integers(0, 3, shape).astype(np.uint8)
    coarse = _blocks(draw, cells, 4)
    expected = _plainly(fine, coarse, chest).tolist()
    assert tidied(fine, coarse.view(np.uint8), chest).tolist() == expected
    assert tidied(fine, coarse.view(np.uint8), chest, in_place=True).tolist() == expected
