"""The weights that a training starts from."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from inference.errors import BundleError

_HEAD_DEVIATION = 0.01
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_COUNTER = ".num_batches_tracked"


def he_initialise(network: nn.Module, seed: int) -> None:
    """He et al. 2015 ("Delving Deep into Rectifiers", equation 15) for convolutions; linear layers
    normal with deviation 0.01; norms pass their input on. The same for the same seed."""
    chance = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, _CONVOLUTIONS):
            fan_out = layer.weight[0, 0].numel() * layer.out_channels
            nn.init.normal_(layer.weight, 0.0, (2.0 / fan_out) ** 0.5, generator=chance)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, _HEAD_DEVIATION, generator=chance)
        if isinstance(layer, (*_CONVOLUTIONS, nn.Linear)) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def load_initial(network: nn.Module, path: Path, without: Collection[str] = ()) -> None:
    """Put a safetensors file into the network, all but the parameters `without`.

    Parameters of these names in the file are passed over; the counters of batches, which older
    files do not have, may be missing.

    Raises:
        BundleError: any other parameter is missing, unknown or of another shape; names each.
    """
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BundleError(path.name, (f"is no file of weights: {error}",)) from error
    wanted = {k: v for k, v in network.state_dict().items() if k not in without}
    given = {k: v for k, v in found.items() if k not in without}
    problems = [
        f"parameter {name} is missing"
        for name in wanted
        if name not in given and not name.endswith(_COUNTER)
    ]
    problems += [f"parameter {name} is unknown" for name in given if name not in wanted]
    problems += [
        f"{name} is {tuple(given[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    if problems:
        raise BundleError(path.name, tuple(problems))
    network.load_state_dict(given, strict=False)
