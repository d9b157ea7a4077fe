"""The 2-D patches of a candidate and their relative distance-from-edge.

Xu et al. 2020, sections 2.4 and 2.5.1: the centre image of a cube and its two neighbours stand for
the region; each patch goes with its distance from the lungs' edge, relative to their size.

Our own choice: the images are the slices with lung, as the paper takes the pulmonary region out
first, so that at the ends of the lungs an image may count twice; a patch is square in mm, with
the longer of the cube's two edges, so that shapes keep their form; it is windowed, not masked, so
that consolidation at the pleura, which a lung mask may leave out, is seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.arrays.patient_axes import PatientView
from inference.arrays.resample import Taps, taps
from inference.location_attention.preprocess import RegionPreprocessing, windowed

Section = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Patch:
    """`image_index`: slice of the view; `values`: float32 (patch_size, patch_size), 0 to 1;
    `relative_distance`: as `relative_distance` gives it."""

    image_index: int
    values: NDArray[np.float32]
    relative_distance: float


ThreePatches = tuple[Patch, Patch, Patch]


def images_with_lung(view: PatientView) -> NDArray[np.intp]:
    """Indices of the slices of the view that hold lung, rising."""
    return np.flatnonzero(view.lungs.any(axis=(1, 2)))


def patches(
    view: PatientView,
    images: NDArray[np.intp],
    box: NDArray[np.float64],
    settings: RegionPreprocessing,
) -> ThreePatches:
    """Patches of the centre image, the one towards the feet and the one towards the head.

    `images`: of `images_with_lung`, at least one; `box`: float64 (2, 3), low and high corner of
    the cube as indices of the view's voxels.
    """
    middle = box.mean(axis=0)
    centre = int(abs(images - middle[0]).argmin())
    below, above = max(centre - 1, 0), min(centre + 1, len(images) - 1)
    one, two, three = (
        _patch(view, int(images[at]), box, settings) for at in (centre, below, above)
    )
    return one, two, three


def _patch(
    view: PatientView, image: int, box: NDArray[np.float64], settings: RegionPreprocessing
) -> Patch:
    middle = box.mean(axis=0)
    pixel_mm = view.spacing_mm[1:]
    edge_mm = float(((box[1] - box[0])[1:] * pixel_mm).max())
    down, across = (
        _cut(length, float(at), edge_mm / mm, settings.patch_size)
        for length, at, mm in zip(view.hu.shape[1:], middle[1:], pixel_mm, strict=True)
    )
    values = across.across(down.down(windowed(view.hu[image], settings)))
    centre = float(middle[1]), float(middle[2])
    distance = relative_distance(view.lungs[image], centre, (pixel_mm[0], pixel_mm[1]))
    return Patch(image, values, distance)


def _cut(voxels: int, middle: float, extent: float, cells: int) -> Taps:
    """What cuts `extent` voxels about `middle` into so many cells."""
    step = extent / cells
    return taps(voxels, cells, middle - (cells - 1) / 2 * step, step)


def relative_distance(
    lungs: Section, centre: tuple[float, float], pixel_mm: tuple[float, float]
) -> float:
    """The relative distance-from-edge of Xu et al. 2020, section 2.5.1, of a patch's centre.

    1) the least distance from the mask, taken as the outline of the lungs, to the centre: so the
    same measure holds for a centre in the lungs and for one in consolidation outside the mask; 2)
    the diagonal of the least rectangle along rows and columns that holds all lung of this image; 3)
    the one over the other. `lungs`: bool (rows, columns); `centre`: (row, column), may lie between
    pixels; both lengths are in mm, so that pixels need not be square.

    Raises:
        ValueError: the image holds no lung.
    """
    if not lungs.any():
        raise ValueError("the image holds no lung to measure from")
    apart = (np.argwhere(outline(lungs)) - np.array(centre)) * np.array(pixel_mm)
    return float(np.hypot(*apart.T).min()) / _diagonal_mm(lungs, pixel_mm)


def outline(lungs: Section) -> Section:
    """Lung pixels one of whose four neighbours is none, or lies outside the image."""
    wide = np.pad(lungs, 1)
    inner = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return lungs & ~inner


def _diagonal_mm(lungs: Section, pixel_mm: tuple[float, float]) -> float:
    """From the outer edge of the first pixels to that of the last."""
    extents = (np.flatnonzero(lungs.any(axis=axis)) for axis in (1, 0))
    return math.hypot(
        *((int(e[-1]) - int(e[0]) + 1) * mm for e, mm in zip(extents, pixel_mm, strict=True))
    )
