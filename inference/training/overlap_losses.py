"""Losses of networks that segment: overlap, for parts that fill little of the image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, one_hot

SMOOTH = 1.0
"""Added to both sides of the ratio: a batch that rightly holds nothing loses nothing."""


def dice_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    """1 - D of Milletari et al. 2016, section 3, over all voxels given together.

    D = 2 sum(p g) / (sum(p^2) + sum(g^2)); both tensors of one shape, 0 to 1.
    """
    common = (probabilities * truth).sum()
    squares = probabilities.square().sum() + truth.square().sum()
    return 1.0 - (2.0 * common + SMOOTH) / (squares + SMOOTH)


def classes_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, and the mean Dice loss of the classes but the first (the background).

    `logits`: float (n, classes, rows, columns); `labels`: int64 (n, rows, columns).
    """
    values = logits.float()
    shares = torch.softmax(values, dim=1)
    truth = one_hot(labels, values.shape[1]).movedim(-1, 1).to(shares.dtype)
    parts = [dice_loss(shares[:, each], truth[:, each]) for each in range(1, values.shape[1])]
    return cross_entropy(values, labels) + torch.stack(parts).mean()


def voxel_loss(log_odds: Tensor, truth: Tensor, counts: Tensor) -> Tensor:
    """Binary cross-entropy and Dice loss over the voxels that count.

    All float of one shape; `truth`: 0 or 1; `counts`: 1 where the truth is known, else 0.
    """
    values = log_odds.float()
    each = binary_cross_entropy_with_logits(values, truth, reduction="none")
    entropy = (each * counts).sum() / counts.sum().clamp(min=1.0)
    return entropy + dice_loss(torch.sigmoid(values) * counts, truth * counts)
