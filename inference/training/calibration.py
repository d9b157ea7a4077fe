"""Probabilities that mean what they say: the last layer's logits, scaled and shifted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

LOWEST, HIGHEST = 1.0, 20.0
"""A few scans that are all classed rightly would be fitted by certainty: a network is never made
surer than it is."""
_ROUNDS = 60
_BIAS_ROUNDS = 200
_BIAS_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Calibration:
    """Calibrated logits are those of the network divided by `temperature`, plus `biases`."""

    temperature: float
    biases: tuple[float, ...]

    def applied(self, logits: Tensor) -> Tensor:
        """Calibrated logits (scans, classes), float64."""
        return logits.double() / self.temperature + torch.tensor(self.biases, dtype=torch.float64)


def fit_calibration(logits: Tensor, classes: Tensor) -> Calibration:
    """The temperature T and the biases b that make the cross-entropy of softmax(logits / T + b)
    least, each class weighing as much as another.

    `logits`: (scans, classes); `classes`: int64 (scans,). Temperature scaling (Guo et al. 2017,
    section 4.2) with biases (Alexandari, Kundaje and Shrikumar 2020, section 3): a maximum over
    the slices of a scan rises with their number, and more for one class than for another, which no
    temperature can mend. A class without a scan keeps a bias of 0.
    """
    exact = logits.double()
    weights = torch.zeros(logits.shape[1], dtype=torch.float64)
    counts = torch.bincount(classes, minlength=len(weights))
    weights[counts > 0] = 1.0 / counts[counts > 0].double()

    def cost(temperature: float) -> float:
        shifted = exact / temperature + _biases(exact / temperature, classes, weights)
        return float(cross_entropy(shifted, classes, weights))

    temperature = _least(cost)
    biases = _biases(exact / temperature, classes, weights)
    return Calibration(temperature, tuple(biases.tolist()))


def _biases(logits: Tensor, classes: Tensor, weights: Tensor) -> Tensor:
    """(classes,): at the least cross-entropy the weighted probabilities of a class sum to the
    weight of its scans, and each round moves its bias by the logarithm of what is missing."""
    biases = torch.zeros_like(weights)
    there = weights > 0
    each = weights[classes][:, None]
    for _ in range(_BIAS_ROUNDS):
        sums = (each * torch.softmax(logits + biases, dim=1)).sum(dim=0)
        step = -sums[there].log()
        biases[there] += step - step.mean()
        if float((step - step.mean()).abs().max()) < _BIAS_TOLERANCE:
            break
    return biases


def _least(cost: Callable[[float], float]) -> float:
    """The temperature within its bounds that costs least: the cost is convex in 1 / T, so that a
    golden-section search over the logarithm finds the one minimum. Own code: SciPy comes with the
    extra `train`, and a training runs without it."""
    golden = (5**0.5 - 1) / 2
    low, high = math.log(LOWEST), math.log(HIGHEST)
    for _ in range(_ROUNDS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if cost(math.exp(left)) <= cost(math.exp(right)):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)
