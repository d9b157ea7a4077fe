"""The heatmap of a slice: the network's grid drawn back onto the slice's own pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.findings import SliceActivation

_AT_ONCE = 1 << 17
"""Multiplications of one product: so few that BLAS wakes no threads for it. They would spin for
longer than all of it takes, and how many there are would show in the last bit."""


def activation_on_slice(
    activation: SliceActivation, rows: int, columns: int
) -> NDArray[np.float32]:
    """Activation on the slice's pixels: float32 (rows, columns), 0 outside the box.

    Bilinear between the centres of the grid's cells; the grid covers the box edge to edge, so that
    the centre of cell i of h lies (i + 0.5 - offset) / h of the way from the box's edge.

    Raises:
        ValueError: the box does not lie within the slice.
    """
    box = activation.box
    if not (0 <= box.top < box.bottom <= rows and 0 <= box.left < box.right <= columns):
        raise ValueError(f"{box} does not lie within a slice of {rows} x {columns}")
    height, width = activation.cam.shape
    down = _weights(box.bottom - box.top, height, activation.offset[0])  # (box rows, h)
    across = _weights(box.right - box.left, width, activation.offset[1])  # (box columns, w)
    whole = np.zeros((rows, columns), np.float32)
    within, coarse = whole[box.top : box.bottom, box.left : box.right], down @ activation.cam
    parts = -(-len(coarse) * across.size // _AT_ONCE)
    for target, part in zip(
        np.array_split(within, parts), np.array_split(coarse, parts), strict=True
    ):
        target[:] = part @ across.T
    return whole


def _weights(pixels: int, cells: int, offset: float) -> NDArray[np.float32]:
    """Bilinear weights (pixels, cells); beyond the outermost centres the outermost cell holds."""
    position = np.clip((np.arange(pixels) + 0.5) / pixels * cells - 0.5 + offset, 0, cells - 1)
    distance = np.abs(position[:, None] - np.arange(cells))
    weights: NDArray[np.float32] = np.maximum(1 - distance, 0).astype(np.float32)
    return weights
