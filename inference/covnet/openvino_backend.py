"""COVNet on OpenVINO: on a CPU twice as quick as PyTorch, from the same weights.

Slices are computed one by one, each on a thread of its own: measured, that is quicker than
batches, since the maps of one slice stay in a core's cache. So no batch and no number of threads
changes a bit of what a slice gives. Float32 is asked for: by default OpenVINO takes bfloat16 where
the processor has it.

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
from inference.covnet.network import Covnet, Evidence, join

if TYPE_CHECKING:
    from inference.progress import Progress

TOLERANCE = 1e-3
"""Largest difference of a probability, and of a heatmap's value, from PyTorch in float64.

Two slices that tie for the maximum of a channel within rounding may swap its part of the heatmap.
"""


class OpenvinoBackend:
    """`network`: folded, float32, on the CPU; it is not changed."""

    name = "openvino"
    device = "cpu"

    def __init__(self, network: Covnet, size: int, threads: int | None = None) -> None:
        """Build and compile for slices of `size` pixels.

        `threads`: at once; None is as many as torch has.
        """
        self._streams = threads or torch.get_num_threads()
        wishes = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": self._streams,
            "INFERENCE_NUM_THREADS": self._streams,
        }
        model = _covnet_graph(network, size)
        self._compiled = package().Core().compile_model(model, "CPU", wishes)

    def evidence(self, images: Tensor, on_progress: Progress) -> Evidence:
        """Join the slices, float32 (slices, 1, size, size)."""
        with torch.inference_mode():
            return join(self._maps(images, on_progress))

    def _maps(self, images: Tensor, on_progress: Progress) -> Iterator[Tensor]:
        """Maps (1, 2048, h, w) slice by slice, in order; each is void once the next is asked for.

        One request more than there are threads: they never wait for the joining.
        """
        requests = [self._compiled.create_infer_request() for _ in range(self._streams + 1)]
        values = np.ascontiguousarray(images.numpy())
        for index in range(len(values) + len(requests)):
            request = requests[index % len(requests)]
            done = index - len(requests)
            if done >= 0:
                request.wait()
                yield torch.from_numpy(request.get_output_tensor().data)
                on_progress("network", done + 1, len(values))
            else:
                on_progress("network", 0, len(values))
            if index < len(values):
                request.start_async({0: values[index : index + 1]}, share_inputs=True)


def _covnet_graph(network: Covnet, size: int) -> Any:
    """Last feature maps (1, 2048, h, w) of one slice (1, 1, size, size), as `Covnet` has them."""
    ops = package().opset13
    slices = ops.parameter([1, 1, size, size], np.float32, name="slices")
    return package().Model([resnet_maps(ops, slices, network)], [slices], "covnet")
