"""A run's state on disk: network, Adam's moments, and where the run stands. No pickle.

`state.json` names the file of tensors that belongs to it and is put in place last, in one rename:
a kill at any moment leaves the state before or the state after.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim import Optimizer

from inference.files import write_json, write_whole

STATE = "state.json"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass
class Position:
    """Where a run stands: `step` steps of stage number `stage` are done.

    `best_score`: of this stage; `sums`, `summed`: of the losses since the last line of the curves;
    `seconds`: spent on training so far; `scaler`: state of the gradient scaler, if there is one.
    """

    stage: int = 0
    step: int = 0
    best_score: float | None = None
    sums: dict[str, float] = field(default_factory=dict)
    summed: int = 0
    seconds: float = 0.0
    scaler: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    folder: Path, network: nn.Module, optimiser: Optimizer, position: Position
) -> None:
    """Write the whole state; the one before goes only when this one is in place."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"state-{position.stage}-{position.step:07d}.safetensors"
    write_whole(folder / name, save(_tensors(network, optimiser)))
    write_json(folder / STATE, {"tensors": name, "position": asdict(position)})
    for old in folder.glob("state-*.safetensors"):
        if old.name != name:
            old.unlink()


def load_position(folder: Path) -> Position | None:
    """Where the run stands; None when it has not begun."""
    state = _state(folder)
    return None if state is None else Position(**state["position"])


def load_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of the state that is there, on the CPU."""
    state = _state(folder)
    if state is None:
        raise FileNotFoundError(folder / STATE)
    return load_file(folder / state["tensors"])


def restore_network(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Parameters and buffers as they were saved; their layout in memory stays the network's."""
    network.load_state_dict(_under("network.", tensors), strict=True)


def restore_optimiser(
    optimiser: Optimizer, network: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Adam's moments of the parameters that `optimiser` trains."""
    names = _names(network)
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            kept = _under(f"optimiser.{names[parameter]}.", tensors)
            if kept:
                optimiser.state[parameter] = {
                    key: _like(parameter, value) if value.ndim else value.to(parameter.device)
                    for key, value in kept.items()
                }


def _state(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / STATE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return found


def _tensors(network: nn.Module, optimiser: Optimizer) -> dict[str, Tensor]:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    names = _names(network)
    for parameter, kept in optimiser.state.items():
        moments = {f"optimiser.{names[parameter]}.{key}": kept[key] for key in _MOMENTS}
        tensors |= moments
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _names(network: nn.Module) -> dict[Tensor, str]:
    return {parameter: name for name, parameter in network.named_parameters()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """On the parameter's device and in its layout, so that sums are taken in the same order."""
    return torch.empty_like(parameter).copy_(value)
