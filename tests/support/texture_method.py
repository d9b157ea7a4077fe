"""A third method, of another kind than the shipped ones: does the lung look smooth or coarse?

A small classifier of slices, with classes, codes and settings of its own. Nothing of the node
knows it: `TASK` in the table of tasks and a bundle are all that it takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from inference.bundles.bundle import Bundle
from inference.bundles.tasks import EngineOptions, Task
from inference.findings import (
    Answer,
    FindingClass,
    Findings,
    MethodTitle,
    ModelIdentity,
    RowColumnBox,
    SliceActivation,
)
from inference.progress import Progress, StageClock, no_progress
from inference.volume import CtVolume
from support.bundles import write_bundle
from support.untrained import untrained_card

HERE = "support.texture_method"
TASK = Task("texture", f"{HERE}:TextureNetwork", f"{HERE}:TextureInput", f"{HERE}:load")
CLASSES = (
    FindingClass("smooth parenchyma", "SMOOTH", "99TEXTURE", "Smooth lung parenchyma", "SMOOTH"),
    FindingClass("reticular pattern", "RETICULAR", "99TEXTURE", "Reticular pattern", "RETICULAR"),
)


@dataclass(frozen=True)
class TextureInput:
    """What the card says about the input."""

    size: int = 64
    """Rows and columns that the network sees."""

    def problems(self) -> tuple[str, ...]:
        return () if self.size % 16 == 0 else (f"size {self.size} is not a multiple of 16",)


class TextureNetwork(nn.Module):
    """Two convolutions, means over all that is seen, one linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 4, stride=4)
        self.second = nn.Conv2d(4, 8, 4, stride=4)
        self.fc = nn.Linear(8, classes)

    def maps(self, images: Tensor) -> Tensor:
        """Images (n, 1, size, size) to maps (n, 8, size / 16, size / 16)."""
        found: Tensor = self.second(self.first(images).relu()).relu()
        return found


class TextureMethod:
    """What the node is given of it."""

    title = MethodTitle("texture", "classification of the texture", "by texture", "by texture")

    def __init__(self, network: TextureNetwork, bundle: Bundle, options: EngineOptions) -> None:
        self._network = network
        self._size = cast("TextureInput", bundle.card.preprocessing).size
        self._classes = bundle.card.finding_classes
        self._identity = bundle.card.identity_at(options.use_here)

    @property
    def identity(self) -> ModelIdentity:
        return self._identity

    def analyse(
        self, volume: CtVolume, lungs: NDArray[np.bool_], progress: Progress | None = None
    ) -> Findings:
        """Means over the slices with lung; the heat is the class activation of each of them."""
        clock, on_progress = StageClock(), progress or no_progress
        with clock.stage("network"), torch.inference_mode():
            indices = np.flatnonzero(lungs.any(axis=(1, 2))).tolist()
            seen = torch.from_numpy(np.where(lungs, volume.hu, -1024)[indices].astype(np.float32))
            images = interpolate(seen[:, None] / 1024, (self._size, self._size))
            maps = self._network.maps(images)
            on_progress("texture", len(indices), len(indices))
            logits = self._network.fc(maps.mean(dim=(0, 2, 3))).double()
            probabilities = tuple(torch.softmax(logits, dim=0).tolist())
            answer = Answer.of_probabilities(self._classes, probabilities)
            weights = self._network.fc.weight[answer.winner]
            cams = torch.einsum("c,nchw->nhw", weights, maps).relu()
        box = RowColumnBox(0, 0, *volume.hu.shape[1:])
        total, top = float(cams.sum()) or 1.0, float(cams.max()) or 1.0
        heat = tuple(
            SliceActivation(index, box, (cam / top).numpy(), float(cam.sum()) / total)
            for index, cam in zip(indices, cams, strict=True)
        )
        return Findings(self.title, self.identity, answer, clock.seconds, heat)


def load(bundle: Bundle, options: EngineOptions) -> TextureMethod:
    """As the table of tasks asks for it."""
    network = TextureNetwork(len(bundle.card.classes))
    network.load_state_dict(dict(bundle.weights))
    return TextureMethod(network, bundle, options)


def make_texture_bundle(folder: Path, seed: int = 7) -> Path:
    """A bundle of seeded weights; `TASK` must be in the table."""
    names = tuple(each.name for each in CLASSES)
    card = replace(untrained_card("Texture untrained", TASK.name, names, 0), codes=CLASSES)
    random = np.random.Generator(np.random.PCG64(seed))
    weights = {
        name: torch.from_numpy(random.standard_normal(tuple(each.shape), np.float32))
        for name, each in TextureNetwork(len(CLASSES)).state_dict().items()
    }
    return write_bundle(folder, card, weights)
