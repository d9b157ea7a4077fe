"""COVNet on OpenVINO: on a CPU twice as quick as PyTorch, from the same weights.

What it compiles is not kept on disk: compiling takes 0.4 s, reading back 0.3 s, and OpenVINO takes
what lies there for what it wrote, damaged or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from inference.backends.openvino_graph import package, resnet_maps
from inference.backends.precision import Precision
from inference.backends.streams import Streams, Values
from inference.bundles.card import TASK
from inference.covnet.network import Covnet, Evidence, join
from inference.memory import Memory

if TYPE_CHECKING:
    from inference.progress import Progress

TOLERANCE = 1e-3
"""Largest difference of a probability, and of a heatmap's value, from PyTorch in float64, of
float32.

Two slices that tie for the maximum of a channel within rounding may swap its part of the heatmap.
"""


class OpenvinoBackend:
    """`network`: folded, float32, on the CPU; it is not changed."""

    name = "openvino"
    device = "cpu"

    def __init__(
        self,
        network: Covnet,
        size: int,
        threads: int | None = None,
        memory: Memory | None = None,
        precision: Precision = "f32",
    ) -> None:
        """Build and compile for slices of `size` pixels.

        `threads`: at once; None is as many as torch has.
        """
        self.precision = precision
        self._streams = Streams(_covnet_graph(network, size), threads, precision)
        self._memory = memory or Memory()

    def evidence(self, images: Tensor, on_progress: Progress) -> Evidence:
        """Join the slices, float32 (slices, 1, size, size)."""
        with torch.inference_mode():
            return join(self._maps(images, on_progress))

    def foresee(self, images: Tensor, on_progress: Progress) -> None:
        """As `CovnetBackend.foresee`."""
        kept = self._memory.foresee(TASK, _slices(images), self._streams.run)
        for done, _ in enumerate(kept, 1):
            on_progress("network", done, len(images))

    def _maps(self, images: Tensor, on_progress: Progress) -> Iterator[Tensor]:
        """Maps (1, 2048, h, w) slice by slice, in order; void once the next is asked for."""
        on_progress("network", 0, len(images))
        found = self._memory.recall(TASK, _slices(images), self._streams.run)
        for done, maps in enumerate(found, 1):
            yield torch.from_numpy(maps)
            on_progress("network", done, len(images))


def _slices(images: Tensor) -> list[Values]:
    """Each (1, 1, size, size)."""
    return list(np.ascontiguousarray(images.numpy())[:, None])


def _covnet_graph(network: Covnet, size: int) -> Any:
    """Last feature maps (1, 2048, h, w) of one slice (1, 1, size, size), as `Covnet` has them."""
    ops = package().opset13
    slices = ops.parameter([1, 1, size, size], np.float32, name="slices")
    return package().Model([resnet_maps(ops, slices, network)], [slices], "covnet")
