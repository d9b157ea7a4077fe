"""A bundle without training: seeded weights, so that all but the meaning of the result is real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from inference.bundles.bundle_writer import WEIGHTS, put_bundle
from inference.bundles.card import TASK, Card
from inference.bundles.tasks import TASKS
from inference.covnet.network import CLASSES, Covnet
from inference.covnet.preprocess import Preprocessing
from inference.findings import IntendedUse, Training

BRANCH_SCALE = 0.5
"""Scale of each residual branch's last BatchNorm: with 1, untrained sums double at each block."""
LINEAR_DEVIATION = 0.35
"""Standard deviation of the linear layer: on real chests the logits then differ by 1 to 2."""


def make_untrained_bundle(folder: Path, seed: int = 0, size: int = Preprocessing().size) -> Path:
    """Make the bundle in `folder`, which it returns; the weights are PCG64's from `seed`.

    `size`: of the images that the network is shown, pixels.
    """
    card = untrained_card("COVNet untrained", TASK, CLASSES, seed)
    put_bundle(folder, replace(card, preprocessing=Preprocessing(size=size)), draw_covnet(seed))
    return folder


def untrained_card(name: str, task: str, classes: tuple[str, ...], seed: int) -> Card:
    """A card that says what such weights are; without digest, which `put_bundle` enters."""
    return Card(
        name=name,
        version=f"0.{seed}",
        task=task,
        classes=classes,
        training=Training.UNTRAINED,
        use=IntendedUse.DEMONSTRATION,
        intended_use="Shows and tests the whole way of a series. No clinical meaning.",
        licence="CC0-1.0",
        weights=WEIGHTS,
        weights_sha256="",
        preprocessing=TASKS[task].settings_type()(),
    )


def draw_covnet(seed: int) -> dict[str, Tensor]:
    """He et al. 2015 ("Delving Deep into Rectifiers", equation 15): normal, variance 2 / fan-out.

    BatchNorms pass their input on, but each branch ends scaled by BRANCH_SCALE.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    with torch.device("meta"):
        shapes = Covnet(len(CLASSES)).state_dict()
    return {name: _parameter(name, like, random) for name, like in shapes.items()}


def _parameter(name: str, like: Tensor, random: np.random.Generator) -> Tensor:
    if name == "fc.weight":
        deviation = LINEAR_DEVIATION
    elif like.ndim == 4:
        outputs, _, rows, columns = like.shape
        deviation = (2.0 / (outputs * rows * columns)) ** 0.5
    else:
        return torch.full(like.shape, _constant(name), dtype=like.dtype)
    drawn = random.standard_normal(tuple(like.shape), np.float32) * np.float32(deviation)
    return torch.from_numpy(drawn)


def _constant(name: str) -> float:
    """BatchNorm's scale, shift, mean and variance, and the linear layer's bias."""
    if name.endswith("bn3.weight"):
        return BRANCH_SCALE
    is_scale = name.endswith("weight") or name.endswith("running_var")
    return 1.0 if is_scale else 0.0
