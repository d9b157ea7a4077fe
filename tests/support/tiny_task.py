"""A real training task that is learned in a second: which half of a small image is brighter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inference.training.task import Losses, Stage, Validation

Batch = tuple[Tensor, Tensor]


def drawn(random: np.random.Generator, count: int) -> Batch:
    """Images (count, 1, 8, 8) and int64 labels: 0 where the left half is brighter, 1 the right."""
    labels = random.integers(2, size=count)
    images = random.normal(0.0, 0.5, (count, 1, 8, 8)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[0, :, 4 * label : 4 * label + 4] += 1.0
    return torch.from_numpy(images), torch.from_numpy(labels)


@dataclass
class TinyTask:
    """A convolution, BatchNorm, dropout and a linear layer; `poison`: a step whose loss is NaN.

    `batches`: the sum of each batch that was drawn, in the order of drawing.
    """

    stages: tuple[Stage, ...] = (Stage("one", 12, 0.05, 2),)
    scores: dict[tuple[str, int], float] = field(default_factory=dict)
    poison: int | None = None
    batches: list[float] = field(default_factory=list)
    step: int = 0

    def network(self) -> nn.Module:
        torch.manual_seed(5)
        parts = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2)
        return nn.Sequential(*parts, nn.Flatten(), nn.Linear(4 * 64, 2))

    def weights(self, network: nn.Module) -> Mapping[str, Tensor]:
        return network.state_dict()

    def restore(self, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
        network.load_state_dict(dict(weights), strict=True)

    def trained(self, network: nn.Module, _stage: Stage) -> Iterable[nn.Parameter]:
        return network.parameters()

    def begin_step(self, _network: nn.Module, _stage: Stage, step: int) -> None:
        self.step = step

    def batch(self, _stage: Stage, random: np.random.Generator) -> Batch:
        images, labels = drawn(random, 16)
        self.batches.append(float(images.sum()))
        return images, labels

    def loss(self, network: nn.Module, batch: Batch, device: torch.device) -> Losses:
        images, labels = (each.to(device) for each in batch)
        loss = cross_entropy(network(images), labels)
        if self.poison == self.step:
            loss = loss * torch.nan
        return Losses(loss, {"half": loss / 2})

    def validate(self, network: nn.Module, stage: Stage, device: torch.device) -> Validation:
        images, labels = drawn(np.random.default_rng(99), 64)
        right = network(images.to(device)).argmax(dim=1).cpu() == labels
        accuracy = float(right.double().mean())
        score = self.scores.get((stage.name, self.step + 1), accuracy)
        return Validation(score, {"accuracy": accuracy}, {"classes": ["left", "right"]})
