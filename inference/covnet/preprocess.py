"""From HU and lungs to what the network sees: crop, window, mask, resize.

COVNet (Li et al. 2020, "Deep Learning Model") takes the lung region as region of interest; the
window and the size are those of the authors' published code.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask, bounding_box
from inference.errors import NoLungsError
from inference.findings import RowColumnBox
from inference.volume import CtVolume

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Preprocessing:
    """What a bundle's card says about its input; a change of any of it changes the results."""

    hu_low: float = -1250.0
    """HU that becomes 0."""
    hu_high: float = 250.0
    """HU that becomes 1."""
    size: int = 224
    """Rows and columns that the network sees."""
    margin_mm: float = 5.0
    """Room about the lungs' bounding box, in-plane."""
    smallest_lung_mm2: float = 1000.0
    """A slice with a smaller section of lung is left out."""

    def problems(self) -> tuple[str, ...]:
        """What makes these values unusable; empty when nothing does."""
        found = []
        if not -2000 <= self.hu_low < self.hu_high <= 4000:
            found.append(f"window {self.hu_low} to {self.hu_high} HU is not one")
        if self.size % 32 or not 32 <= self.size <= 1024:
            found.append(f"size {self.size} is not a multiple of 32 from 32 to 1024")
        if not 0 <= self.margin_mm <= 100:
            found.append(f"margin_mm {self.margin_mm} is not within 0 to 100")
        if not 0 <= self.smallest_lung_mm2 <= 20000:
            found.append(f"smallest_lung_mm2 {self.smallest_lung_mm2} is not within 0 to 20000")
        return tuple(found)


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """`slice_indices`: of the volume, rising; `box`: one for all slices, in pixels of the volume;
    `images`: float32 (analysed slices, 1, size, size) from 0 to 1, 0 outside the lungs, rows to
    the patient's back and columns to the left; `flipped`: which of (rows, columns) the volume
    stores the other way round."""

    slice_indices: tuple[int, ...]
    box: RowColumnBox
    images: torch.Tensor
    flipped: tuple[bool, bool] = (False, False)

    @property
    def centre_offset(self) -> tuple[float, float]:
        """`SliceActivation.offset` of a ResNet's maps of these images, as stored."""
        from inference.networks.resnet import CENTRE_OFFSET

        down, across = (-CENTRE_OFFSET if flip else CENTRE_OFFSET for flip in self.flipped)
        return down, across

    def as_stored(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps (slices, h, w) of the images, turned to the volume's rows and columns."""
        turned = tuple(axis for axis, flip in zip((1, 2), self.flipped, strict=True) if flip)
        return np.ascontiguousarray(np.flip(maps, turned))


def prepare(volume: CtVolume, lungs: Mask, settings: Preprocessing) -> NetworkInput:
    """The slices with enough lung, as the network takes them.

    `lungs`: bool (slices, rows, columns) of `volume`.

    Raises:
        NoLungsError: no slice has enough; tells the largest section in mm2.
    """
    import torch

    chosen = slices_with_lung(volume, lungs, settings.smallest_lung_mm2)
    box = lung_box(volume, lungs, settings.margin_mm)
    images = torch.empty((len(chosen), 1, settings.size, settings.size))
    flipped = bool(volume.affine[1, 1] < 0), bool(volume.affine[0, 2] < 0)

    def draw(position: int) -> None:
        index = chosen[position]
        image = _image(volume.hu[index], lungs[index], box, settings)
        images[position, 0] = image.flip([axis for axis in (0, 1) if flipped[axis]])

    with ThreadPoolExecutor(torch.get_num_threads(), "prepare") as pool:
        list(pool.map(draw, range(len(chosen))))
    return NetworkInput(chosen, box, images, flipped)


def slices_with_lung(volume: CtVolume, lungs: Mask, smallest_mm2: float) -> tuple[int, ...]:
    """Indices of the slices whose section of lung is at least `smallest_mm2`, rising."""
    _, row_mm, column_mm = volume.spacing_mm
    areas = np.count_nonzero(lungs, axis=(1, 2)) * (row_mm * column_mm)
    chosen = np.flatnonzero((areas > 0) & (areas >= smallest_mm2))
    if not len(chosen):
        largest = float(areas.max(initial=0.0))
        raise NoLungsError("largest section of lung", largest, smallest_mm2, "mm2")
    return tuple(int(index) for index in chosen)


def lung_box(volume: CtVolume, lungs: Mask, margin_mm: float) -> RowColumnBox:
    """In-plane bounding box of the lungs over all slices, with a margin, within the slice."""
    _, row_mm, column_mm = volume.spacing_mm
    _, rows, columns = bounding_box(lungs)
    down, across = round(margin_mm / row_mm), round(margin_mm / column_mm)
    return RowColumnBox(
        top=max(0, rows.start - down),
        left=max(0, columns.start - across),
        bottom=min(lungs.shape[1], rows.stop + down),
        right=min(lungs.shape[2], columns.stop + across),
    )


def _image(
    hu: NDArray[np.int16], lungs: NDArray[np.bool_], box: RowColumnBox, settings: Preprocessing
) -> torch.Tensor:
    """One slice: window, mask, crop; bilinear with antialias (the crop is larger than the size)."""
    import torch
    from torch.nn.functional import interpolate

    crop = np.s_[box.top : box.bottom, box.left : box.right]
    scaled = (hu[crop].astype(np.float32) - settings.hu_low) / (settings.hu_high - settings.hu_low)
    masked = torch.from_numpy(np.clip(scaled, 0.0, 1.0).astype(np.float32) * lungs[crop])
    return interpolate(
        masked[None, None],
        size=(settings.size, settings.size),
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )[0, 0]
