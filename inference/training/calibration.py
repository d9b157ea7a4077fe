"""Probabilities that mean what they say: temperature scaling (Guo et al. 2017, section 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

LOWEST, HIGHEST = 0.5, 20.0
"""A few scans that are all classed rightly would be fitted by certainty: no less is believed."""
_ROUNDS = 60


def fit_temperature(logits: Tensor, classes: Tensor) -> float:
    """The temperature T that makes the mean cross-entropy of softmax(logits / T) least.

    `logits`: (scans, classes); `classes`: int64 (scans,). The cross-entropy is convex in 1 / T, so
    that a golden-section search over its logarithm finds the one minimum within the bounds.
    """
    golden = (5**0.5 - 1) / 2
    low, high = torch.log(torch.tensor([LOWEST, HIGHEST], dtype=torch.float64)).tolist()
    exact = logits.double()

    def at(logarithm: float) -> float:
        return float(cross_entropy(exact / torch.tensor(logarithm).exp().double(), classes))

    for _ in range(_ROUNDS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if at(left) <= at(right):
            high = right
        else:
            low = left
    return float(torch.tensor((low + high) / 2, dtype=torch.float64).exp())
