"""What an analysis found: plain values that results are built from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from inference.ties import first_of_highest


class Training(StrEnum):
    """What the weights were trained on; everything but PATIENTS is named in every result."""

    UNTRAINED = "untrained"
    DEMONSTRATION = "demonstration"
    PATIENTS = "patients"


class IntendedUse(StrEnum):
    """What a bundle is meant for, the least first; below RESEARCH it is named in every result."""

    NONE = "none"
    DEMONSTRATION = "demonstration"
    RESEARCH = "research"
    CLINICAL = "clinical"

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(IntendedUse).index(self)


_TRAINING_WARNINGS = {
    Training.UNTRAINED: "UNTRAINED WEIGHTS – no clinical meaning",
    Training.DEMONSTRATION: "DEMONSTRATION – trained on simulated lesions, no clinical meaning",
}
_USE_WARNINGS = {
    IntendedUse.NONE: "NO INTENDED USE DECLARED – neither clinical nor research use",
    IntendedUse.DEMONSTRATION: "DEMONSTRATION – neither clinical nor research use",
}


@dataclass(frozen=True)
class ModelIdentity:
    """The bundle that made the findings, as its card names it.

    `use`: what it is meant for here, the least of what its card and the site declare. Every
    result says of itself that it is for research only: that needs no further warning.
    """

    name: str
    version: str
    weights_sha256: str
    training: Training
    use: IntendedUse = IntendedUse.RESEARCH

    @property
    def warning(self) -> str | None:
        """The sentence that must stand wherever a person reads a result.

        None for weights trained on patients in clinical or research use.
        """
        return _TRAINING_WARNINGS.get(self.training) or _USE_WARNINGS.get(self.use)


PRIVATE_SCHEME = "99COVNET"
"""Coding scheme designator of the codes that this product makes itself (PS3.16 section 8)."""
_CODE_PARTS = {
    "name": r"[^\\\x00-\x1f\x7f]{1,31}",  # "DEMONSTRATION region confidence, " stands before it
    "value": r"[^\\\x00-\x1f\x7f]{1,16}",
    "scheme": r"[^\\\x00-\x1f\x7f]{1,16}",
    "meaning": r"[^\\\x00-\x1f\x7f]{1,64}",
    "short": r"[A-Z0-9_]{1,9}",
}
"""What a DICOM code can hold (PS3.5 section 6.2: SH, SH, LO) and the names made of `short`."""


@dataclass(frozen=True)
class FindingClass:
    """A class that a method tells apart, as results name and code it.

    `name`: in text; `value`, `scheme`, `meaning`: its code; `short`: what stands for it in the
    codes of its scores (`P_COVID19`).
    """

    name: str
    value: str
    scheme: str
    meaning: str
    short: str

    def problems(self) -> tuple[str, ...]:
        """What cannot be written; empty when nothing is wrong."""
        return tuple(
            f"code of {self.name!r}: {part} {getattr(self, part)!r} is not {pattern}"
            for part, pattern in _CODE_PARTS.items()
            if not re.fullmatch(pattern, getattr(self, part))
        )


@dataclass(frozen=True)
class RowColumnBox:
    """Half-open box of pixels: rows [top, bottom), columns [left, right)."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, eq=False)
class SliceActivation:
    """Grad-CAM of one analysed slice for the winning class.

    `cam`: float32 (h, w) on the network's own grid over `box`, 1.0 = the maximum of the series.
    `share`: the slice's part in the positive evidence for the class; sums to 1 over the slices.
    `offset`: how far, in cells of the grid, what a cell has seen lies before the cell's own middle
    (rows, columns).
    """

    slice_index: int
    box: RowColumnBox
    cam: NDArray[np.float32]
    share: float
    offset: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class LungCheck:
    """`model`: the network that found the lungs, None for the classical method.

    `classical_dice`: Dice of its mask and the classical one, from 0 to 1; None when there is only
    one of them (the classical method finds no lungs, or is the one that was used).
    """

    model: ModelIdentity | None
    classical_dice: float | None


@dataclass(frozen=True, eq=False)
class CovnetFindings:
    """Result of COVNet (Li et al. 2020) on one volume.

    `lungs`: bool (slices, rows, columns). `activations`: one for each analysed slice (slices
    with lung), in slice order. `seconds`: by stage (`lungs`, `preprocess`, `network`, `heatmap`).
    `lung_check`: how the lungs were found and, when a network found them, how far the classical
    method agrees.
    """

    model: ModelIdentity
    class_names: tuple[str, ...]
    probabilities: tuple[float, ...]
    lungs: NDArray[np.bool_]
    activations: tuple[SliceActivation, ...]
    seconds: dict[str, float]
    lung_check: LungCheck = field(default_factory=lambda: LungCheck(None, None))

    @property
    def winner(self) -> int:
        """Index of the class with the highest probability, of the first in a tie."""
        return first_of_highest(self.probabilities)

    @property
    def ranked(self) -> tuple[SliceActivation, ...]:
        """Activations, the slice with the largest share in the decision first."""
        return tuple(sorted(self.activations, key=lambda a: (-a.share, a.slice_index)))
