"""The same patient stored the other way round, along each of three axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.volume import CtVolume

Flips = tuple[bool, bool, bool]
_WAYS = (False, True)
EIGHT: tuple[Flips, ...] = tuple((s, r, c) for s in _WAYS for r in _WAYS for c in _WAYS)
"""Slices (both orders), rows and columns, each as it is or turned round."""


def flipped(volume: CtVolume, flips: Flips) -> CtVolume:
    """The volume with axes turned round, at the same place in the patient."""
    affine = volume.affine.copy()
    for axis, (flip, length) in enumerate(zip(flips, volume.hu.shape, strict=True)):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (length - 1)
            affine[:3, axis] *= -1
    return CtVolume(turned(volume.hu, flips), affine)


def turned(array: NDArray[Any], flips: Flips) -> NDArray[Any]:
    """An array of the volume's shape, turned round likewise."""
    axes = tuple(axis for axis, flip in enumerate(flips) if flip)
    return np.ascontiguousarray(np.flip(array, axes))


def stored(volume: CtVolume, *arrays: NDArray[Any], flips: Flips) -> tuple[Any, ...]:
    """Volume and arrays, turned round."""
    return flipped(volume, flips), *(turned(array, flips) for array in arrays)
