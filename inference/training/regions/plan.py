"""Training of the task `regions`: location attention, its two networks one after the other.

First the segmenter, on pieces of the V-Net's grid; then, on what it proposes, the classifier of
patches. Last, on the validation scans, the threshold of a proposal's score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from inference.files import file_digest
from inference.location_attention.network import LocationAttention
from inference.training.initial import load_initial
from inference.training.plan import Example, Options, PreparedScan
from inference.training.regions.classifier_learning import (
    ClassifierLearning,
    PatchBatch,
    classifier_losses,
)
from inference.training.regions.data import StoredGrid, region_tensors
from inference.training.regions.initial import draw_like
from inference.training.regions.mining import mine, score_threshold
from inference.training.regions.segmenter_learning import (
    RegionBatch,
    SegmenterLearning,
    segmenter_losses,
)
from inference.training.regions.settings import SEGMENTER, RegionSettings, region_settings
from inference.training.regions.volume_norms import add_norms, put_back, without_norms
from inference.training.scan import Split
from inference.training.task import Losses, Stage, Validation

HEADS = ("voxel", "objectness", "offsets")
HEAD_SCALE = 0.05
"""Of the drawn weights of the segmenter's heads: they begin by saying nothing of any cell."""


Batch = RegionBatch | PatchBatch


class RegionPlan:
    """The task `regions` before its data are there."""

    name = "regions"

    def __init__(self, options: Options) -> None:
        """
        Raises:
            ValueError: options that cannot be.
        """
        self.settings = region_settings(options, file_digest(options.init))
        self._find_lungs = options.find_lungs
        self._init = options.init

    @property
    def preparation(self) -> Mapping[str, object]:
        """All that the prepared tensors depend on, beside the scan itself."""
        return {
            "preprocessing": asdict(self.settings.preprocessing),
            "classes": list(self.settings.classes),
            "lungs": self.settings.lungs,
        }

    def prepare(self, example: Example) -> dict[str, Tensor]:
        """As `region_tensors`, the lungs found as in use.

        Raises:
            as `region_tensors`.
        """
        scan = example.load()
        lungs = self._find_lungs(scan.volume)
        chosen = self.settings
        return region_tensors(scan, lungs, example.label, chosen.classes, chosen.preprocessing)

    def problems(self, data: Mapping[Split, Sequence[Example]]) -> Sequence[str]:
        """Parts of the data without a scan of each infection."""
        return [
            f"no scan of {name} for {part}"
            for part in (Split.TRAINING, Split.VALIDATION)
            for name in self.settings.classes[:-1]
            if name not in {example.label for example in data.get(part, ())}
        ]

    def task(self, data: Mapping[Split, Sequence[PreparedScan]]) -> RegionTask:
        """The task with its data."""
        return RegionTask(self.settings, data, self._init)


def regions_plan(options: Options) -> RegionPlan:
    """The plan of the task.

    Raises:
        ValueError: options that cannot be.
    """
    return RegionPlan(options)


class RegionTask:
    """Batches, loss and validation of either network, by the stage's name."""

    def __init__(
        self,
        settings: RegionSettings,
        data: Mapping[Split, Sequence[PreparedScan]],
        init: Path | None,
    ) -> None:
        self._settings = settings
        self._data = data
        self._init = init
        self._network: LocationAttention | None = None
        self._segmenter: SegmenterLearning | None = None
        self._classifier: ClassifierLearning | None = None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The segmenter, then the classifier."""
        return self._settings.schedule

    def network(self) -> nn.Module:
        """New, the same for the same seed.

        Raises:
            BundleError: as `load_initial`.
        """
        chosen = self._settings
        made = LocationAttention(len(chosen.classes), chosen.width, chosen.patch_width)
        drawn = draw_like(made, chosen.seed)
        for name in HEADS:
            drawn[f"segmenter.{name}.weight"] *= HEAD_SCALE
        made.load_state_dict(drawn, strict=True)
        if self._init is not None:
            load_initial(made, self._init)  # and norms would undo what these have learned
        else:
            add_norms(made.segmenter.vnet)
        self._network = made
        return made

    def weights(self, network: nn.Module) -> Mapping[str, Tensor]:
        """All of both networks, as they are used."""
        return without_norms(network)

    def restore(self, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Put such weights back."""
        put_back(network, weights)

    def trained(self, network: nn.Module, stage: Stage) -> Iterable[nn.Parameter]:
        """Those of the stage's network."""
        return network.get_submodule(stage.name).parameters()

    def begin_step(self, _network: nn.Module, _stage: Stage, _step: int) -> None:
        """Nothing: a step has many cells, and many patches."""

    def batch(self, stage: Stage, random: np.random.Generator) -> Batch:
        """Of pieces of the grid, or of patches."""
        return self._learning(stage).draw(random)

    def loss(self, network: nn.Module, batch: Batch, device: torch.device) -> Losses:
        """Of the network that the batch is for."""
        located = cast("LocationAttention", network)
        if isinstance(batch, RegionBatch):
            return segmenter_losses(located.segmenter, batch, device)
        return classifier_losses(located.classifier, batch, device)

    def validate(self, network: nn.Module, stage: Stage, device: torch.device) -> Validation:
        """Of the stage's network; with the classifier go the threshold and the temperature."""
        learning = self._learning(stage)
        found = learning.validate(network.get_submodule(stage.name), device)
        if isinstance(learning, SegmenterLearning):
            return found
        calibrated = dict(found.extra)
        threshold = calibrated.pop("score_threshold")
        chosen = replace(self._settings.preprocessing, score_threshold=threshold)
        extra = {"preprocessing": asdict(chosen), "classes": list(self._settings.classes)}
        return replace(found, extra=calibrated | extra)

    def _learning(self, stage: Stage) -> SegmenterLearning | ClassifierLearning:
        return self._of_segmenter() if stage.name == SEGMENTER else self._of_classifier()

    def _of_segmenter(self) -> SegmenterLearning:
        if self._segmenter is None:
            training, validation = (
                [StoredGrid(scan) for scan in self._data[part]]
                for part in (Split.TRAINING, Split.VALIDATION)
            )
            self._segmenter = SegmenterLearning(training, validation, self._settings)
        return self._segmenter

    def _of_classifier(self) -> ClassifierLearning:
        """Made at the stage's first batch, when the network is what the first stage left."""
        if self._classifier is None:
            training, validation = (
                self._mined(part) for part in (Split.TRAINING, Split.VALIDATION)
            )
            usual = self._settings.preprocessing.score_threshold
            self._classifier = ClassifierLearning(
                training, validation, self._settings, score_threshold(validation, usual)
            )
        return self._classifier

    def _mined(self, part: Split) -> list[PreparedScan]:
        if self._network is None:
            raise RuntimeError("the network has not been made yet")
        return mine(self._data[part], self._network.segmenter, self._settings)
