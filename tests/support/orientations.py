"""One patient, stored in other orders and directions of the axes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.volume import CtVolume


class Stored(NamedTuple):
    """`order`: which axis of the patient each stored axis is; `flipped`: turned round, by stored
    axis."""

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def __str__(self) -> str:
        names = ("slices", "rows", "columns")
        pairs = zip(self.order, self.flipped, strict=True)
        return " ".join(("-" if flip else "") + names[axis] for axis, flip in pairs)


AXIAL = [
    Stored((0, 1, 2), (a, b, c))
    for a in (False, True)
    for b in (False, True)
    for c in (False, True)
]
"""The eight orientations of axial slices."""


def stored(
    volume: CtVolume, lungs: NDArray[np.bool_], how: Stored
) -> tuple[CtVolume, NDArray[np.bool_]]:
    """The same patient: arrays turned, and the affine with them."""
    hu, mask, affine = volume.hu, lungs, volume.affine.copy()
    hu, mask = hu.transpose(how.order), mask.transpose(how.order)
    affine[:, :3] = affine[:, list(how.order)]
    for axis, flip in enumerate(how.flipped):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
            affine[:3, axis] *= -1
            hu, mask = np.flip(hu, axis), np.flip(mask, axis)
    return CtVolume(np.ascontiguousarray(hu), affine), np.ascontiguousarray(mask)
