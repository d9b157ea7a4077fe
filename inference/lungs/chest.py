"""The chest on a coarse in-plane grid (about 1.5 mm): the body, filled, and its airways.

Found once for all that looks for the lungs. All limits are in mm and HU.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import (
    Mask,
    bounding_box,
    close_in_plane,
    dilate_in_plane,
    fill_in_plane,
    largest,
    open_in_plane,
)
from inference.lungs.airways import Grid, find_airways
from inference.volume import AIR_HU, CtVolume

Box = tuple[slice, slice, slice]
Scalar = TypeVar("Scalar", bound=np.generic)

TISSUE_ABOVE_HU = -500
"""Anything denser may be the patient's body."""
COARSE_MM = 1.5
"""Pixel size aimed at for the components: finer than the airways' walls and the pleura."""
THIN_MM = 2.5
"""Body parts thinner than twice this are table, tube or blanket."""
WALL_MM = 2.0
"""Thickness of the wall of the trachea and the main bronchi."""
ROOM = 2
"""Coarse pixels left about the body: the edge of a mask is looked for one pixel outside it."""
OUTSIDE_BELOW_HU = -950
"""Less than this is air about the patient, or what scanners write beyond their field of view."""
DARK_EDGE_MM = 30.0
"""Lung as dark as air, at the edge of the field of view between tissue, may be so long."""


@dataclass(frozen=True, eq=False)
class CoarseBody:
    """The box of the body on the coarse grid, `factor` pixels each way to one of it.

    `body`: filled in-plane; `walled`: the airways with their walls. `shape`: of the whole grid.
    """

    body: Mask
    walled: Mask
    grid: Grid
    box: Box
    factor: int
    shape: tuple[int, ...]

    def on_slice(self, index: int, part: NDArray[Scalar]) -> NDArray[Scalar]:
        """A slice of the whole grid, of an array of the box; 0 beyond that."""
        made = np.zeros(self.shape[1:], part.dtype)
        slices, rows, columns = self.box
        if slices.start <= index < slices.stop:
            made[rows, columns] = part[index - slices.start]
        return made


@dataclass(frozen=True, eq=False)
class CoarseChest:
    """The body with its HU: means over the pixels of each place of the box."""

    hu: NDArray[np.float32]
    of_body: CoarseBody

    @property
    def body(self) -> Mask:
        """As that of `CoarseBody`."""
        return self.of_body.body

    @property
    def walled(self) -> Mask:
        """As that of `CoarseBody`."""
        return self.of_body.walled

    @property
    def grid(self) -> Grid:
        """As that of `CoarseBody`."""
        return self.of_body.grid


def coarse_chest(volume: CtVolume) -> CoarseChest:
    """That of a volume."""
    factor = _coarse_factor(volume)
    hu = _block_mean(volume.hu, factor)
    grid = _grid(volume, factor)
    body = _body(hu, grid)
    shape, box = hu.shape, _with_room(bounding_box(body), hu.shape)
    hu, body = hu[box].copy(), body[box]  # what is beyond the box is not kept with it
    body = _filled(hu, body, grid)
    walled = dilate_in_plane(find_airways(hu, body, grid), grid.pixels(WALL_MM))
    return CoarseChest(hu, CoarseBody(body, walled, grid, box, factor, shape))


def _filled(hu: NDArray[np.float32], body: Mask, grid: Grid) -> Mask:
    """Without holes in-plane; a lung that the field of view cuts off is one, the room about is not.

    So the patient is taken to go on beyond the edge of the field of view where no air is there.
    """
    within = np.pad(hu > OUTSIDE_BELOW_HU, ((0, 0), (1, 1), (1, 1)), mode="edge")
    beyond = np.pad(body, ((0, 0), (1, 1), (1, 1)))
    reach = grid.pixels(DARK_EDGE_MM / 2)
    for row in (0, -1):
        beyond[:, row] = _without_gaps(within[:, row], reach)
    for column in (0, -1):
        beyond[:, :, column] |= _without_gaps(within[:, :, column], reach)
    return fill_in_plane(beyond)[:, 1:-1, 1:-1]


def _without_gaps(lines: Mask, reach: int) -> Mask:
    """Each line (of the last axis) with its gaps of up to twice `reach` closed."""
    return close_in_plane(lines[:, None, :].repeat(2 * reach + 1, axis=1), reach)[:, reach]


def _with_room(box: Box, shape: tuple[int, ...]) -> Box:
    """In-plane one pixel more than an edge needs: beyond the body there is nothing to look at."""
    _, rows, columns = box

    def wide(side: slice, length: int) -> slice:
        return slice(max(0, side.start - ROOM), min(length, side.stop + ROOM))

    return slice(0, shape[0]), wide(rows, shape[1]), wide(columns, shape[2])


def _coarse_factor(volume: CtVolume) -> int:
    _, row_mm, column_mm = volume.spacing_mm
    return max(1, round(COARSE_MM / max(row_mm, column_mm)))


def _grid(volume: CtVolume, factor: int) -> Grid:
    slice_mm, row_mm, column_mm = volume.spacing_mm
    headwards = bool(volume.affine[2, 0] > 0)
    return Grid(slice_mm, (row_mm * factor, column_mm * factor), headwards)


def _block_mean(hu: NDArray[np.int16], factor: int) -> NDArray[np.float32]:
    """Mean over factor x factor pixels, the last block filled up with air."""
    slices, rows, columns = hu.shape
    if factor == 1:
        return hu.astype(np.float32)
    means = np.empty((slices, -(-rows // factor), -(-columns // factor)), np.float32)

    def fill(part: slice) -> None:
        for index in range(part.start, part.stop):
            means[index] = _block_sum(hu[index], factor) / np.float32(factor**2)

    each_slab(fill, slices)
    return means


def _block_sum(hu: NDArray[np.int16], factor: int) -> NDArray[np.int32]:
    """Sums over blocks of one slice."""
    rows, columns = hu.shape
    if rows % factor or columns % factor:
        more = ((0, -rows % factor), (0, -columns % factor))
        hu = np.pad(hu, more, constant_values=AIR_HU)
    by_row = hu[::factor].astype(np.int32)
    for row in range(1, factor):
        by_row += hu[row::factor]
    total = by_row[:, ::factor].copy()
    for column in range(1, factor):
        total += by_row[:, column::factor]
    return total


def each_slab(work: Callable[[slice], None], slices: int) -> None:
    """Call `work` for slabs of slices on all cores: numpy lets go of the interpreter meanwhile."""
    cores = os.cpu_count() or 1
    step = max(1, -(-slices // (4 * cores)))
    parts = [slice(start, min(start + step, slices)) for start in range(0, slices, step)]
    with ThreadPoolExecutor(cores, "lungs") as pool:
        list(pool.map(work, parts))


def _body(hu: NDArray[np.float32], grid: Grid) -> Mask:
    """The largest piece of tissue once thin things are gone."""
    return largest(open_in_plane(hu > TISSUE_ABOVE_HU, int(THIN_MM / min(grid.pixel_mm))))
