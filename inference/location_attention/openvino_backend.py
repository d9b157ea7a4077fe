"""Location attention on OpenVINO: on a CPU quicker than PyTorch, from the same weights.

Every chest has a grid of its own size, so the segmenter's graphs take any: built for one size each,
they would be compiled again for every patient. Measured, they are as quick as that, and compiled in
a fifth of a second, so quickly that OpenVINO's cache on disk (the size of the weights) took longer.
The precision is always named: by default OpenVINO takes bfloat16 where the processor has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from inference.backends.batches import in_batches
from inference.backends.openvino_graph import (
    add_by_channel,
    convolution,
    linear,
    package,
    resnet_maps,
    values,
)
from inference.backends.precision import Precision
from inference.location_attention.network import Classifier, Context, LocationAttention, Segmenter
from inference.progress import Progress, no_progress

if TYPE_CHECKING:
    from inference.networks.vnet import Down, Stage, Up

TOLERANCE = 1e-3
"""Largest difference from PyTorch in float64: of a probability (of a patch, of a proposal, of
lesion in a voxel), and of an offset; of float32."""
BATCH = 12
"""Patches at once, those of 4 candidates: more was not measurably quicker."""
ANY = -1


class OpenvinoRegions:
    """`network`: folded, float32, on the CPU; it is not changed and not kept."""

    name = "openvino"
    device = "cpu"

    def __init__(
        self,
        network: LocationAttention,
        threads: int | None = None,
        precision: Precision = "f32",
    ) -> None:
        """Build and compile. `threads`: at once; None is as many as torch has."""
        self.precision = precision
        wishes = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
        }
        core = package().Core()
        self._context, self._lesion, self._classes = (
            core.compile_model(graph, "CPU", wishes)
            for graph in (
                context_graph(network.segmenter),
                lesion_graph(network.segmenter),
                classes_graph(network.classifier),
            )
        )

    def context(self, values: Tensor) -> Context:
        """As `RegionBackend.context`."""
        half, quarter, objectness, offsets = _run(self._context, values)
        return Context(half, quarter, objectness, offsets.reshape(1, -1, 6, *offsets.shape[2:]))

    def lesion(self, values: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
        """As `RegionBackend.lesion`."""
        (found,) = _run(self._lesion, values, half, quarter)
        return found[:, 0]

    def logits(
        self, images: Tensor, distances: Tensor, on_progress: Progress = no_progress
    ) -> Tensor:
        """As `RegionBackend.logits`."""

        def of(chosen: Tensor) -> Tensor:
            (found,) = _run(self._classes, images[chosen], distances[chosen])
            return found.clone()

        return torch.cat(
            list(in_batches(of, torch.arange(len(images)), BATCH, on_progress, "classes"))
        )

    def release(self) -> None:
        """As `RegionBackend.release`: some 350 bytes a cell of the largest tile."""
        for compiled in (self._context, self._lesion):
            compiled.release_memory()


def _run(compiled: Any, *inputs: Tensor) -> list[Tensor]:
    """The outputs; void at the next run."""
    request = compiled.create_infer_request()
    given = [np.ascontiguousarray(each.numpy()) for each in inputs]
    request.infer(given, share_inputs=True)
    return [
        torch.from_numpy(request.get_output_tensor(at).data) for at in range(len(compiled.outputs))
    ]


def context_graph(segmenter: Segmenter) -> Any:
    """`Segmenter.context` of one piece; the offsets are still (1, 6 anchors, …)."""
    ops, vnet = package().opset13, segmenter.vnet
    image = ops.parameter([1, 1, ANY, ANY, ANY], np.float32, name="image")
    half = _down(ops, _stage(ops, image, vnet.left1), vnet.left2)
    three = _down(ops, half, vnet.left3)
    four = _down(ops, three, vnet.left4)
    quarter = _up(ops, _down(ops, four, vnet.bottom), four, vnet.right4)
    quarter = _up(ops, quarter, three, vnet.right3)
    shared = ops.relu(convolution(ops, quarter, segmenter.shared))
    heads = [convolution(ops, shared, each) for each in (segmenter.objectness, segmenter.offsets)]
    return package().Model([half, quarter, *heads], [image], "context")


def lesion_graph(segmenter: Segmenter) -> Any:
    """`Segmenter.lesion` of one piece, (1, 1, …), of two classes as the one of their difference."""
    ops, vnet = package().opset13, segmenter.vnet
    channels = vnet.left2.down.out_channels, vnet.right3.up.out_channels * 2
    image, half, quarter = (
        ops.parameter([1, count, ANY, ANY, ANY], np.float32, name=name)
        for count, name in zip((1, *channels), ("image", "half", "quarter"), strict=True)
    )
    fine = _up(ops, quarter, half, vnet.right2)
    fine = _up(ops, fine, _stage(ops, image, vnet.left1), vnet.right1)
    head = nn.Conv3d(fine.get_output_partial_shape(0)[1].get_length(), 1, 1)
    with torch.no_grad():
        for name, into in head.named_parameters():
            background, lesion = segmenter.voxel.get_parameter(name)
            into.copy_((lesion - background).reshape(into.shape))
    return package().Model([convolution(ops, fine, head)], [image, half, quarter], "lesion")


def classes_graph(classifier: Classifier) -> Any:
    """`Classifier.forward` of any number of patches with one channel and of their distances."""
    ops = package().opset13
    patches = ops.parameter([ANY, 1, ANY, ANY], np.float32, name="patches")
    distances = ops.parameter([ANY], np.float32, name="distances")
    pooled = ops.reduce_mean(resnet_maps(ops, patches, classifier.resnet), [2, 3], False)
    x = ops.relu(linear(ops, pooled, classifier.resnet.fc))
    x = ops.relu(linear(ops, x, classifier.narrow))
    x = ops.concat([x, ops.unsqueeze(distances, 1)], 1)
    for layer in (classifier.fc1, classifier.fc2):
        x = ops.relu(linear(ops, x, layer))
    return package().Model([linear(ops, x, classifier.fc3)], [patches, distances], "classes")


def _stage(ops: Any, x: Any, stage: Stage) -> Any:
    out = x
    for layer in stage.branch:
        if isinstance(layer, nn.PReLU):
            out = _prelu(ops, out, layer)
        else:
            out = convolution(ops, out, layer)
    return _prelu(ops, ops.add(out, x), stage.activation)


def _down(ops: Any, x: Any, down: Down) -> Any:
    return _stage(ops, _prelu(ops, convolution(ops, x, down.down), down.activation), down.stage)


def _up(ops: Any, x: Any, left: Any, up: Up) -> Any:
    """2x2x2 deconvolution of stride 2, joined with the left stage's maps."""
    kernel = ops.constant(values(up.up.weight))
    twice, none, one = ([number] * 3 for number in (2, 0, 1))
    out = ops.convolution_backprop_data(x, kernel, twice, None, none, none, one)
    if up.up.bias is not None:
        out = add_by_channel(ops, out, up.up.bias)
    return _stage(ops, ops.concat([_prelu(ops, out, up.activation), left], 1), up.stage)


def _prelu(ops: Any, x: Any, layer: nn.PReLU) -> Any:
    return ops.prelu(x, ops.constant(values(layer.weight)))
