"""One patient, stored in other orders and directions of the axes."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.volume import CtVolume

_WAYS = (False, True)


class Stored(NamedTuple):
    """`order`: which axis of the patient each stored axis is; `flipped`: turned round, by stored
    axis."""

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def __str__(self) -> str:
        names = ("slices", "rows", "columns")
        pairs = zip(self.order, self.flipped, strict=True)
        return " ".join(("-" if flip else "") + names[axis] for axis, flip in pairs)


AXIAL = [Stored((0, 1, 2), (s, r, c)) for s, r, c in product(_WAYS, repeat=3)]
"""Axial slices in both orders, rows and columns as they are or turned round: eight ways."""


def stored(volume: CtVolume, how: Stored) -> CtVolume:
    """The volume stored otherwise, at the same place in the patient."""
    affine = volume.affine.copy()
    affine[:, :3] = affine[:, list(how.order)]
    for axis, flip in enumerate(how.flipped):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (volume.hu.shape[how.order[axis]] - 1)
            affine[:3, axis] *= -1
    return CtVolume(turned(volume.hu, how), affine)


def turned(array: NDArray[Any], how: Stored) -> NDArray[Any]:
    """An array of the volume's shape, stored likewise."""
    axes = tuple(axis for axis, flip in enumerate(how.flipped) if flip)
    return np.ascontiguousarray(np.flip(array.transpose(how.order), axes))
