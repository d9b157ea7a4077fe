"""Slices and their lungs, as the U-net of the task `lungs` learns from them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.arrays.components import Mask
from inference.arrays.patient_axes import patient_view
from inference.errors import NoLungsError
from inference.lungs.lung_input import LungInput
from inference.lungs.lung_slices import resized, slice_image
from inference.lungs.sides import lung_sides
from inference.regions import Side
from inference.training.scan import LoadedScan
from inference.volume import CtVolume


def lung_slices(
    scan: LoadedScan, settings: LungInput, classes: int, most: int
) -> dict[str, Tensor]:
    """At most `most` slices, evenly spaced, of a scan whose lungs are known.

    `classes`: 2 for lung alone, 3 for right and left, told apart by place as in use. Gives
    `images`: uint8 (n, size, size), 255 times what the network sees; `labels`: uint8 of the same
    shape, index of the class; `lung_pixels`: int64 (n,), how many are lung. Slices go to the head,
    rows to the back, columns to the left.

    Raises:
        NoLungsError: there is no mask or an empty one.
    """
    lungs = scan.lungs
    if lungs is None or not lungs.any():
        raise NoLungsError("lungs in the mask", 0.0, scan.volume.voxel_ml, "ml")
    parts = _parts(scan.volume, lungs, classes)
    hu = patient_view(scan.volume, lungs).hu
    chosen = evenly(len(hu), most)
    images = torch.cat([slice_image(hu[at], settings)[0] for at in chosen])
    labels = torch.stack([_labels([part[at] for part in parts], settings.size) for at in chosen])
    return {
        "images": (images * 255).round().to(torch.uint8),
        "labels": labels,
        "lung_pixels": (labels > 0).flatten(1).sum(dim=1),
    }


def evenly(length: int, most: int) -> NDArray[np.intp]:
    """At most `most` indices below `length`, evenly spaced, rising."""
    number = min(length, most)
    return ((np.arange(number) + 0.5) * length / number).astype(np.intp)


def _parts(volume: CtVolume, lungs: Mask, classes: int) -> list[Mask]:
    """The mask of each class but the background, in the patient's axes."""
    if classes == 2:
        return [patient_view(volume, lungs).lungs]
    sides = lung_sides(volume, lungs)
    return [patient_view(volume, sides == side).lungs for side in Side]


def _labels(parts: list[Mask], size: int) -> Tensor:
    """The class that holds the most of each pixel, uint8 (size, size)."""
    stacked = torch.from_numpy(np.stack(parts)).float()[None]  # (1, classes - 1, rows, columns)
    shares = resized(stacked, size)[0]
    background = 1.0 - shares.sum(dim=0, keepdim=True)
    return torch.cat((background, shares)).argmax(dim=0).to(torch.uint8)
