"""Losses of the proposal head: is a lesion there, and what box."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from inference.training.regions.anchors import NEGATIVE, POSITIVE

NEGATIVES_TIMES = 3
"""Negative anchors that count for each positive one."""
LEAST_NEGATIVES = 64
"""These count in any case, so that a batch without lesion teaches what is none."""

BEND = 1 / 9
"""Error from which the loss of an offset is linear, as in the authors' own code."""


def objectness_loss(log_odds: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the positive anchors, and of so many of the negative ones, each the mean.

    Ren et al. 2015, section 3.1.2, draw as many negative anchors as positive ones; here the
    hardest are taken (Shrivastava et al. 2016, "Online Hard Example Mining"), since of tens of
    thousands nearly all are easy. A focal loss over all of them was tried: where the V-Net, which
    has no norms, gave a few hundred wrong at once, its sum grew from 1 to 50, and the training
    with it. `log_odds`: float, `labels`: int8, both (n, anchors, d, h, w).
    """
    values = log_odds.float()
    positive, negative = (values[labels == kind] for kind in (POSITIVE, NEGATIVE))
    number = min(len(negative), max(LEAST_NEGATIVES, NEGATIVES_TIMES * len(positive)))
    hardest = negative.topk(number, sorted=False).values
    parts = [
        binary_cross_entropy_with_logits(chosen, torch.full_like(chosen, truth))
        for chosen, truth in ((positive, 1.0), (hardest, 0.0))
        if len(chosen)
    ]
    return torch.stack(parts).sum() if parts else values.sum() * 0.0


def offsets_loss(offsets: Tensor, wanted: Tensor, labels: Tensor) -> Tensor:
    """Smooth L1 (Ren et al. 2015, section 3.1.2) of an anchor's six offsets, summed; the mean over
    the positive anchors.

    `offsets`, `wanted`: float (n, anchors, 6, d, h, w); 0 where no anchor is positive.
    """
    positive = labels == POSITIVE
    found, truth = (each.float().movedim(2, -1)[positive] for each in (offsets, wanted))
    return smooth_l1_loss(found, truth, reduction="sum", beta=BEND) / max(len(found), 1)
