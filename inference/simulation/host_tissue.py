"""Which of the host's voxels a lesion may take: lung and the rim of its pleura, not vessels denser
than the lesion, not the air of bronchi."""

from __future__ import annotations

import numpy as np

from inference.arrays.components import Mask, dilate_in_plane
from inference.simulation.canvas import Canvas
from inference.simulation.fields import Lattice, Points, Values

HOLE_BELOW_HU = -900.0
"""Matter of less is air: a hole."""
VESSEL_HU = -600.0
"""What is denser is vessel or disease of the host, not lung with its blood."""
AROUND_MM = 8.0
"""Pixel size of the map of the lung's own density: airways are finer, air trapping is coarser."""
DARKER_HU = 60.0
"""By so much, at least, the air of a bronchus is darker than the lung about it."""


def open_to(fill_hu: float, even: Values, airy: Values) -> Values:
    """Share of a voxel's HU that matter of `fill_hu` may take: denser tissue stays as it is, and
    so does the air of bronchi; holes spare the vessels. `airy`: what `airless` gives."""
    if fill_hu < HOLE_BELOW_HU:
        return _share((VESSEL_HU - even) / 150.0)
    lighter = _share((np.float32(fill_hu) - even) / 120.0)
    return np.minimum(lighter, airy, out=lighter)


def open_places(lungs: Mask, even: Values, reach: int) -> Values:
    """1 in the lungs; in their rim less, the nearer a voxel is to fat."""
    rim = dilate_in_plane(np.ascontiguousarray(lungs), reach)
    places: Values = _share((-60.0 - even) / 100.0) * rim
    places[lungs] = 1.0
    return places


def evened(hu: Values) -> Values:
    """Each slice with weights 1, 2, 1 both ways: less noise, the same vessels."""
    padded = np.pad(hu, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    even: Values = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / np.float32(16)
    return even


def airless(even: Values, lungs: Mask, canvas: Canvas) -> Values:
    """0 in the air of bronchi and bullae, which is darker than the lung about; 1 elsewhere."""
    step = [1, *(max(1, round(AROUND_MM / mm)) for mm in canvas.spacing_mm[1:])]
    around = _around(even, lungs & (even < VESSEL_HU), step)
    darker = max(DARKER_HU, 2.5 * canvas.noise.lung_hu)
    return _share((even - around + np.float32(darker)) / 40.0 + 1.0)


def _around(even: Values, lungs: Mask, step: list[int]) -> Values:
    """Mean of the lung in squares of `step` pixels and the eight about each, between them even."""
    _, rows, columns = even.shape
    room = [(0, 0), (0, -rows % step[1]), (0, -columns % step[2])]
    held, number = (
        _blocks(np.pad(a, room), step) for a in (even * lungs, lungs.astype(np.float32))
    )
    mean = held / np.maximum(number, 1.0)
    mean[number == 0] = np.float32(-1000.0)  # nothing near: whatever is there counts as airless
    middle = [(length - 1) / 2.0 for length in step]
    lattice = Lattice(np.asarray(mean, np.float32), np.array(middle), np.array(step, np.float64))
    z, y, x = (np.arange(length, dtype=np.float64) for length in even.shape)
    return lattice.at(Points(z, y, x))


def _blocks(values: Values, step: list[int]) -> Values:
    """Sums over squares of `step` pixels and the eight about each."""
    slices, rows, columns = values.shape
    parts = values.reshape(slices, rows // step[1], step[1], columns // step[2], step[2])
    wide = np.pad(parts.sum(axis=(2, 4)), ((0, 0), (1, 1), (1, 1)))
    tall = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    total: Values = tall[:, :, :-2] + tall[:, :, 1:-1] + tall[:, :, 2:]
    return total


def _share(values: Values) -> Values:
    share: Values = np.clip(values, 0.0, 1.0)
    return share
