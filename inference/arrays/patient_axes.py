"""A volume turned into the patient's axes, so that networks see every patient the same way round.

However a series was stored (feet first, mirrored, sagittal), slices then go to the head, rows to
the back and columns to the left, as far as a choice among the stored axes allows: an oblique
volume stays as oblique as it was. Arrays are views; nothing is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask
from inference.volume import CtVolume, spacing_of, voxel_ml_of

Interval = tuple[int, int]
Scalar = TypeVar("Scalar", bound=np.generic)
Index = tuple[float, float, float]

_LPS_OF_AXIS = (2, 1, 0)
"""Slices follow z, rows y, columns x."""


@dataclass(frozen=True, eq=False)
class PatientView:
    """`hu`: int16 and `lungs`: bool, both (slices, rows, columns) in the patient's axes; `affine`:
    of those to LPS mm; `order`: the stored axis that each of them was; `flipped`: whether it was
    turned round."""

    hu: NDArray[np.int16]
    lungs: Mask
    affine: NDArray[np.float64]
    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along slices, rows and columns."""
        return spacing_of(self.affine)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return voxel_ml_of(self.affine)

    def turned(self, stored: NDArray[Scalar]) -> NDArray[Scalar]:
        """An array of the volume's stored axes, as a view in those of the patient."""
        return stored.transpose(self.order)[self._turn]

    def as_stored(self, turned: NDArray[Scalar]) -> NDArray[Scalar]:
        """An array in the axes of the patient, in those of the volume."""
        return np.ascontiguousarray(turned[self._turn].transpose(np.argsort(self.order)))

    @property
    def _turn(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flipped)

    def to_lps(self, index: Index) -> tuple[float, float, float]:
        """Patient position (LPS mm) of a (slice, row, column) index of this view."""
        x, y, z, _ = self.affine @ np.array([*index, 1.0])
        return float(x), float(y), float(z)

    def stored_box(self, box: tuple[Interval, Interval, Interval]) -> tuple[Interval, ...]:
        """A half-open box of this view, in the stored axes."""
        stored = [(0, 0)] * 3
        for axis, (start, stop) in enumerate(box):
            length = self.hu.shape[axis]
            turned = (length - stop, length - start)
            stored[self.order[axis]] = turned if self.flipped[axis] else (start, stop)
        return tuple(stored)

    def stored_slice(self, index: int) -> int:
        """A slice of this view, along the stored axis that it came from."""
        return self.hu.shape[0] - 1 - index if self.flipped[0] else index


def patient_view(volume: CtVolume, lungs: Mask) -> PatientView:
    """`lungs`: bool, of the volume's shape.

    Raises:
        ValueError: `lungs` is of another shape.
    """
    if lungs.shape != volume.hu.shape:
        raise ValueError(f"lungs {lungs.shape} are not those of a volume {volume.hu.shape}")
    order = _order(volume.affine)
    flipped = _flipped(volume.affine, order)
    turn = tuple(slice(None, None, -1) if flip else slice(None) for flip in flipped)
    return PatientView(
        hu=volume.hu.transpose(order)[turn],
        lungs=lungs.transpose(order)[turn],
        affine=volume.affine @ _stored_from_view(volume.hu.shape, order, flipped),
        order=order,
        flipped=flipped,
    )


def _order(affine: NDArray[np.float64]) -> tuple[int, int, int]:
    """The stored axes whose directions are, together, nearest to z, y and x."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = abs(directions[list(_LPS_OF_AXIS)])  # (patient axes, stored axes)

    def nearness(order: tuple[int, ...]) -> float:
        return float(cosines[range(3), order].sum())

    one, two, three = max(permutations(range(3)), key=nearness)
    return one, two, three


def _flipped(affine: NDArray[np.float64], order: tuple[int, int, int]) -> tuple[bool, bool, bool]:
    slices, rows, columns = (
        bool(affine[lps, stored] < 0) for lps, stored in zip(_LPS_OF_AXIS, order, strict=True)
    )
    return slices, rows, columns


def _stored_from_view(
    shape: tuple[int, ...], order: tuple[int, int, int], flipped: tuple[bool, bool, bool]
) -> NDArray[np.float64]:
    """Matrix (4, 4) from an index of the view to the stored index."""
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1.0
    for axis, (stored, flip) in enumerate(zip(order, flipped, strict=True)):
        matrix[stored, axis] = -1.0 if flip else 1.0
        matrix[stored, 3] = shape[stored] - 1.0 if flip else 0.0
    return matrix
