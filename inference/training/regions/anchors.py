"""What the proposal head is to say at each anchor: the inverse of `proposals.decode`.

Ren et al. 2015 ("Faster R-CNN"), section 3.1.2: an anchor is positive where it overlaps a lesion
enough or, of all, the most; negative where it overlaps none; the others do not count. Our own
choice, for lesions larger or flatter than any anchor: those about the lesion's middle that overlap
it nearly the most are positive too, and none whose middle lies in a lesion is negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.location_attention.proposals import (
    ANCHOR_EDGES_MM,
    LARGEST_LOG_GROWTH,
    STRIDE,
    Boxes,
    decode,
    overlaps,
)

POSITIVE_OVERLAP = 0.5
"""Intersection over union from which an anchor stands for a lesion."""
NEGATIVE_OVERLAP = 0.2
"""Below it with all lesions, an anchor stands for none."""
NEARLY_BEST = 0.9
"""Part of the best overlap that an anchor about the lesion's middle must reach."""
ABOUT_MIDDLE = 0.2
"""Distance from the lesion's middle, in edges of its box, that is still about it."""

POSITIVE, NEGATIVE, UNCOUNTED = 1, 0, -1
CellMm = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class AnchorTargets:
    """`labels`: int8 (anchors, d, h, w), POSITIVE, NEGATIVE or UNCOUNTED; `offsets`: float32
    (anchors, 6, d, h, w), as `decode` takes them, 0 where not positive."""

    labels: NDArray[np.int8]
    offsets: NDArray[np.float32]


def anchor_boxes(shape: tuple[int, int, int], cell_mm: CellMm) -> Boxes:
    """Every anchor of maps of this shape (d, h, w), in the order of their flat indices."""
    plain = np.zeros((len(ANCHOR_EDGES_MM), 6, *shape), np.float32)
    return decode(plain, np.arange(plain[:, 0].size), cell_mm)


def encode(boxes: Boxes, anchors: Boxes) -> NDArray[np.float64]:
    """Offsets (n, 6) from each anchor to its box, both (n, 2, 3).

    Ren et al. 2015, equation 2: t_x = (x - x_a) / w_a, t_w = log(w / w_a); growth is held to what
    `decode` follows.
    """
    edges = anchors[:, 1] - anchors[:, 0]
    shift = (boxes.mean(axis=1) - anchors.mean(axis=1)) / edges
    growth = np.log((boxes[:, 1] - boxes[:, 0]) / edges)
    return np.concatenate((shift, np.clip(growth, -LARGEST_LOG_GROWTH, LARGEST_LOG_GROWTH)), axis=1)


def assign(
    lesions: Boxes, uncounted: Boxes, grid: tuple[int, ...], cell_mm: CellMm
) -> AnchorTargets:
    """Targets for a piece of the grid, `grid` its cells along each axis.

    `lesions`, `uncounted`: float64 (n, 2, 3), cells; what is to be proposed, and what may be
    proposed or not.
    """
    depth, height, width = (length // STRIDE for length in grid)
    anchors = anchor_boxes((depth, height, width), cell_mm)
    labels = np.full(len(anchors), NEGATIVE, np.int8)
    best, chosen = np.zeros(len(anchors)), np.zeros(len(anchors), np.intp)
    for number, box in enumerate(lesions):
        overlap, stands = _of_lesion(box, anchors)
        labels[_near(box, anchors, overlap) & (labels == NEGATIVE)] = UNCOUNTED
        taken = stands & (overlap > best)
        labels[taken], best[taken], chosen[taken] = POSITIVE, overlap[taken], number
    for box in uncounted:
        near = _near(box, anchors, overlaps(box, anchors))
        labels[near & (labels == NEGATIVE)] = UNCOUNTED
    return _targets(labels, chosen, lesions, anchors, (depth, height, width))


def _targets(
    labels: NDArray[np.int8],
    chosen: NDArray[np.intp],
    lesions: Boxes,
    anchors: Boxes,
    shape: tuple[int, int, int],
) -> AnchorTargets:
    offsets = np.zeros((len(anchors), 6), np.float32)
    positive = np.flatnonzero(labels == POSITIVE)
    offsets[positive] = encode(lesions[chosen[positive]], anchors[positive])
    number = len(ANCHOR_EDGES_MM)
    apart = np.moveaxis(offsets.reshape(number, *shape, 6), -1, 1)
    return AnchorTargets(labels.reshape(number, *shape), np.ascontiguousarray(apart))


def _of_lesion(box: Boxes, anchors: Boxes) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Overlap of each anchor with a lesion, and whether it stands for it."""
    overlap = overlaps(box, anchors)
    apart = abs(anchors.mean(axis=1) - box.mean(axis=0)) / (box[1] - box[0])
    about = (apart < ABOUT_MIDDLE).all(axis=1)
    stands = (overlap >= POSITIVE_OVERLAP) | (about & (overlap >= NEARLY_BEST * overlap.max()))
    first = np.lexsort((apart.max(axis=1), -overlap))[0]  # of equal ones, that nearest the middle
    stands[first] = overlap[first] > 0
    return overlap, stands


def _near(box: Boxes, anchors: Boxes, overlap: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Anchors that are no clear background for a lesion."""
    middles = anchors.mean(axis=1)
    inside = ((middles >= box[0]) & (middles <= box[1])).all(axis=1)
    near: NDArray[np.bool_] = inside | (overlap >= NEGATIVE_OVERLAP)
    return near
