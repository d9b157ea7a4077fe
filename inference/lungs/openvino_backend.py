"""The U-net of the task `lungs` on OpenVINO: quicker on a CPU, from the same weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from inference.backends.openvino_graph import add_by_channel, convolution, package, values
from inference.backends.precision import Precision
from inference.backends.streams import Streams
from inference.lungs.lung_input import LungInput
from inference.lungs.lung_slices import SliceImages

if TYPE_CHECKING:
    from inference.networks.unet import DoubleConvolution, Unet
    from inference.progress import Progress

TOLERANCE = 1e-4
"""Largest difference of a logit from PyTorch's in float64, as a part of the largest logit; of
float32."""


class OpenvinoUnet:
    """`network`: folded, float32, on the CPU; it is not changed and not kept."""

    name = "openvino"
    device = "cpu"

    def __init__(
        self,
        network: Unet,
        settings: LungInput,
        threads: int | None = None,
        precision: Precision = "f32",
    ) -> None:
        """Build and compile. `threads`: at once; None is as many as torch has."""
        self._settings, self.precision = settings, precision
        self._streams = Streams(unet_graph(network, settings.size), threads, precision)

    def logits(
        self, hu: Sequence[NDArray[np.int16]], on_progress: Progress
    ) -> Iterator[NDArray[np.float32]]:
        """As `LungBackend.logits`."""
        if len(hu) == 0:
            return
        images = SliceImages(self._settings, *hu[0].shape)
        found = self._streams.run(images.of(each)[None, None] for each in hu)
        for index, logits in enumerate(found):
            on_progress("lungs", index, len(hu))
            yield logits[0]


def unet_graph(network: Unet, size: int) -> Any:
    """Logits (1, classes, size, size) of one slice (1, 1, size, size), as `Unet` has them."""
    ops = package().opset13
    x = image = ops.parameter([1, 1, size, size], np.float32, name="slice")
    passed = []
    for level, block in enumerate(network.down):
        if level:
            x = ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
        x = _double(ops, x, block)
        passed.append(x)
    passed.pop()
    for up, joined in zip(network.up, network.joined, strict=True):
        x = _double(ops, ops.concat([passed.pop(), _up(ops, x, up)], 1), joined)
    return package().Model([convolution(ops, x, network.last)], [image], "unet")


def _double(ops: Any, x: Any, block: DoubleConvolution | nn.Module) -> Any:
    for layer in block.children():
        if isinstance(layer, nn.Conv2d):
            x = ops.relu(convolution(ops, x, layer))
    return x


def _up(ops: Any, x: Any, up: nn.Module) -> Any:
    """2x2 up-convolution of stride 2."""
    if not isinstance(up, nn.ConvTranspose2d) or up.bias is None:
        raise TypeError("the up-convolution is none")
    kernel = ops.constant(values(up.weight))
    out = ops.convolution_backprop_data(x, kernel, [2, 2], None, [0, 0], [0, 0], [1, 1])
    return add_by_channel(ops, out, up.bias)
