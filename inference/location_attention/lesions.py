"""What of a candidate cube is lesion: the V-Net's map brought back to the volume's own voxels.

Neither paper says how a segmentation leaves the V-Net's grid. Here its log-odds are resampled to
the centres of the voxels, as the grid was made of them, and cut at 0, where lesion and no lesion
are as likely.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inference.arrays.components import Mask
from inference.arrays.patient_axes import PatientView
from inference.arrays.resample import taps
from inference.location_attention.measures import ViewBox
from inference.location_attention.preprocess import RegionGrid
from inference.location_attention.proposals import Maps
from inference.lungs.sides import Sides
from inference.regions import Side, VoxelBox


def lesion_in(voxels: ViewBox, log_odds: Maps, grid: RegionGrid, view: PatientView) -> Mask:
    """Lesion among the voxels of a box of the view: bool, of the box's shape, in stored axes.

    `log_odds`: float32, by cell of the grid. Lung alone can be lesion: beyond it the V-Net was
    shown nothing. Slice by slice, so that memory is that of the box.
    """
    along, down, across = (
        taps(cells, stop - start, (start - origin) / step, 1 / step)
        for cells, (start, stop), origin, step in zip(
            log_odds.shape, voxels, grid.origin.tolist(), grid.step.tolist(), strict=True
        )
    )
    part = tuple(slice(start, stop) for start, stop in voxels)
    found = np.zeros(view.lungs[part].shape, np.bool_)
    for at in range(len(found)):
        near = log_odds[along.index[at]] * along.weight[at, :, None, None]
        found[at] = across.across(down.down(near.sum(axis=0))) > 0
    return as_stored(found & view.lungs[part], view)


def as_stored(mask: Mask, view: PatientView) -> Mask:
    """A mask over a box of the view, in the axes of the volume as it was stored."""
    turn = tuple(slice(None, None, -1) if flip else slice(None) for flip in view.flipped)
    stored: Mask = mask[turn].transpose(np.argsort(view.order))
    return np.ascontiguousarray(stored)


def parted(boxes: Sequence[VoxelBox], lesions: Sequence[Mask], order: Sequence[int]) -> list[Mask]:
    """The masks over their boxes, each voxel left to the first box in `order` (indices) alone.

    So volumes of lesion add up, and masks can be drawn side by side.
    """
    left = [mask.copy() for mask in lesions]
    for place, later in enumerate(order):
        for earlier in order[:place]:
            taken, own = _common(boxes[earlier], boxes[later])
            left[later][own] &= ~left[earlier][taken]
    return left


def _common(one: VoxelBox, other: VoxelBox) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where two boxes overlap, as indices of a mask over either; empty slices where nowhere."""
    of_one, of_other = [], []
    for a, b in zip(one.part, other.part, strict=True):
        start = max(a.start, b.start)
        stop = max(start, min(a.stop, b.stop))
        of_one.append(slice(start - a.start, stop - a.start))
        of_other.append(slice(start - b.start, stop - b.start))
    return tuple(of_one), tuple(of_other)


def side_of(lesion: Mask, sides: Sides) -> Side | None:
    """The lung that most of the lesion lies in, else most of the lung in the box; None without.

    `lesion`: bool, and `sides`, both over the box, as `SideCells.within` gives them.
    """
    counted = sides[lesion] if lesion.any() else sides
    right, left = (int(np.count_nonzero(counted == side)) for side in Side)
    if not right and not left:
        return None
    return Side.RIGHT if right >= left else Side.LEFT
