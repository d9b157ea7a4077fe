"""Bundles written by a test, of any task."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from inference.bundles.bundle import CARD
from inference.bundles.card import Card
from inference.bundles.tasks import LUNG_CLASSES
from inference.findings import IntendedUse, Training
from inference.lungs.lung_input import LungInput

WEIGHTS = "weights.safetensors"

LUNG_CARD: Card = Card(
    name="Lung U-net",
    version="1.0",
    task="lungs",
    classes=LUNG_CLASSES[1],
    training=Training.DEMONSTRATION,
    intended_use="Learned from phantoms, for the tests.",
    licence="CC0-1.0",
    weights=WEIGHTS,
    weights_sha256="0" * 64,
    preprocessing=LungInput(size=48),
    use=IntendedUse.DEMONSTRATION,
)


def write_bundle(folder: Path, card: Card, weights: Mapping[str, Tensor]) -> Path:
    """The bundle in a new folder, its digest that of the weights; returns the folder."""
    data = save({name: value.contiguous() for name, value in weights.items()})
    named = replace(card, weights=WEIGHTS, weights_sha256=hashlib.sha256(data).hexdigest())
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(data)
    (folder / CARD).write_text(named.as_toml(), encoding="utf-8")
    return folder
