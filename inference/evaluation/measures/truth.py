"""Which lesions a scan has, of which class, as masks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask
from inference.training.scan import LesionBox, LoadedScan
from inference.volume import CtVolume


def own_lesions(scan: LoadedScan, label: str) -> Mask | None:
    """Lesions of the scan's own class: bool, of the volume's shape; None where there are none.

    Where no lesion is named, all are of the scan's class.
    """
    if scan.lesions is None:
        return None
    if not scan.boxes:
        found = scan.lesions > 0
    else:
        numbers = [box.number for box in scan.boxes if box.class_name == label]
        found = np.isin(scan.lesions, numbers)
    return found if found.any() else None


def known_lesions(scan: LoadedScan, free: bool) -> NDArray[np.uint16] | None:
    """Each voxel the number of its lesion, by mask or else by boxes; None where it is not known.

    `free`: the scan is known to have no infection, so that without any lesion named it has none.
    """
    if scan.lesions is not None:
        return scan.lesions
    if scan.boxes:
        return drawn_boxes(scan.boxes, scan.volume)
    return np.zeros(scan.volume.hu.shape, np.uint16) if free else None


def drawn_boxes(boxes: Sequence[LesionBox], volume: CtVolume) -> NDArray[np.uint16]:
    """Boxes in LPS mm as voxels of the volume, smaller ones over larger ones.

    In an oblique volume a box is drawn as the box along its axes that holds it.
    """
    to_index = np.linalg.inv(volume.affine)
    drawn = np.zeros(volume.hu.shape, np.uint16)
    for box in sorted(boxes, key=_size, reverse=True):
        corners = np.array(
            [[*corner, 1.0] for corner in product(*zip(box.low, box.high, strict=True))]
        )
        index = (corners @ to_index.T)[:, :3]
        low = np.clip(np.ceil(index.min(axis=0) - 1e-6), 0, None).astype(int)
        high = np.clip(np.floor(index.max(axis=0) + 1e-6) + 1, 0, None).astype(int)
        drawn[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = box.number
    return drawn


def _size(box: LesionBox) -> float:
    return float(np.prod(np.array(box.high) - np.array(box.low)))
