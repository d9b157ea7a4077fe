"""What the loop asks of a task: a network, batches, a loss, a validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

Batch = TypeVar("Batch")
Trained = nn.Parameter | tuple[nn.Parameter, float]
"""A parameter, or one with a factor of its learning rate."""


@dataclass(frozen=True)
class Stage:
    """A part of a run with its own schedule.

    The learning rate rises linearly over `warm_up` steps to `learning_rate`, then falls along half
    a cosine to nothing at the last step.
    """

    name: str
    steps: int
    learning_rate: float
    warm_up: int = 0
    hands_on_best: bool = True
    """Whether the next stage starts from its best weights, or from its last ones."""


@dataclass(frozen=True)
class Losses:
    """`total` is what is minimised; `parts` are told in the curves."""

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Validation:
    """`score`: the higher, the better. `extra`: what of it belongs to the weights, as JSON."""

    score: float
    figures: Mapping[str, float]
    extra: Mapping[str, Any] = field(default_factory=dict)


class TrainingTask(Protocol[Batch]):
    """One task with its data. Chance comes from `random` alone, so that a step can be repeated."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """In the order they are run."""
        ...

    def network(self) -> nn.Module:
        """A new one, the same for the same seed; it may hold what only training needs."""
        ...

    def weights(self, network: nn.Module) -> Mapping[str, Tensor]:
        """The parameters and buffers that a bundle of the task holds, by its names."""
        ...

    def restore(self, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Put such weights back."""
        ...

    def trained(self, network: nn.Module, stage: Stage) -> Iterable[Trained]:
        """The parameters that a stage trains; some at a part of the stage's learning rate."""
        ...

    def begin_step(self, network: nn.Module, stage: Stage, step: int) -> None:
        """Set the modes of the layers for a step, counted from 0 within the stage."""
        ...

    def batch(self, stage: Stage, random: np.random.Generator) -> Batch:
        """On the CPU; called from another thread when the network is on a GPU."""
        ...

    def loss(self, network: nn.Module, batch: Batch, device: torch.device) -> Losses:
        """Of one batch, which is moved to the device here."""
        ...

    def validate(self, network: nn.Module, stage: Stage, device: torch.device) -> Validation:
        """On the validation scans; the network is in evaluation mode, without gradients."""
        ...
