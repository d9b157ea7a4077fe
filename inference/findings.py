"""What an analysis found: plain values that results are built from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Training(StrEnum):
    """What the weights were trained on; everything but PATIENTS is named in every result."""

    UNTRAINED = "untrained"
    DEMONSTRATION = "demonstration"
    PATIENTS = "patients"


@dataclass(frozen=True)
class ModelIdentity:
    """The bundle that made the findings, as its card names it."""

    name: str
    version: str
    weights_sha256: str
    training: Training

    @property
    def warning(self) -> str | None:
        """The sentence that must stand wherever a person reads a result; None for PATIENTS."""
        return {
            Training.UNTRAINED: "UNTRAINED WEIGHTS – no clinical meaning",
            Training.DEMONSTRATION: (
                "DEMONSTRATION – trained on simulated lesions, no clinical meaning"
            ),
            Training.PATIENTS: None,
        }[self.training]


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
    """

    slice_index: int
    box: RowColumnBox
    cam: NDArray[np.float32]
    share: float


@dataclass(frozen=True, eq=False)
class CovnetFindings:
    """Result of COVNet (Li et al. 2020) on one volume.

    `lungs`: bool (slices, rows, columns). `activations`: one for each analysed slice (slices
    with lung), in slice order. `seconds`: by stage (`lungs`, `preprocess`, `network`, `heatmap`).
    """

    model: ModelIdentity
    class_names: tuple[str, ...]
    probabilities: tuple[float, ...]
    lungs: NDArray[np.bool_]
    activations: tuple[SliceActivation, ...]
    seconds: dict[str, float]

    @property
    def winner(self) -> int:
        """Index of the class with the highest probability."""
        return int(np.argmax(self.probabilities))

    @property
    def ranked(self) -> tuple[SliceActivation, ...]:
        """Activations, the slice with the largest share in the decision first."""
        return tuple(sorted(self.activations, key=lambda a: (-a.share, a.slice_index)))
