"""Lung segmentation by thresholds and connected components.

Components are found on a coarse in-plane grid (about 1.5 mm); the edge is then drawn on the full
one, at the HU half-way between lung and soft tissue. All limits are in mm, ml and HU, so that
slices of 1 mm and of 5 mm lead to the same lungs. Lung that is wholly consolidated and as dense
as the chest wall is taken in only as far as the in-plane closing reaches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import (
    Labels,
    Mask,
    bounding_box,
    close_in_plane,
    dilate_in_plane,
    erode_in_plane,
    fill_volume,
    label_in_plane,
    label_volume,
    means,
    select,
    sizes,
)
from inference.errors import NoLungsError
from inference.lungs.airways import Grid
from inference.lungs.chest import CoarseBody, CoarseChest, coarse_chest, each_slab
from inference.volume import CtVolume

AIR_BELOW_HU = -350
"""A little above half-way from lung (-850) to soft tissue (40), for the sake of ground glass."""
GAS_BELOW_HU = -945
"""Mean of bowel gas or of air outside the body, away from walls; lung with its blood is denser."""
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
LOWEST_HU, HIGHEST_HU = (np.int16(limit) for limit in (-32768, 32767))
"""No pixel is as low (`CtVolume` begins at AIR_HU), all are at most as high."""
MINIMUM_LUNGS_ML = 150.0
"""Less than half of a two-year-old's lungs; the sinuses and throat of a head hold under 100 ml."""


@dataclass(frozen=True, eq=False)
class Outline:
    """Lungs on the coarse grid: `inside` as it is, the `edge` by the threshold on the full grid.

    Both: bool, of the box of `of_body`.
    """

    inside: Mask
    edge: Mask
    of_body: CoarseBody

    @property
    def within(self) -> tuple[slice, slice]:
        """Rows and columns of the full grid beyond which there is nothing."""
        factor, (_, *sides) = self.of_body.factor, self.of_body.box
        rows, columns = (slice(side.start * factor, side.stop * factor) for side in sides)
        return rows, columns

    def draw(self, hu: NDArray[np.int16], take: Callable[[int, Mask], None]) -> None:
        """Give `take` each slice's index and lungs `within`, on all cores.

        Inside and edge become one HU limit for each pixel: none inside, the threshold at the edge,
        below all HU elsewhere. `hu`: of the volume.
        """
        rows, columns = self.within
        factor = self.of_body.factor

        def draw(part: slice) -> None:
            for index in range(part.start, part.stop):
                limit = np.where(self.inside[index], HIGHEST_HU, LOWEST_HU)
                limit[self.edge[index]] = AIR_BELOW_HU - 1
                pixels = hu[index, rows, columns]
                full = limit.repeat(factor, axis=1).repeat(factor, axis=0)
                take(index, pixels <= full[: pixels.shape[0], : pixels.shape[1]])

        each_slab(draw, len(hu))


def segment_lungs(volume: CtVolume, minimum_ml: float = MINIMUM_LUNGS_ML) -> Mask:
    """Both lungs without trachea and main bronchi: bool (slices, rows, columns) of `volume`.

    Raises:
        NoLungsError: there is less than `minimum_ml`; tells what was found, and the limit.
    """
    return lungs_of_chest(volume, coarse_chest(volume), minimum_ml)


def lungs_of_chest(
    volume: CtVolume, chest: CoarseChest, minimum_ml: float = MINIMUM_LUNGS_ML
) -> Mask:
    """As `segment_lungs`; `chest`: that of the volume.

    Raises:
        as `segment_lungs`.
    """
    outline = outline_of_chest(volume, chest, minimum_ml)
    lungs = np.zeros(volume.hu.shape, np.bool_)

    def keep(index: int, part: Mask) -> None:
        lungs[index, *outline.within] = part

    outline.draw(volume.hu, keep)
    return lungs


def overlap_of_outline(volume: CtVolume, outline: Outline, lungs: Mask) -> tuple[int, int]:
    """Voxels of the outlined lungs, and those of them that are of `lungs` too.

    Slice by slice: the mask that is compared is never made as a whole.
    """
    drawn, common = (np.zeros(len(lungs), np.int64) for _ in range(2))

    def count(index: int, part: Mask) -> None:
        drawn[index] = np.count_nonzero(part)
        common[index] = np.count_nonzero(part & lungs[index, *outline.within])

    outline.draw(volume.hu, count)
    return int(drawn.sum()), int(common.sum())


def outline_of_chest(
    volume: CtVolume, chest: CoarseChest, minimum_ml: float = MINIMUM_LUNGS_ML
) -> Outline:
    """What `lungs_of_chest` draws.

    Raises:
        as `segment_lungs`.
    """
    air = (chest.hu < AIR_BELOW_HU) & chest.body
    lungs = _lung_air(
        chest, air & ~chest.walled, volume.voxel_ml * chest.of_body.factor**2, minimum_ml
    )
    closed = _close(lungs, chest.grid) & chest.body & ~chest.walled
    inside = erode_in_plane(closed, 1) | (closed & ~lungs)
    edge = dilate_in_plane(closed, 1) & ~inside & ~chest.walled & (closed | ~air)
    return Outline(inside, edge, chest.of_body)


def _lung_air(chest: CoarseChest, air: Mask, voxel_ml: float, minimum_ml: float) -> Mask:
    """Components of air that are lung: not gas, large enough, level with the largest of them."""
    lungs = _without_gas(chest.hu, air)
    sections = label_in_plane(lungs)
    large = sizes(sections) * chest.grid.pixel_mm2 >= SMALLEST_SECTION_MM2
    lungs = select(sections, large & ~_bowel(chest, lungs, sections))
    labels = label_volume(lungs)
    counts = sizes(labels)
    found_ml = float(counts.max()) * voxel_ml
    total_ml = float(counts[counts >= counts.max() * SMALLEST_PART].sum()) * voxel_ml
    if found_ml == 0.0 or total_ml < minimum_ml:
        raise NoLungsError("lung volume", min(found_ml, total_ml), minimum_ml, "ml")
    return select(labels, (counts >= counts.max() * SMALLEST_PART) & _beside(labels, counts))


def _without_gas(hu: NDArray[np.float32], air: Mask) -> Mask:
    """Drop components whose inner mean is that of gas: air between arm and chest, bowel."""
    labels = label_volume(air)
    return select(labels, ~_gas(hu, air, labels))


def _gas(hu: NDArray[np.float32], air: Mask, labels: Labels) -> Mask:
    """Which components have the mean of gas away from their walls; `labels`: of `air`."""
    gas: Mask = means(labels, hu, erode_in_plane(air, 1)) < GAS_BELOW_HU
    return gas


def _bowel(chest: CoarseChest, lungs: Mask, sections: Labels) -> Mask:
    """Which sections are gas below the largest section of the lungs.

    The diaphragm is thinner than many slices, so bowel can touch the lung from slice to slice,
    hardly ever within one. Above, pure gas may be a bulla or a pneumothorax and stays.
    """
    at, _, _ = sections.runs.places
    widest = int(np.bincount(at, sections.runs.lengths, len(lungs)).argmax())
    below = at <= widest if chest.grid.headwards else at >= widest
    is_below = np.zeros(sections.count + 1, np.bool_)
    is_below[sections.of[below]] = True
    return is_below & _gas(chest.hu, lungs, sections)


def _beside(labels: Labels, counts: NDArray[np.int64]) -> Mask:
    """Which components lie, by their middle slice, between top and bottom of the largest one."""
    at, _, _ = labels.runs.places
    main = at[labels.of == counts.argmax()]
    middle = np.bincount(labels.of, at * labels.runs.lengths) / np.maximum(counts, 1)
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
            apart = [select(labels, np.arange(len(counts)) == core) for core in cores]
            return _grown(apart, lungs, radius)
    return [lungs]


def _grown(cores: list[Mask], lungs: Mask, radius: int) -> list[Mask]:
    if radius == 0:
        return cores
    near = [dilate_in_plane(core, radius) & lungs for core in cores]
    owned = np.sum(near, axis=0, dtype=np.uint8)
    # owned == own: mine alone, or nobody's; what two cores claim is left to the closing.
    return [dilate_in_plane(own, radius) & lungs & (owned == own) for own in near]
