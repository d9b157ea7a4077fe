"""Patches and their classes, cut as in use, as location attention's classifier learns them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from inference.location_attention.measures import boxes_in_view
from inference.location_attention.patches import images_with_lung, patches
from inference.location_attention.preprocess import RegionGrid, RegionPreprocessing
from inference.location_attention.proposals import Boxes, Candidates, overlaps
from inference.training.regions.data import StoredView
from inference.training.regions.lesion_truth import Lesion

SAME_LESION = 0.2
"""Intersection over union from which a box and a lesion's box mean the same."""
JITTERED = 4
"""Boxes about each true lesion, as proposals will lie: not quite right."""
SHIFT, GROWTH = 0.15, 0.3
"""How far these lie off, in edges, and how much larger or smaller they are, as a logarithm."""
HEALTHY = 6
"""Boxes with lung alone, drawn from each scan."""
HEALTHY_MM = (12.0, 60.0)
"""Edges of these."""
NOT_PROPOSED = -1.0


def patch_tensors(
    stored: StoredView,
    grid: RegionGrid,
    proposed: Candidates,
    random: np.random.Generator,
    settings: RegionPreprocessing,
    irrelevant: int,
) -> dict[str, Tensor]:
    """Patches at what the segmenter proposed, about the true lesions, and at lung as it comes.

    A proposal has the class of the lesion that it means, `irrelevant` where it meets none, and is
    left out where it grazes an infection. Of n regions with three patches each: `values`: uint8
    (3 n, size, size), 255 times those of `patches.Patch`; `distances`: float32 (3 n,), relative,
    not scaled; `classes`: int64 (n,); `scores`: float32 (n,), of a proposal, else NOT_PROPOSED;
    and of the m infections `found`: float32 (m,), the highest score of a proposal that means it, 0
    without one.
    """
    in_view = boxes_in_view(proposed.boxes, grid, stored.view)
    boxes = [(box, float(score)) for box, score in zip(in_view, proposed.scores, strict=True)]
    boxes += [(_healthy(stored, random), NOT_PROPOSED) for _ in range(HEALTHY)]
    kinds = [class_of(box, stored.lesions, irrelevant) for box, _ in boxes]
    kept = [(*each, kind) for each, kind in zip(boxes, kinds, strict=True) if kind is not None]
    for lesion in stored.lesions:
        about = [_near(lesion.box, random) for _ in range(JITTERED)]
        kept += [(box, NOT_PROPOSED, lesion.class_index) for box in about]
    infections = [lesion for lesion in stored.lesions if lesion.class_index != irrelevant]
    return _cut(stored, [box for box, _, _ in kept], settings) | {
        "classes": torch.tensor([kind for *_, kind in kept], dtype=torch.int64),
        "scores": torch.tensor([score for _, score, _ in kept], dtype=torch.float32),
        "found": torch.tensor([_best(each, in_view, proposed) for each in infections]),
    }


def class_of(box: Boxes, lesions: Sequence[Lesion], irrelevant: int) -> int | None:
    """Class of the lesion that a box (2, 3) means.

    `irrelevant` where it touches no infection; None where it touches one and means none.
    """
    shared, meant = _meant(box, lesions)
    if meant.any():
        return lesions[int(np.where(meant, shared, -1.0).argmax())].class_index
    touched = (lesions[int(at)].class_index for at in np.flatnonzero(shared > 0))
    return None if any(each != irrelevant for each in touched) else irrelevant


def _meant(box: Boxes, lesions: Sequence[Lesion]) -> tuple[np.ndarray, np.ndarray]:
    """Overlap with each lesion, and which the box means: it overlaps enough or lies about it."""
    others = np.array([lesion.box for lesion in lesions], np.float64).reshape(-1, 2, 3)
    shared = overlaps(box, others)
    middle = box.mean(axis=0)
    inside = ((middle >= others[:, 0]) & (middle <= others[:, 1])).all(axis=1)
    return shared, (shared >= SAME_LESION) | inside


def _best(lesion: Lesion, boxes: Boxes, proposed: Candidates) -> float:
    """The highest score of a proposal that means a lesion, 0 without one."""
    pairs = zip(boxes, proposed.scores.tolist(), strict=True)
    return max((score for box, score in pairs if _meant(box, [lesion])[1].any()), default=0.0)


def _near(box: Boxes, random: np.random.Generator) -> Boxes:
    """A box about the lesion's, shifted and grown as a proposal may be."""
    edges = box[1] - box[0]
    middle = box.mean(axis=0) + edges * random.uniform(-SHIFT, SHIFT, 3)
    half = edges / 2 * np.exp(random.uniform(-GROWTH, GROWTH))
    return np.stack((middle - half, middle + half))


def _healthy(stored: StoredView, random: np.random.Generator) -> Boxes:
    """A cube in mm about a voxel of lung."""
    slices = images_with_lung(stored.view)
    at = int(random.choice(slices))
    row, column = random.choice(np.argwhere(stored.view.lungs[at]))
    half = random.uniform(*HEALTHY_MM) / 2 / np.array(stored.view.spacing_mm)
    middle = np.array([at, row, column], np.float64)
    return np.stack((middle - half, middle + half))


def _cut(
    stored: StoredView, boxes: Sequence[Boxes], settings: RegionPreprocessing
) -> dict[str, Tensor]:
    images = images_with_lung(stored.view)
    flat = [patch for box in boxes for patch in patches(stored.view, images, box, settings)]
    values = np.array([patch.values for patch in flat], np.float32)
    whole = values.reshape(-1, settings.patch_size, settings.patch_size)
    return {
        "values": torch.from_numpy(np.rint(whole * 255).astype(np.uint8)),
        "distances": torch.tensor([patch.relative_distance for patch in flat], dtype=torch.float32),
    }
