"""A stand-in for bfloat16 where no hardware computes it: float32 whose values are rounded.

Weights, and what goes into and comes out of each layer, are rounded to bfloat16; sums are of
float32, as those of AMX are. It shows the order of what bfloat16 changes and proves nothing: a
library rounds in other places than these.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn


def rounded(values: Tensor) -> Tensor:
    """To 8 bits, as float32."""
    return values.bfloat16().float()


def emulate(computing: object) -> None:
    """Have all networks of a loaded method, or of a network for lungs, round so from now on.

    It must compute by PyTorch on a CPU.
    """
    for module in _networks(vars(computing)["_backend"]):
        for parameter in module.parameters():
            if parameter.ndim > 1:  # biases stay as they are, in OpenVINO too
                parameter.data = rounded(parameter.data)
        for layer in module.modules():
            if not list(layer.children()):
                layer.register_forward_pre_hook(_round_inputs)
                layer.register_forward_hook(_round_output)


def _networks(backend: object) -> Iterator[nn.Module]:
    return (each for each in vars(backend).values() if isinstance(each, nn.Module))


def _round_inputs(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(map(rounded, inputs))


def _round_output(_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return rounded(output)
