"""Which lesion a candidate region lies on.

Xu et al. 2020 had radiologists name the class of each candidate's patches (section 2.4). Where
the lesions are known voxel by voxel the same follows from overlap; the measure is our own choice:
the overlap coefficient, which lets a large cube hold a small lesion and a small cube lie within a
large one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.regions import VoxelBox

LEAST_OVERLAP = 0.25
"""Shared voxels, as part of the smaller of lesion and cube, from which on they belong together."""

Lesions = NDArray[np.uint16]


@dataclass(frozen=True)
class Match:
    """A region's lesion by number, None where it lies on none; `overlap`: 0 to 1."""

    lesion: int | None
    overlap: float


def match_regions(boxes: Sequence[VoxelBox], lesions: Lesions) -> tuple[Match, ...]:
    """For each box the lesion that it overlaps most, by the overlap coefficient.

    `lesions`: uint16 (slices, rows, columns), each voxel the number of its lesion, 0 none. Of equal
    overlaps the lower number is taken.
    """
    sizes = np.bincount(lesions.ravel())
    return tuple(_match(box, lesions, sizes) for box in boxes)


def _match(box: VoxelBox, lesions: Lesions, sizes: NDArray[np.intp]) -> Match:
    inside = lesions[box.part]
    shared = np.bincount(inside.ravel(), minlength=len(sizes)).astype(np.float64)
    smaller = np.minimum(sizes, inside.size)
    overlap = np.divide(shared, smaller, out=np.zeros_like(shared), where=smaller > 0)
    overlap[0] = 0.0
    best = int(overlap.argmax())
    if overlap[best] < LEAST_OVERLAP:
        return Match(None, float(overlap[best]))
    return Match(best, float(overlap[best]))


def found_lesions(matches: Sequence[Match]) -> frozenset[int]:
    """Numbers of the lesions that some region lies on."""
    return frozenset(each.lesion for each in matches if each.lesion is not None)


def lesion_classes(lesions: Lesions, named: Mapping[int, str], scan_label: str) -> dict[int, str]:
    """Class of each lesion by number; `scan_label` for all where none is `named`."""
    numbers = [int(number) for number in np.unique(lesions) if number]
    return {number: named.get(number, scan_label) for number in numbers}
