"""From the V-Net's maps to candidate cubes.

Xu et al. 2020 (section 2.3) take the bounding-box regression of VNET-IR-RPN, "a VNET based
segmentation model" of an earlier study (arXiv:1910.02285), and lower the threshold of the
proposals to find as many as possible (section 3.3.2). Neither paper publishes that network. From
the papers are: a V-Net, region proposals with box regression, cubes, a low threshold.

Our own choice: the proposal head is that of Ren et al. 2015 ("Faster R-CNN", section 3.1 and
equation 2) in three dimensions, on the V-Net's second right stage, a cell of which is four of the
grid. Each cell has three anchors, cubes with edges of 12, 24 and 48 mm: foci of viral pneumonia
are some millimetres to a segment wide, and the regression reaches from a seventh of an edge to
seven times it. A candidate must hold some lung. Non-maximum suppression is greedy, by
intersection over union.

Boxes are float64 (n, 2, 3): low and high corner along slices, rows, columns, in cells of the grid
measured from its edge, so that cell i spans [i, i + 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.location_attention.preprocess import RegionPreprocessing
from inference.ties import falling

Boxes = NDArray[np.float64]
Scores = NDArray[np.float64]
Maps = NDArray[np.float32]

ANCHOR_EDGES_MM = (12.0, 24.0, 48.0)
STRIDE = 4
"""Cells of the grid for one of the maps', along each axis."""
LARGEST_LOG_GROWTH = 2.0
"""Bound of the regression of an edge's logarithm: a wild number makes no endless cube."""
LEAST_LUNG = 0.1
"""Part of a candidate that must be lung; consolidation at the pleura may lie half outside."""
BEFORE_SUPPRESSION = 2000
"""Proposals looked at, the best ones first."""


@dataclass(frozen=True, eq=False)
class ProposalMaps:
    """Output of the segmenter over a whole grid (d, h, w).

    `lesion`: float32 (d, h, w), log-odds by cell; `objectness`: float32 (anchors, d / 4, h / 4,
    w / 4), log-odds; `offsets`: float32 (anchors, 6, d / 4, h / 4, w / 4), the shifts of the
    centre in edges of the anchor, then the logarithms of the growth of the edges.
    """

    lesion: Maps
    objectness: Maps
    offsets: Maps


@dataclass(frozen=True, eq=False)
class Candidates:
    """`boxes`: float64 (n, 2, 3); `scores`: float64 (n,), 0 to 1, falling but for ties."""

    boxes: Boxes
    scores: Scores


def propose(maps: ProposalMaps, lungs: Maps, settings: RegionPreprocessing) -> Candidates:
    """The candidates of a grid, at most `settings.most_regions`; none is an answer too.

    `lungs`: float32 (d, h, w), part of each cell that is lung.
    """
    scores = np.exp(-np.logaddexp(0.0, -maps.objectness.astype(np.float64).ravel()))  # sigmoid
    high = np.flatnonzero(scores >= settings.score_threshold)
    best = high[falling(scores[high], BEFORE_SUPPRESSION)]
    boxes = clip(decode(maps.offsets, best, settings.cell_mm), lungs.shape)
    held = lung_share(boxes, lungs) >= LEAST_LUNG
    boxes, scores = boxes[held], scores[best][held]
    kept = suppress(boxes, settings.largest_overlap, settings.most_regions)
    return Candidates(boxes[kept], scores[kept])


def decode(offsets: Maps, chosen: NDArray[np.intp], cell_mm: tuple[float, float, float]) -> Boxes:
    """Boxes of the chosen entries (flat indices of (anchors, d, h, w)).

    Ren et al. 2015, equation 2, solved for the box: x = t_x w_a + x_a, w = w_a exp(t_w).
    """
    anchors, _, *shape = offsets.shape
    anchor, *cell = np.unravel_index(chosen, (anchors, *shape))
    regression = offsets[anchor, :, cell[0], cell[1], cell[2]].astype(np.float64)  # (n, 6)
    edges = np.array(ANCHOR_EDGES_MM)[anchor, None] / np.array(cell_mm)  # (n, 3)
    middle = (np.stack(cell, axis=1) + 0.5) * STRIDE + regression[:, :3] * edges
    growth = np.clip(regression[:, 3:], -LARGEST_LOG_GROWTH, LARGEST_LOG_GROWTH)
    half = edges * np.exp(growth) / 2
    return np.stack((middle - half, middle + half), axis=1)


def clip(boxes: Boxes, shape: tuple[int, ...]) -> Boxes:
    """The part of each box within the grid; of a box beyond it, nothing is left."""
    clipped: Boxes = np.clip(boxes, 0.0, np.array(shape, np.float64))
    return clipped


def lung_share(boxes: Boxes, lungs: Maps) -> NDArray[np.float64]:
    """Part of each box that is lung (n,); 0 for an empty box. Corners count by whole cells.

    By sums from the grid's corner, so that a large box costs as little as a small one.
    """
    sums = np.zeros(tuple(length + 1 for length in lungs.shape))
    sums[1:, 1:, 1:] = lungs.cumsum(0, dtype=np.float64).cumsum(1).cumsum(2)
    low = np.floor(boxes[:, 0]).astype(np.intp)
    high = np.ceil(boxes[:, 1]).astype(np.intp)
    total = np.zeros(len(boxes))
    for corner in range(8):
        take = [bool(corner >> axis & 1) for axis in range(3)]
        z, y, x = (np.where(upper, high[:, a], low[:, a]) for a, upper in enumerate(take))
        total += (-1) ** (3 - sum(take)) * sums[z, y, x]
    cells = (high - low).prod(axis=1)
    some = (boxes[:, 1] > boxes[:, 0]).all(axis=1)
    return np.where(some, total / np.maximum(cells, 1), 0.0)


def suppress(boxes: Boxes, largest_overlap: float, most: int) -> list[int]:
    """Indices kept of boxes in falling order of score; none kept overlaps another by more."""
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left) and len(kept) < most:
        first, left = int(left[0]), left[1:]
        kept.append(first)
        left = left[overlaps(boxes[first], boxes[left]) <= largest_overlap]
    return kept


def overlaps(box: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Intersection over union of a box (2, 3) with others (n, 2, 3)."""
    low, high = np.maximum(box[0], others[:, 0]), np.minimum(box[1], others[:, 1])
    common = np.clip(high - low, 0.0, None).prod(axis=1)
    union = (box[1] - box[0]).prod() + (others[:, 1] - others[:, 0]).prod(axis=1) - common
    ratio: NDArray[np.float64] = common / np.maximum(union, np.finfo(np.float64).tiny)
    return ratio
