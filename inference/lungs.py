"""Lung segmentation by thresholds and connected components.

Components are found on a coarse in-plane grid (about 1.5 mm); the edge is then drawn on the full
one, at the HU half-way between lung and soft tissue. All limits are in mm, ml and HU, so that
slices of 1 mm and of 5 mm lead to the same lungs. Lung that is wholly consolidated and as dense
as the chest wall is taken in only as far as the in-plane closing reaches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.airways import Grid, find_airways
from inference.components import (
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
from inference.volume import AIR_HU, CtVolume

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
MINIMUM_LUNGS_ML = 150.0
"""Less than half of a two-year-old's lungs; the sinuses and throat of a head hold under 100 ml."""


def segment_lungs(volume: CtVolume, minimum_ml: float = MINIMUM_LUNGS_ML) -> Mask:
    """Both lungs without trachea and main bronchi: bool (slices, rows, columns) of `volume`.

    Raises NoLungsError with the volume found and the limit when there is less than `minimum_ml`.
    """
    factor = _coarse_factor(volume)
    hu = _block_mean(volume.hu, factor)
    grid = _grid(volume, factor)
    voxel_ml = volume.voxel_ml * factor**2
    body = fill_in_plane(_body(hu, grid))
    airways = find_airways(hu, body, grid)
    walled = dilate_in_plane(airways, grid.pixels(WALL_MM))
    air = (hu < AIR_BELOW_HU) & body
    lungs = _lung_air(hu, air & ~walled, grid, voxel_ml, minimum_ml)
    closed = _close(lungs, grid) & body & ~walled
    inside = erode_in_plane(closed, 1) | (closed & ~lungs)
    edge = dilate_in_plane(closed, 1) & ~inside & ~walled & (closed | ~air)
    return _full_edge(volume.hu, inside, edge, factor)


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
    more = ((0, 0), (0, -rows % factor), (0, -columns % factor))
    padded = np.pad(hu, more, constant_values=AIR_HU) if rows % factor or columns % factor else hu
    total = np.zeros((slices, padded.shape[1] // factor, padded.shape[2] // factor), np.int32)
    for row in range(factor):
        for column in range(factor):
            total += padded[:, row::factor, column::factor]
    return total.astype(np.float32) / np.float32(factor**2)


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


def _full_edge(hu: NDArray[np.int16], inside: Mask, edge: Mask, factor: int) -> Mask:
    """From the coarse grid to the full one: inside as it is, at the edge by the threshold."""
    shape = hu.shape
    return _enlarge(inside, factor, shape) | (_enlarge(edge, factor, shape) & (hu < AIR_BELOW_HU))


def _enlarge(mask: Mask, factor: int, shape: tuple[int, ...]) -> Mask:
    if factor == 1:
        return mask
    return mask.repeat(factor, axis=1).repeat(factor, axis=2)[:, : shape[1], : shape[2]]
