"""CT volume: Hounsfield units with the affine that places them in the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AIR_HU = -1024
"""Value that padding and anything below air is set to (HU)."""


def spacing_of(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Distance between neighbours along slices, rows and columns, in mm."""
    norms = np.linalg.norm(affine[:3, :3], axis=0)
    return float(norms[0]), float(norms[1]), float(norms[2])


def voxel_ml_of(affine: NDArray[np.float64]) -> float:
    """Volume of one voxel in millilitres."""
    return float(abs(np.linalg.det(affine[:3, :3]))) / 1000.0


@dataclass(frozen=True, eq=False)
class CtVolume:
    """HU array and affine, never one without the other.

    `hu`: int16, shape (slices, rows, columns), padding already set to AIR_HU.
    `affine`: float64 (4, 4), maps (slice, row, column, 1) to (x, y, z, 1) in LPS mm
    (PS3.3 C.7.6.2.1.1: x to the patient's left, y to posterior, z to the head).
    """

    hu: NDArray[np.int16]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.hu.ndim != 3 or self.hu.dtype != np.int16:
            raise ValueError(
                f"hu must be int16 (slices, rows, columns), not {self.hu.dtype} {self.hu.shape}"
            )
        if self.affine.shape != (4, 4):
            raise ValueError(f"affine must be (4, 4), not {self.affine.shape}")
        if not np.isfinite(self.affine).all() or abs(np.linalg.det(self.affine[:3, :3])) < 1e-9:
            raise ValueError("affine must be finite and invertible")

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along slices, rows and columns, in mm."""
        return spacing_of(self.affine)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return voxel_ml_of(self.affine)

    def to_lps(self, index: tuple[float, float, float]) -> tuple[float, float, float]:
        """Patient position (LPS mm) of a (slice, row, column) index."""
        x, y, z, _ = self.affine @ np.array([*index, 1.0])
        return float(x), float(y), float(z)
