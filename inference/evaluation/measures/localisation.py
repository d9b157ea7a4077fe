"""Does the heat lie on the lesion? The share of a heatmap within lesions and a margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask, bounding_box
from inference.findings import SliceActivation
from inference.heatmap import activation_on_slice
from inference.volume import CtVolume

MARGIN_MM = 10.0
"""A cell of the network's grid is 10 to 15 mm wide: heat cannot be placed better than that."""


@dataclass(frozen=True)
class HeatShares:
    """Parts of the heat that lie within the lesions and their margin, 0 to 1; NaN without heat.

    `whole`: of all the heat; `shown`: of that above the threshold of the display; `by_chance`:
    of heat spread evenly over the lungs.
    """

    whole: float
    shown: float
    by_chance: float


def heat_shares(
    volume: CtVolume,
    activations: Sequence[SliceActivation],
    lungs: Mask,
    lesions: Mask,
    threshold: float,
) -> HeatShares:
    """Of the heat as it is drawn on the slices, each voxel weighing as much as it is hot.

    `lungs`, `lesions`: bool, of the volume's shape; `threshold`: activation from which on the
    display shows it.

    Raises:
        ValueError: masks of another shape.
    """
    if not lungs.shape == lesions.shape == volume.hu.shape:
        raise ValueError(f"masks {lungs.shape}, {lesions.shape} of a volume {volume.hu.shape}")
    near = dilated(lesions, volume.spacing_mm, MARGIN_MM)
    rows, columns = volume.hu.shape[1:]
    sums = np.zeros(4)  # all, near, shown, shown and near
    for each in activations:
        heat = activation_on_slice(each, rows, columns).astype(np.float64)
        shown = np.where(heat > threshold, heat, 0.0)
        here = near[each.slice_index]
        sums += heat.sum(), heat[here].sum(), shown.sum(), shown[here].sum()
    lung = np.count_nonzero(lungs)
    chance = np.count_nonzero(lungs & near) / lung if lung else math.nan
    return HeatShares(_ratio(sums[1], sums[0]), _ratio(sums[3], sums[2]), chance)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else math.nan


def dilated(mask: Mask, spacing_mm: tuple[float, float, float], margin_mm: float) -> Mask:
    """The mask and all voxels whose centre lies within `margin_mm` of the centre of one of its.

    By the Euclidean distance, in the mask's surroundings only; an empty mask stays empty.
    """
    grown = np.zeros_like(mask)
    if not mask.any():
        return grown
    room = [math.ceil(margin_mm / step) for step in spacing_mm]
    box = tuple(
        slice(max(0, inside.start - extra), inside.stop + extra)
        for inside, extra in zip(bounding_box(mask), room, strict=True)
    )
    grown[box] = _distance_mm(mask[box], spacing_mm) <= margin_mm
    return grown


def _distance_mm(mask: Mask, spacing_mm: tuple[float, float, float]) -> NDArray[np.float32]:
    """From each voxel's centre to the nearest in the mask; not above 0 within."""
    itk = _simpleitk()
    image = itk.GetImageFromArray(np.ascontiguousarray(mask).view(np.uint8))
    image.SetSpacing(spacing_mm[::-1])
    distances = itk.SignedMaurerDistanceMap(
        image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    found: NDArray[np.float32] = np.asarray(itk.GetArrayFromImage(distances), np.float32)
    return found


def _simpleitk() -> Any:
    """SimpleITK, imported at need (0.2 s); untyped, as most of its functions are."""
    import SimpleITK

    return SimpleITK
