"""The weights that location attention starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from inference.location_attention.network import LocationAttention

BRANCH_SCALE = 0.5
"""Scale of each residual branch's end: with 1, untrained sums double at each block."""
OBJECTNESS_BIAS = -2.4
"""Log-odds of a proposal: few of them then reach the threshold of a candidate."""
_DEVIATION = {
    "segmenter.objectness.weight": 0.2,
    "segmenter.offsets.weight": 0.02,
    "segmenter.voxel.weight": 0.5,
    "classifier.fc3.weight": 0.2,
}
"""Of the layers that give the answers, so that these differ and do not saturate."""


def draw_like(network: LocationAttention, seed: int) -> dict[str, Tensor]:
    """Weights for a network, which is only asked for its shapes and may be on `meta`.

    He et al. 2015 ("Delving Deep into Rectifiers", equation 10): normal, variance 2 / fan-in.
    BatchNorms pass their input on; PReLUs start at 0.25, as there; branches end scaled by
    BRANCH_SCALE.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    ends = _branch_ends(network)
    shapes = network.state_dict()
    return {name: _parameter(name, like, ends, random) for name, like in shapes.items()}


def _branch_ends(network: LocationAttention) -> frozenset[str]:
    """Names of the weights that end a residual branch of the V-Net."""
    from inference.networks.vnet import Stage

    return frozenset(
        f"{name}.branch.{len(stage.branch) - 1}.weight"
        for name, stage in network.named_modules()
        if isinstance(stage, Stage)
    )


def _parameter(
    name: str, like: Tensor, ends: frozenset[str], random: np.random.Generator
) -> Tensor:
    import torch

    if like.ndim < 2:
        return torch.full(like.shape, _constant(name), dtype=like.dtype)
    deviation = _DEVIATION.get(name, (2.0 / (like.numel() / len(like))) ** 0.5)
    if ".up.weight" in name:  # deconvolution: (inputs, outputs, 2, 2, 2), one tap for each output
        deviation = (2.0 / len(like)) ** 0.5
    if name in ends:
        deviation *= BRANCH_SCALE
    drawn = random.standard_normal(tuple(like.shape), np.float32) * np.float32(deviation)
    return torch.from_numpy(drawn)


def _constant(name: str) -> float:
    """PReLU's slope; BatchNorm's scale, shift, mean and variance; biases."""
    if "activation" in name or ".branch." in name:
        return 0.25 if name.endswith("weight") else 0.0
    if name.endswith("bn2.weight"):
        return BRANCH_SCALE
    if name == "segmenter.objectness.bias":
        return OBJECTNESS_BIAS
    return 1.0 if name.endswith(("weight", "running_var")) else 0.0
