"""Connected components and morphology of masks, in-plane or in the volume.

Masks are bool (slices, rows, columns). In-plane means that no slice sees its neighbours, so that
a result does not depend on the slice spacing. Radii are in pixels: the caller knows the mm.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from inference.arrays import morphology

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

_SLAB = 16
"""Slices that are counted at once."""


def label_in_plane(mask: Mask) -> Labels:
    """Label each slice's 4-connected components; labels are unique over all slices, 0 is outside.

    The slices are laid under one another with an empty row between, so that one call labels all.
    """
    slices, rows, columns = mask.shape
    apart = np.zeros((slices, rows + 1, columns), np.uint8)
    apart[:, :rows] = mask
    labels = _connected(apart.reshape(slices * (rows + 1), columns))
    return labels.reshape(slices, rows + 1, columns)[:, :rows]


def label_volume(mask: Mask) -> Labels:
    """Label the 6-connected components of the volume; 0 is outside."""
    return _connected(mask.view(np.uint8))


def _connected(mask: NDArray[np.uint8]) -> Labels:
    itk = _simpleitk()
    labelled = itk.ConnectedComponent(itk.GetImageFromArray(mask), False)  # uint32
    return cast("Labels", itk.GetArrayFromImage(labelled).view(np.int32))


def sizes(labels: Labels) -> NDArray[np.int64]:
    """Voxels of each label (labels + 1,); the entry of label 0 is set to 0."""
    counts = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    for start in range(0, len(labels), _SLAB):  # bincount copies to int64: by slabs, in the cache
        counts += np.bincount(labels[start : start + _SLAB].ravel(), minlength=len(counts))
    counts[0] = 0
    return counts


def means(labels: Labels, values: NDArray[Any], where: Mask) -> NDArray[np.float64]:
    """Mean of `values` over each label's voxels that lie in `where`; NaN for a label without."""
    highest = int(labels.max(initial=0)) + 1
    chosen = labels[where]
    counts = np.bincount(chosen, minlength=highest)
    totals = np.bincount(chosen, weights=values[where], minlength=highest)
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)


def select(labels: Labels, keep: Mask) -> Mask:
    """Voxels whose label is chosen by `keep` (labels + 1,); label 0 never is."""
    keep = keep.copy()
    keep[0] = False
    return keep[labels]


def bounding_box(mask: Mask) -> tuple[slice, slice, slice]:
    """Half-open box of the True voxels; of an empty mask, an empty box."""
    extents = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    box = [slice(int(e[0]), int(e[-1]) + 1) if len(e) else slice(0, 0) for e in extents]
    return box[0], box[1], box[2]


def largest(mask: Mask) -> Mask:
    """The largest 6-connected component of the volume; an empty mask stays empty."""
    labels = label_volume(mask)
    counts = sizes(labels)
    return select(labels, (np.arange(len(counts)) == counts.argmax()) & (counts > 0))


def fill_in_plane(mask: Mask) -> Mask:
    """Fill what a slice's mask shuts off from the slice's border (4-connected)."""
    labels = label_in_plane(~mask)
    outside = np.zeros(int(labels.max(initial=0)) + 1, np.bool_)
    for border in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        outside[border] = True
    return ~select(labels, outside)


def fill_volume(mask: Mask) -> Mask:
    """Fill the holes that are shut on all sides; what reaches a face of the volume stays open."""
    itk = _simpleitk()
    filled = itk.BinaryFillhole(itk.GetImageFromArray(mask.view(np.uint8)), False)
    return cast("Mask", itk.GetArrayFromImage(filled).view(np.bool_))


def dilate_in_plane(mask: Mask, radius: int) -> Mask:
    """Dilate each slice by a disc of `radius` pixels."""
    return morphology.dilated(mask, radius)


def erode_in_plane(mask: Mask, radius: int) -> Mask:
    """Erode each slice by a disc of `radius` pixels; the border of the slice erodes nothing."""
    return morphology.eroded(mask, radius)


def open_in_plane(mask: Mask, radius: int) -> Mask:
    """Erode, then dilate: what is thinner than the disc goes."""
    return morphology.opened(mask, radius)


def close_in_plane(mask: Mask, radius: int) -> Mask:
    """Dilate, then erode: gaps narrower than the disc are filled, up to the slice's border."""
    return morphology.closed(mask, radius)


def _simpleitk() -> Any:
    """SimpleITK, imported at need (0.2 s); untyped, as most of its functions are."""
    import SimpleITK

    return SimpleITK
