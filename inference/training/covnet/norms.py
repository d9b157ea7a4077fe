"""BatchNorm in training with few scans a step: statistics made anew, then held fast.

Statistics that follow the last few small batches are noisy. So once a step has few scans, the
norms take the mean over many batches ("precise BatchNorm", Wu and Johnson 2021, "Rethinking Batch
in BatchNorm", section 3) and the network trains on with these, as it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import nn

T = TypeVar("T")
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def norms(network: nn.Module) -> Iterator[nn.BatchNorm2d]:
    """All BatchNorms of a network."""
    yield from (each for each in network.modules() if isinstance(each, _NORMS))  # type: ignore[misc]


def freeze(network: nn.Module) -> None:
    """From now on, until `network.train()`, the norms use their statistics and leave them alone."""
    for norm in norms(network):
        norm.eval()


@torch.no_grad()
def estimate(network: nn.Module, batches: Iterable[T], run: Callable[[T], object]) -> None:
    """Statistics as the mean over the batches; `run` puts one through the network."""
    usual = [(norm, norm.momentum) for norm in norms(network)]
    for norm, _ in usual:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
        norm.train()
    for batch in batches:
        run(batch)
    for norm, momentum in usual:
        norm.momentum = momentum
