"""COVNet (Li et al. 2020, Radiology 296:E65, "Deep Learning Model" and figure 2).

One ResNet-50 sees every slice; the averages of its last feature maps are joined by their maximum
over the slices; a linear layer and softmax give a probability for each class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from inference.networks.resnet import FEATURES, ResNet50
from inference.ties import TIE

CLASSES = ("COVID-19", "community-acquired pneumonia", "non-pneumonia")
"""The classes of the paper, in the order of its figure 2."""


class Covnet(ResNet50):
    """The parameters of a ResNet-50 with one output a class; the slices are one patient's."""

    def __init__(self, classes: int = len(CLASSES)) -> None:
        super().__init__(classes)

    def forward(self, slices: Tensor) -> Tensor:
        """Logits (classes,) of the slices (s, 1 or 3, rows, columns) of one volume."""
        return self.logits(self.feature_maps(slices).mean(dim=(2, 3)).amax(dim=0))

    def feature_maps(self, x: Tensor) -> Tensor:
        """Last feature maps (s, 2048, h, w); a single channel counts as three equal ones."""
        return super().feature_maps(x if x.shape[1] == 3 else x.expand(-1, 3, -1, -1))

    def logits(self, features: Tensor) -> Tensor:
        """Logits (classes,) of the joined features (2048,)."""
        return cast("Tensor", self.fc(features))


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is left of all slices once joined: all that Grad-CAM needs, whatever their number.

    `features`: (2048,), the maximum over the slices of each channel's average;
    `peak_slice`: int64 (2048,), the slice that has it, the first of those that tie (`ties`);
    `peak_maps`: (2048, h, w), that slice's map of that channel; `slices`: how many there were.
    """

    features: Tensor
    peak_slice: Tensor
    peak_maps: Tensor
    slices: int


def gather(network: Covnet, batches: Iterator[Tensor]) -> Evidence:
    """Join the slices batch by batch (n, 1, rows, columns), keeping only the maxima.

    Memory is that of one batch, for 30 slices and for 1000.

    Raises:
        ValueError: there is no slice.
    """
    return join(network.feature_maps(batch) for batch in batches)


def join(maps: Iterable[Tensor], tie: float = TIE) -> Evidence:
    """Join last feature maps (n, 2048, h, w) as they come.

    How the slices fall into batches does not matter. `tie`: part of an average, and of the slice's
    mean average, by which a later slice must exceed the one that has a channel, to take it.

    Raises:
        ValueError: there is no slice.
    """
    best: _Best | None = None
    for some in maps:
        best = _join(best, some, tie)
    if best is None:
        raise ValueError("no slices")
    return best.evidence


@dataclass(frozen=True, eq=False)
class _Best:
    """`average`: (2048,), of `evidence.peak_maps`; no more than a tie below the maximum."""

    evidence: Evidence
    average: Tensor


def _join(best: _Best | None, maps: Tensor, tie: float) -> _Best:
    """What was seen so far and another batch of maps (n, 2048, h, w)."""
    averages = torch.stack([one.mean(dim=(1, 2)) for one in maps])  # each alone: the same sum
    seen = 0 if best is None else best.evidence.slices
    average = averages[0] if best is None else best.average
    index = torch.full_like(average, 0 if best is None else -1, dtype=torch.int64)  # -1: before
    for at, one in enumerate(averages):
        better = one - average > tie * (one + one.mean())
        average = torch.where(better, one, average)
        index = torch.where(better, at, index)
    features, peak = averages.amax(dim=0), index + seen
    chosen = maps[index.clamp(min=0), torch.arange(FEATURES, device=maps.device)]
    if best is not None:
        earlier = index < 0
        features = torch.maximum(features, best.evidence.features)
        peak = torch.where(earlier, best.evidence.peak_slice, peak)
        chosen = torch.where(earlier[:, None, None], best.evidence.peak_maps, chosen)
    return _Best(Evidence(features, peak, chosen, seen + len(maps)), average)
