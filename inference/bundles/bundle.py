"""A bundle: a folder with `card.toml` and the weights (safetensors) that the card describes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from inference.bundles.card import TASK, Card, read_card
from inference.bundles.tasks import TASKS, EngineOptions
from inference.errors import BundleError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inference.findings import Method

CARD = "card.toml"

Settings = TypeVar("Settings")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle: the weights are those that the card names, and fit the network."""

    folder: Path
    card: Card
    weights: Mapping[str, Tensor]

    def network(self) -> nn.Module:
        """The task's network with these weights, which it takes over without a copy; on the CPU."""
        import torch

        with torch.device("meta"):
            network = TASKS[self.card.task].build(len(self.card.classes), self.weights)
        network.load_state_dict(dict(self.weights), strict=True, assign=True)
        return network

    def settings(self, kind: type[Settings], task: str) -> Settings:
        """What the card says about the input; BundleError when it is not of this `task`."""
        settings = self.card.preprocessing
        if not isinstance(settings, kind):
            problem = f"card.toml: task {self.card.task!r} is not {task!r}"
            raise BundleError(self.folder.name, (problem,))
        return settings

    def method(self, options: EngineOptions) -> Method:
        """The method that the bundle is, ready to analyse.

        Raises:
            BundleError: the bundle does not fit its task, or a class has no code.
            DeviceError: the device or software asked for is not there.
        """
        return cast("Method", TASKS[self.card.task].engine_of()(self, options))


def load_bundle(folder: Path) -> Bundle:
    """Read and verify: digest, names, shapes and types of the parameters, number of classes.

    The weights are digested and parsed from the same bytes, so that a file exchanged in between
    does not pass.

    Raises:
        BundleError: something differs; says all that does.
    """
    card = load_card(folder)
    data = _read(folder, card.weights)
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.weights_sha256:
        problem = f"{card.weights}: sha256 is {digest}, the card says {card.weights_sha256}"
        raise BundleError(folder.name, (problem,))
    weights = _parse(data, folder.name, card.weights)
    if problems := weights_problems(weights, len(card.classes), card.task):
        raise BundleError(folder.name, problems)
    return Bundle(folder, card, weights)


def load_card(folder: Path) -> Card:
    """The card alone, without torch and without a look at the weights.

    Raises:
        BundleError
    """
    return read_card(_read(folder, CARD).decode("utf-8", errors="replace"), folder.name)


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise BundleError(folder.name, (f"{name}: {error.strerror}",)) from error


def _parse(data: bytes, folder_name: str, name: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        weights = load(data)
    except SafetensorError as error:
        raise BundleError(folder_name, (f"{name} is not safetensors: {error}",)) from error
    return {key: widened(value) for key, value in weights.items()}


def widened(weight: Tensor) -> Tensor:
    """Weights may be kept in half precision; what computes with them starts from float32."""
    import torch

    return weight.float() if weight.dtype == torch.float16 else weight


def weights_problems(
    weights: Mapping[str, Tensor], classes: int, task: str = TASK
) -> tuple[str, ...]:
    """How the weights differ from the task's network of so many classes; empty when they fit."""
    import torch

    with torch.device("meta"):
        expected = TASKS[task].build(classes, weights).state_dict()
    problems = [f"parameter {name} is missing" for name in expected if name not in weights]
    problems += [f"parameter {name} is unknown" for name in weights if name not in expected]
    for name in (name for name in expected if name in weights):
        wanted, found = expected[name], weights[name]
        if wanted.shape != found.shape:
            problems.append(f"{name} is {tuple(found.shape)}, not {tuple(wanted.shape)}")
        elif wanted.dtype != found.dtype:
            problems.append(f"{name} is {found.dtype}, not {wanted.dtype}")
        elif not np.isfinite(found.detach().cpu().numpy()).all():  # of one thread, quicker
            problems.append(f"{name} holds values that are not finite")
    return tuple(problems)
