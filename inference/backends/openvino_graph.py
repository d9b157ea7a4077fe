"""Pieces of OpenVINO graphs that networks are built of, operation by operation (opset 13).

From networks whose BatchNorms are folded: no file is converted, nothing is traced.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from inference.networks.resnet import BasicBlock, Bottleneck

if TYPE_CHECKING:
    from inference.networks.resnet import ResNet


def package() -> Any:
    """OpenVINO without its telemetry.

    As it comes, importing it reports the import to its makers' analytics; without that package,
    which only its converter needs, it works the same and reports nothing.

    Raises:
        ImportError: it is not installed.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def resnet_maps(ops: Any, slices: Any, network: ResNet) -> Any:
    """Last feature maps (n, 512 or 2048, h, w) of slices (n, 1, size, size).

    Three equal channels under the first convolution are one channel under the sum of its weights.
    """
    if not isinstance(network.conv1, nn.Conv2d):
        raise TypeError("the first convolution is none")
    one_channel = network.conv1.weight.detach().sum(dim=1, keepdim=True)
    x = ops.relu(convolution(ops, slices, network.conv1, one_channel))
    x = ops.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        for block in stage:
            x = _block(ops, x, block)
    return x


def _block(ops: Any, x: Any, block: nn.Module) -> Any:
    if not isinstance(block, BasicBlock | Bottleneck):
        raise TypeError(f"{type(block).__name__} is no block of a ResNet")
    shortcut = x if block.downsample is None else convolution(ops, x, block.downsample[0])
    out = convolution(ops, ops.relu(convolution(ops, x, block.conv1)), block.conv2)
    if isinstance(block, Bottleneck):
        out = convolution(ops, ops.relu(out), block.conv3)
    return ops.relu(ops.add(out, shortcut))


def convolution(ops: Any, x: Any, layer: nn.Module, weight: Tensor | None = None) -> Any:
    """A convolution in two or three dimensions with its bias; `weight` stands for its own."""
    if not isinstance(layer, nn.Conv2d | nn.Conv3d) or layer.bias is None:
        raise TypeError("the BatchNorms are not folded into the convolutions")
    kernel = ops.constant(values(layer.weight if weight is None else weight))
    padding = [int(each) for each in layer.padding]
    out = ops.convolution(x, kernel, list(layer.stride), padding, padding, list(layer.dilation))
    return add_by_channel(ops, out, layer.bias)


def add_by_channel(ops: Any, x: Any, bias: Tensor) -> Any:
    """`bias` (channels,) added to maps (n, channels, …) in two or three dimensions."""
    axes = x.get_output_partial_shape(0).rank.get_length() - 2
    return ops.add(x, ops.constant(values(bias.reshape(1, -1, *[1] * axes))))


def linear(ops: Any, x: Any, layer: nn.Linear) -> Any:
    """A fully connected layer: (n, inputs) to (n, outputs)."""
    product = ops.matmul(x, ops.constant(values(layer.weight)), False, True)
    return ops.add(product, ops.constant(values(layer.bias[None])))


def values(parameter: Tensor) -> Any:
    """A parameter as numpy's float32."""
    return parameter.detach().float().contiguous().numpy()
