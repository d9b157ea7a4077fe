"""Training of the task `lungs`: a U-net, slice by slice, on masks of the lungs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from inference.files import file_digest
from inference.networks.unet import Unet
from inference.training.initial import he_initialise, load_initial
from inference.training.lungs.augmentation import augment_labelled
from inference.training.lungs.data import lung_slices
from inference.training.lungs.settings import LungSettings, lung_settings
from inference.training.overlap_losses import classes_loss
from inference.training.plan import Example, Options, PreparedScan
from inference.training.scan import Split
from inference.training.task import Losses, Stage, Validation

AT_ONCE = 8
"""Slices at once in validation."""


class LungBatch(NamedTuple):
    """`images`: float32 (n, 1, size, size), 0 to 1; `labels`: int64 (n, size, size)."""

    images: Tensor
    labels: Tensor


class LungPlan:
    """The task `lungs` before its data are there."""

    name = "lungs"

    def __init__(self, options: Options) -> None:
        """
        Raises:
            ValueError: options that cannot be.
        """
        self.settings = lung_settings(options, file_digest(options.init))
        self._init = options.init

    @property
    def preparation(self) -> Mapping[str, object]:
        """All that the prepared tensors depend on, beside the scan itself."""
        return {
            "preprocessing": asdict(self.settings.preprocessing),
            "classes": len(self.settings.classes),
            "slices": self.settings.slices,
        }

    def prepare(self, example: Example) -> dict[str, Tensor]:
        """As `lung_slices`.

        Raises:
            NoLungsError: a scan without a mask.
        """
        chosen = self.settings
        scan = example.load()
        return lung_slices(scan, chosen.preprocessing, len(chosen.classes), chosen.slices)

    def problems(self, _data: Mapping[Split, Sequence[Example]]) -> Sequence[str]:
        """None: scans without lungs are told when they are prepared."""
        return ()

    def task(self, data: Mapping[Split, Sequence[PreparedScan]]) -> LungTask:
        """The task with its data."""
        return LungTask(self.settings, data, self._init)


def lungs_plan(options: Options) -> LungPlan:
    """The plan of the task.

    Raises:
        ValueError: options that cannot be.
    """
    return LungPlan(options)


class LungTask:
    """Batches, loss and validation of the U-net."""

    def __init__(
        self,
        settings: LungSettings,
        data: Mapping[Split, Sequence[PreparedScan]],
        init: Path | None,
    ) -> None:
        self._settings = settings
        self._init = init
        self._training = data[Split.TRAINING]
        self._validation = data[Split.VALIDATION]
        self._lung_pixels = [scan.tensor("lung_pixels").numpy() for scan in self._training]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One."""
        return (self._settings.stage,)

    def network(self) -> nn.Module:
        """A new U-net, the same for the same seed.

        Raises:
            BundleError: as `load_initial`.
        """
        network = Unet(len(self._settings.classes), self._settings.width)
        he_initialise(network, self._settings.seed)
        if self._init is not None:
            load_initial(network, self._init)
        return network

    def weights(self, network: nn.Module) -> Mapping[str, Tensor]:
        """All of the U-net."""
        return network.state_dict()

    def restore(self, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Put such weights back."""
        network.load_state_dict(dict(weights), strict=True)

    def trained(self, network: nn.Module, _stage: Stage) -> Iterable[nn.Parameter]:
        """All of the U-net."""
        return network.parameters()

    def begin_step(self, _network: nn.Module, _stage: Stage, _step: int) -> None:
        """Nothing: the BatchNorms learn their statistics to the end, from slices of many scans."""

    def batch(self, _stage: Stage, random: np.random.Generator) -> LungBatch:
        """Every scan is as likely as another, its slices with lung `with_lung` of the time."""
        picked = [self._pick(random) for _ in range(self._settings.batch)]
        images, labels = (
            torch.cat([scan.rows(name, [at]) for scan, at in picked])
            for name in ("images", "labels")
        )
        chosen = self._settings
        changed = augment_labelled(
            _scaled(images), labels, len(chosen.classes), random, chosen.augmentation
        )
        return LungBatch(*changed)

    def _pick(self, random: np.random.Generator) -> tuple[PreparedScan, int]:
        scan = int(random.integers(len(self._training)))
        pixels = self._lung_pixels[scan]
        if random.random() < self._settings.with_lung:
            return self._training[scan], int(random.choice(np.flatnonzero(pixels)))
        return self._training[scan], int(random.integers(len(pixels)))

    def loss(self, network: nn.Module, batch: LungBatch, device: torch.device) -> Losses:
        """Cross-entropy and the Dice loss of the lungs."""
        images, labels = (each.to(device) for each in batch)
        return Losses(classes_loss(network(images), labels))

    def validate(self, network: nn.Module, _stage: Stage, device: torch.device) -> Validation:
        """`dice`: of lung, either side; `sides`: of right and left; means over the scans.

        The score is the mean of both.
        """
        found = [_overlaps(network, scan, device) for scan in self._validation]
        dice, sides = (float(np.mean(each)) for each in zip(*found, strict=True))
        chosen = self._settings
        extra = {"preprocessing": asdict(chosen.preprocessing), "classes": list(chosen.classes)}
        return Validation((dice + sides) / 2, {"dice": dice, "sides": sides}, extra)


def _overlaps(network: nn.Module, scan: PreparedScan, device: torch.device) -> tuple[float, float]:
    """Dice coefficient of lung, and the mean of those of each class of lung."""
    images, labels = scan.tensor("images"), scan.tensor("labels")
    logits = [network(_scaled(part).to(device)) for part in torch.split(images, AT_ONCE)]
    found = torch.cat([each.argmax(dim=1).to(torch.uint8).cpu() for each in logits])
    classes = range(1, logits[0].shape[1])
    by_class = [dice(found == each, labels == each) for each in classes]
    return dice(found > 0, labels > 0), float(np.mean(by_class))


def dice(found: Tensor, truth: Tensor) -> float:
    """Twice the common part over the sum, of bool tensors; 1 where both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0


def _scaled(images: Tensor) -> Tensor:
    """From bytes (n, size, size) to float32 (n, 1, size, size), 0 to 1."""
    return images[:, None].float() / 255
