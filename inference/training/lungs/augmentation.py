"""Slices and their labels together, as other patients and scanners might have given them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from inference.regions import Side
from inference.training.augment import (
    Augmentation,
    change_values,
    draw_geometry,
    draw_intensity,
    move,
)


def augment_labelled(
    images: Tensor,
    labels: Tensor,
    classes: int,
    random: np.random.Generator,
    settings: Augmentation,
) -> tuple[Tensor, Tensor]:
    """Every slice changed by itself.

    `images`: float32 (n, 1, size, size) from 0 to 1; `labels`: uint8 (n, size, size). Gives both
    likewise, the labels as int64; what comes in from beyond the edge is air and background.
    """
    matrices = draw_geometry(settings, len(images), random)
    values = draw_intensity(settings, len(images), random)
    shares = one_hot(labels.long(), classes).movedim(-1, 1)[:, 1:].float()  # of each lung
    moved = move(shares, matrices)
    background = 1.0 - moved.sum(dim=1, keepdim=True)
    found = torch.cat((background, moved), dim=1).argmax(dim=1)
    if classes > Side.LEFT:
        found = renamed(found, torch.linalg.det(matrices[:, :, :2]) < 0)
    changed = change_values(move(images, matrices), values, int(random.integers(2**62)))
    return changed, found


def renamed(labels: Tensor, mirrored: Tensor) -> Tensor:
    """Right is left where a slice is mirrored: sides go by place. `mirrored`: bool (n,)."""
    turned = torch.where(labels > 0, int(Side.RIGHT) + int(Side.LEFT) - labels, labels)
    return torch.where(mirrored[:, None, None], turned, labels)
