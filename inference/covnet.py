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

from inference.resnet import FEATURES, ResNet50

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
    `peak_slice`: int64 (2048,), the slice that has it, the first one in a tie;
    `peak_maps`: (2048, h, w), that slice's map of that channel; `slices`: how many there were.
    """

    features: Tensor
    peak_slice: Tensor
    peak_maps: Tensor
    slices: int


def gather(network: Covnet, batches: Iterator[Tensor]) -> Evidence:
    """Join the slices batch by batch (n, 1, rows, columns), keeping only the maxima.

    Memory is that of one batch, for 30 slices and for 1000. Raises ValueError without a slice.
    """
    return join(network.feature_maps(batch) for batch in batches)


def join(maps: Iterable[Tensor]) -> Evidence:
    """Join last feature maps (n, 2048, h, w) as they come. Raises ValueError without a slice."""
    best: Evidence | None = None
    for some in maps:
        best = _join(best, some)
    if best is None:
        raise ValueError("no slices")
    return best


def _join(best: Evidence | None, maps: Tensor) -> Evidence:
    """The maxima of what was seen so far and of another batch of maps (n, 2048, h, w)."""
    features, index = maps.mean(dim=(2, 3)).max(dim=0)  # of (n, 2048); the first one in a tie
    chosen = maps[index, torch.arange(FEATURES, device=maps.device)]  # (2048, h, w)
    if best is None:
        return Evidence(features, index, chosen, len(maps))
    better = features > best.features  # strictly: the earlier slice wins a tie
    return Evidence(
        torch.where(better, features, best.features),
        torch.where(better, index + best.slices, best.peak_slice),
        torch.where(better[:, None, None], chosen, best.peak_maps),
        best.slices + len(maps),
    )
