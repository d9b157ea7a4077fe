"""Lung segmentation by thresholds and connected components.

Components are found on a coarse in-plane grid (about 1.5 mm); the edge is then drawn on the full
one, at the HU half-way between lung and soft tissue. All limits are in mm, ml and HU, so that
slices of 1 mm and of 5 mm lead to the same lungs. Lung that is wholly consolidated and as dense
as the chest wall is taken in only as far as the in-plane closing reaches.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import (
    Mask,
    bounding_box,
    close_in_plane,
    dilate_in_plane,
    erode_in_plane,
    fill_in_plane,
    fill_volume,
    label_in_plane,
    label_volume,
    largest,
    means,
    open_in_plane,
    select,
    sizes,
)
from inference.errors import NoLungsError
from inference.lungs.airways import Grid, find_airways
from inference.volume import AIR_HU, CtVolume

Box = tuple[slice, slice, slice]

AIR_BELOW_HU = -350
"""A little above half-way from lung (-850) to soft tissue (40), for the sake of ground glass."""
TISSUE_ABOVE_HU = -500
"""Anything denser may be the patient's body."""
GAS_BELOW_HU = -945
"""Mean of bowel gas or of air outside the body, away from walls; lung with its blood is denser."""
COARSE_MM = 1.5
"""Pixel size aimed at for the components: finer than the airways' walls and the pleura."""
THIN_MM = 2.5
"""Body parts thinner than twice this are table, tube or blanket."""
CLOSING_MM = 9.0
"""Gaps up to twice this are vessels, nodules and peripheral consolidation of one lung."""
SMALLEST_SECTION_MM2 = 60.0
"""A smaller section is the tip of a recess, or bubbles of the stomach that touch the lung above."""
SMALLEST_PART = 0.02
"""A component smaller than this part of the largest is no lung and no lobe cut off."""
SECOND_LUNG_PART = 0.15
"""From this part of the largest on, a component is a lung of its own in the closing."""
TOUCHING_MM = (1.5, 3.0, 6.0)
"""Erosions tried, in turn, to part lungs that touch before or behind the mediastinum."""
WALL_MM = 2.0
"""Thickness of the wall of the trachea and the main bronchi."""
ROOM = 2
"""Coarse pixels left about the body: the edge of a mask is looked for one pixel outside it."""
LOWEST_HU, HIGHEST_HU = (np.int16(limit) for limit in (-32768, 32767))
"""No pixel is as low (`CtVolume` begins at AIR_HU), all are at most as high."""
OUTSIDE_BELOW_HU = -950
"""Less than this is air about the patient, or what scanners write beyond their field of view."""
DARK_EDGE_MM = 30.0
"""Lung as dark as air, at the edge of the field of view between tissue, may be so long."""
MINIMUM_LUNGS_ML = 150.0
"""Less than half of a two-year-old's lungs; the sinuses and throat of a head hold under 100 ml."""


def segment_lungs(volume: CtVolume, minimum_ml: float = MINIMUM_LUNGS_ML) -> Mask:
    """Both lungs without trachea and main bronchi: bool (slices, rows, columns) of `volume`.

    Raises:
        NoLungsError: there is less than `minimum_ml`; tells what was found, and the limit.
    """
    chest = _coarse_chest(volume)
    hu, body, walled, grid = chest.hu, chest.body, chest.walled, chest.grid
    air = (hu < AIR_BELOW_HU) & body
    lungs = _lung_air(hu, air & ~walled, grid, volume.voxel_ml * chest.factor**2, minimum_ml)
    closed = _close(lungs, grid) & body & ~walled
    inside = erode_in_plane(closed, 1) | (closed & ~lungs)
    edge = dilate_in_plane(closed, 1) & ~inside & ~walled & (closed | ~air)
    return _full_edge(volume.hu, inside, edge, chest.box, chest.factor)


def body_and_airways(volume: CtVolume) -> tuple[Mask, Mask]:
    """The body, filled in-plane, and trachea and main bronchi with their walls.

    Both bool (slices, rows, columns) of `volume`.
    """
    chest = _coarse_chest(volume)
    nowhere = np.zeros_like(chest.walled)
    body, airways = (
        _full_edge(volume.hu, mask, nowhere, chest.box, chest.factor)
        for mask in (chest.body, chest.walled)
    )
    return body, airways


@dataclass(frozen=True, eq=False)
class _CoarseChest:
    """The box of the body on the coarse grid, `factor` pixels each way to one of it.

    `hu`: means; `body`: filled in-plane; `walled`: the airways with their walls.
    """

    hu: NDArray[np.float32]
    body: Mask
    walled: Mask
    grid: Grid
    box: Box
    factor: int


def _coarse_chest(volume: CtVolume) -> _CoarseChest:
    factor = _coarse_factor(volume)
    hu = _block_mean(volume.hu, factor)
    grid = _grid(volume, factor)
    body = _body(hu, grid)
    box = _with_room(bounding_box(body), hu.shape)
    hu, body = hu[box], _filled(hu[box], body[box], grid)
    walled = dilate_in_plane(find_airways(hu, body, grid), grid.pixels(WALL_MM))
    return _CoarseChest(hu, body, walled, grid, box, factor)


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

    _each_slab(fill, slices)
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


def _each_slab(work: Callable[[slice], None], slices: int) -> None:
    """Call `work` for slabs of slices on all cores: numpy lets go of the interpreter meanwhile."""
    cores = os.cpu_count() or 1
    step = max(1, -(-slices // (4 * cores)))
    parts = [slice(start, min(start + step, slices)) for start in range(0, slices, step)]
    with ThreadPoolExecutor(cores, "lungs") as pool:
        list(pool.map(work, parts))


def _body(hu: NDArray[np.float32], grid: Grid) -> Mask:
    """The largest piece of tissue once thin things are gone."""
    return largest(open_in_plane(hu > TISSUE_ABOVE_HU, int(THIN_MM / min(grid.pixel_mm))))


def _lung_air(
    hu: NDArray[np.float32], air: Mask, grid: Grid, voxel_ml: float, minimum_ml: float
) -> Mask:
    """Components of air that are lung: not gas, large enough, level with the largest of them."""
    lungs = _without_gas(hu, air, label_volume(air))
    lungs = _without_bowel(hu, lungs, grid)
    sections = label_in_plane(lungs)
    lungs = select(sections, sizes(sections) * grid.pixel_mm2 >= SMALLEST_SECTION_MM2)
    labels = label_volume(lungs)
    counts = sizes(labels)
    found_ml = float(counts.max(initial=0)) * voxel_ml
    total_ml = float(counts[counts >= counts.max(initial=0) * SMALLEST_PART].sum()) * voxel_ml
    if found_ml == 0.0 or total_ml < minimum_ml:
        raise NoLungsError("lung volume", min(found_ml, total_ml), minimum_ml, "ml")
    return select(labels, (counts >= counts.max() * SMALLEST_PART) & _beside(labels, counts))


def _without_gas(hu: NDArray[np.float32], air: Mask, labels: NDArray[np.int32]) -> Mask:
    """Drop components whose inner mean is that of gas: air between arm and chest, bowel."""
    inner = means(labels, hu, erode_in_plane(air, 1))
    return select(labels, ~(inner < GAS_BELOW_HU))


def _without_bowel(hu: NDArray[np.float32], lungs: Mask, grid: Grid) -> Mask:
    """Drop sections that are gas below the largest section of the lungs.

    The diaphragm is thinner than many slices, so bowel can touch the lung from slice to slice,
    hardly ever within one. Above, pure gas may be a bulla or a pneumothorax and stays.
    """
    areas = lungs.sum(axis=(1, 2))
    widest = int(areas.argmax())
    below = np.zeros(lungs.shape[0], np.bool_)
    below[: widest + 1 if grid.headwards else None] = True
    below[: 0 if grid.headwards else widest] = False
    labels = label_in_plane(lungs & below[:, None, None])
    inner = means(labels, hu, erode_in_plane(lungs, 1))
    return lungs & ~select(labels, inner < GAS_BELOW_HU)


def _beside(labels: NDArray[np.int32], counts: NDArray[np.int64]) -> Mask:
    """Which components lie, by their middle slice, between top and bottom of the largest one."""
    slices = np.arange(labels.shape[0])
    main = np.flatnonzero((labels == counts.argmax()).any(axis=(1, 2)))
    totals = np.zeros(len(counts))
    for index in slices:
        totals += np.bincount(labels[index].ravel(), minlength=len(counts)) * float(index)
    middle = totals / np.maximum(counts, 1)
    level: Mask = (middle >= main[0]) & (middle <= main[-1])
    return level


def _close(lungs: Mask, grid: Grid) -> Mask:
    """Close each lung in-plane on its own, so that the mediastinum between them stays out.

    A hole is filled only when lung shuts it on all sides in the volume: on one slice the liver's
    dome is a hole too.
    """
    box = bounding_box(lungs)
    closed = lungs[box].copy()
    for side in _sides(lungs[box], grid):
        closed |= close_in_plane(side, grid.pixels(CLOSING_MM))
    whole = np.zeros(lungs.shape, np.bool_)
    whole[box] = fill_volume(closed)
    return whole


def _sides(lungs: Mask, grid: Grid) -> list[Mask]:
    """The lungs apart; where they touch, each is what lies about the core an erosion leaves of it.

    Each core grows by twice the erosion, to take back the rims of its vessels, but stays out of
    what belongs to the others.
    """
    for radius in (0, *(grid.pixels(mm) for mm in TOUCHING_MM)):
        labels = label_volume(erode_in_plane(lungs, radius))
        counts = sizes(labels)
        cores = np.flatnonzero(counts >= counts.max() * SECOND_LUNG_PART)
        if len(cores) > 1:
            return _grown([labels == core for core in cores], lungs, radius)
    return [lungs]


def _grown(cores: list[Mask], lungs: Mask, radius: int) -> list[Mask]:
    if radius == 0:
        return cores
    near = [dilate_in_plane(core, radius) & lungs for core in cores]
    owned = np.sum(near, axis=0, dtype=np.uint8)
    # owned == own: mine alone, or nobody's; what two cores claim is left to the closing.
    return [dilate_in_plane(own, radius) & lungs & (owned == own) for own in near]


def _full_edge(hu: NDArray[np.int16], inside: Mask, edge: Mask, box: Box, factor: int) -> Mask:
    """From the coarse grid to the full one: inside as it is, at the edge by the threshold.

    `inside` and `edge` are of `box` of the coarse grid. Both become one HU limit for each pixel:
    none inside, the threshold at the edge, below all HU elsewhere.
    """
    _, rows, columns = (slice(s.start * factor, s.stop * factor) for s in box)
    lungs = np.zeros(hu.shape, np.bool_)

    def draw(part: slice) -> None:
        for index in range(part.start, part.stop):
            limit = np.where(inside[index], HIGHEST_HU, LOWEST_HU)
            limit[edge[index]] = AIR_BELOW_HU - 1
            pixels = hu[index, rows, columns]
            full = limit.repeat(factor, axis=1).repeat(factor, axis=0)
            lungs[index, rows, columns] = pixels <= full[: pixels.shape[0], : pixels.shape[1]]

    _each_slab(draw, len(hu))
    return lungs
