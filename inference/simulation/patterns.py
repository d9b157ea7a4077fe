"""What is painted, and what comes back: patterns, marks, the painted volume with its truth."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from inference.volume import CtVolume

Box = tuple[tuple[float, float, float], tuple[float, float, float]]


class Pattern(StrEnum):
    """What a scan shows. The values are class names of the networks, but for CLEAN."""

    COVID19 = "COVID-19"
    CAP = "community-acquired pneumonia"
    INFLUENZA = "influenza-A viral pneumonia"
    IRRELEVANT = "irrelevant to infection"
    CLEAN = "clean"


@dataclass(frozen=True)
class Mark:
    """One painted lesion. `class_name`: value of a Pattern, never CLEAN; `kind`: in words.

    `box`: lowest and highest corner in LPS mm, outer edges of the voxels.
    """

    number: int
    class_name: str
    kind: str
    box: Box


@dataclass(frozen=True, eq=False)
class Painted:
    """`lesions`: uint16, of the volume's shape, each voxel the number of its mark, 0 for none."""

    volume: CtVolume
    lesions: NDArray[np.uint16]
    marks: tuple[Mark, ...]
