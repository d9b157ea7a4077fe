"""Attenuation of the blood in heart and great vessels, against the muscle of the chest wall.

The lungs say where to look: between their middles, in the middle part of their height, before the
spine. Everything is measured on means over small blocks, because the noise of a thin slice with a
sharp kernel is as large as the enhancement sought.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from inference.arrays.components import Mask, dilate_in_plane
from inference.lungs.block_means import Blocks, Slab, slabs
from inference.volume import CtVolume

DEPTH_SHARES = (0.10, 0.60)
"""Part of the lungs' depth, from the front: behind the sternum, before the vertebrae, whose
marrow is as dense as enhanced blood."""
WIDTH_SHARE = 0.6
"""Part of the way between the middles of the two lungs: keeps out the liver, about which one lung
closes."""
SOFT_TISSUE_HU = (0.0, 700.0)
"""Below is fat and what is mixed with air, above are metal and thick calcium."""
MUSCLE_HU = (10.0, 110.0)
"""Wide enough for enhanced muscle; fat and bone are outside."""
MUSCLE_BIN_HU = 5.0
"""Width of the bins in which the commonest value of muscle is looked for."""
BRIGHT_SHARE = 0.25
"""The bright part of the mediastinum taken for blood: in the earliest phase only the right heart
and the pulmonary arteries are enhanced, a third of the soft tissue."""
AIR_BELOW_HU = -350.0
"""A block with less holds lung, airway or gas; its neighbours' means may be mixed with it."""
MEDIAL_REACH_MM = 50.0
"""How far from the one lung in view its medial neighbours are taken for the mediastinum."""
LEAST_BETWEEN_ML = 10.0
"""With less than this between the lungs only one lung is in view, or left in the patient."""


@dataclass(frozen=True)
class BloodPool:
    """What was measured; HU values are None where there was nothing to measure.

    `blood_hu`: median of the bright quarter of the mediastinum's soft tissue. `mediastinum_hu`:
    median of all of it. `muscle_hu`: commonest value of the chest wall outside the lungs' box.
    `blood_ml` and `muscle_ml`: volume of the blocks behind `mediastinum_hu` and `muscle_hu`;
    `blood_voxels` and `muscle_voxels`: the voxels of the series in them.
    """

    blood_hu: float | None
    mediastinum_hu: float | None
    muscle_hu: float | None
    blood_ml: float
    muscle_ml: float
    blood_voxels: int
    muscle_voxels: int
    seconds: float


def measure_blood_pool(volume: CtVolume, lungs: Mask) -> BloodPool:
    """Blood and muscle of `volume`; `lungs` is its lung mask, bool (slices, rows, columns).

    Where only one lung is in view, what lies beside it towards the middle of the image is taken. A
    mask without lung gives None and 0.

    Raises:
        ValueError: the mask's shape is another than the volume's.
    """
    if lungs.shape != volume.hu.shape:
        raise ValueError(f"lungs are {lungs.shape}, the volume is {volume.hu.shape}")
    begun = time.perf_counter()
    chest = list(slabs(volume, lungs))
    blood = _joined(_within(slab.hu[_mediastinum(slab)], SOFT_TISSUE_HU) for slab in chest)
    if chest and blood.size * chest[0].block_ml < LEAST_BETWEEN_ML:
        blood = _joined(_within(slab.hu[_beside_one_lung(slab)], SOFT_TISSUE_HU) for slab in chest)
    outside = _chest_box(lungs)
    wall = _joined(_within(slab.hu[_wall(slab, outside)], MUSCLE_HU) for slab in chest)
    return BloodPool(
        blood_hu=_bright(blood),
        mediastinum_hu=_median(blood),
        muscle_hu=_commonest(wall),
        blood_ml=blood.size * chest[0].block_ml if chest else 0.0,
        muscle_ml=wall.size * chest[0].block_ml if chest else 0.0,
        blood_voxels=blood.size * chest[0].block_voxels if chest else 0,
        muscle_voxels=wall.size * chest[0].block_voxels if chest else 0,
        seconds=time.perf_counter() - begun,
    )


def _mediastinum(slab: Slab) -> Mask:
    """Blocks with lung on both sides, near the middle, before the spine, unmixed with air."""
    lung = slab.lung >= 0.5
    return _between(lung) & _central(lung) & _before_spine(lung, slab.front_first) & ~_airy(slab)


def _beside_one_lung(slab: Slab) -> Mask:
    """Blocks beside the lung on the side of the image's middle, before the spine."""
    lung = slab.lung >= 0.5
    reach = max(1, round(MEDIAL_REACH_MM / slab.column_mm))
    weights = lung.sum(axis=0)
    middle = (np.arange(len(weights)) * weights).sum() / max(1, weights.sum())
    turned = bool(middle < (len(weights) - 1) / 2)
    seen = lung[:, ::-1] if turned else lung  # the mediastinum now lies at lower columns
    beside = np.zeros_like(lung)
    for row in np.flatnonzero(seen.any(axis=1)):
        border = int(seen[row].argmax())
        beside[row, max(0, border - reach) : border] = True
    medial = beside[:, ::-1] if turned else beside
    return medial & _before_spine(lung, slab.front_first) & ~_airy(slab)


def _before_spine(lung: Mask, front_first: bool) -> Mask:
    """Rows in the part of the lungs' depth looked at."""
    before = np.zeros_like(lung)
    rows = np.flatnonzero(lung.any(axis=1))
    if len(rows):
        depth = int(rows[-1]) + 1 - int(rows[0])
        low, high = DEPTH_SHARES if front_first else (1 - DEPTH_SHARES[1], 1 - DEPTH_SHARES[0])
        before[int(rows[0]) + int(low * depth) : int(rows[0]) + math.ceil(high * depth)] = True
    return before


def _airy(slab: Slab) -> Mask:
    """Blocks with lung or other air in them, and their neighbours: their means are mixed."""
    air = (slab.lung > 0.0) | (slab.hu < AIR_BELOW_HU)
    mixed: Mask = dilate_in_plane(air[None], 1)[0]
    return mixed


def _between(lung: Mask) -> Mask:
    """What is no lung and has lung on either side of it in its row."""
    before = np.logical_or.accumulate(lung, axis=1)
    after = np.logical_or.accumulate(lung[:, ::-1], axis=1)[:, ::-1]
    return before & after & ~lung


def _central(lung: Mask) -> Mask:
    """Columns in the middle part of the way from one lung's middle to the other's."""
    columns = np.arange(lung.shape[1])
    weights = lung.sum(axis=0)
    middle = (columns * weights).sum() / max(1, weights.sum())
    right, left = (
        float((columns * weights)[side].sum() / max(1, weights[side].sum()))
        for side in (columns < middle, columns >= middle)
    )
    reach = WIDTH_SHARE * (left - right) / 2
    central: Mask = np.broadcast_to(abs(columns - (left + right) / 2) <= reach, lung.shape)
    return central


def _chest_box(lungs: Mask) -> tuple[slice, slice]:
    """Rows and columns that hold lung in any slice."""
    seen: Mask = np.any(lungs, axis=0)
    rows, columns = np.flatnonzero(np.any(seen, axis=1)), np.flatnonzero(np.any(seen, axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _wall(slab: Slab, chest_box: tuple[slice, slice]) -> Mask:
    """Blocks wholly outside the box of the lungs: the chest wall, without heart and liver."""
    outside = np.ones(slab.hu.shape, np.bool_)
    rows, columns = (
        slice(side.start // factor, -(-side.stop // factor))
        for side, factor in zip(chest_box, slab.factors, strict=True)
    )
    outside[rows, columns] = False
    return outside


def _joined(parts: Iterable[Blocks]) -> Blocks:
    return np.concatenate([np.empty(0, np.float32), *parts])


def _within(hu: Blocks, limits: tuple[float, float]) -> Blocks:
    return hu[(hu >= limits[0]) & (hu <= limits[1])]


def _bright(hu: Blocks) -> float | None:
    return _median(hu[hu >= np.quantile(hu, 1 - BRIGHT_SHARE)]) if hu.size else None


def _median(hu: Blocks) -> float | None:
    return float(np.median(hu)) if hu.size else None


def _commonest(hu: Blocks) -> float | None:
    """Middle of the fullest bin of the histogram, smoothed over three bins."""
    if not hu.size:
        return None
    edges = np.arange(MUSCLE_HU[0], MUSCLE_HU[1] + MUSCLE_BIN_HU, MUSCLE_BIN_HU)
    counts, _ = np.histogram(hu, edges)
    smooth = np.convolve(counts, (1, 2, 1), mode="same")
    return float(edges[int(smooth.argmax())] + MUSCLE_BIN_HU / 2)
