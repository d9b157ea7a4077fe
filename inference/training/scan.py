"""A labelled scan: a volume with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask
from inference.volume import CtVolume

Point = tuple[float, float, float]


class Split(StrEnum):
    """The part of the data that a patient belongs to, with all scans."""

    TRAINING = "training"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True)
class LesionBox:
    """A lesion: its number in the mask of lesions, its class, and the box about it in LPS mm.

    `kind`: of its look, in words ("ground glass", "nodule"); `low`, `high`: corners (x, y, z).
    """

    number: int
    class_name: str
    kind: str
    low: Point
    high: Point


@dataclass(frozen=True, eq=False)
class LoadedScan:
    """`lungs`: bool, and `lesions`: uint16, each voxel the number of its lesion, 0 for none, both
    (slices, rows, columns) of `volume`; None where nothing is known. `boxes`: one a lesion; empty
    where all lesions are of the scan's own class."""

    volume: CtVolume
    lungs: Mask | None = None
    lesions: NDArray[np.uint16] | None = None
    boxes: tuple[LesionBox, ...] = ()

    def __post_init__(self) -> None:
        for name, mask in (("lungs", self.lungs), ("lesions", self.lesions)):
            if mask is not None and mask.shape != self.volume.hu.shape:
                raise ValueError(
                    f"{name} {mask.shape} are not of the volume {self.volume.hu.shape}"
                )
