"""The task `covnet`: COVNet (Li et al. 2020) taught by labelled scans."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from inference.covnet.network import CLASSES, Covnet
from inference.files import file_digest
from inference.networks.resnet import Bottleneck
from inference.training.augment import change_values, move
from inference.training.covnet.data import (
    NEGATIVE,
    Bags,
    CovnetScan,
    draw_bags,
    prepare_scan,
)
from inference.training.covnet.losses import (
    bag_maxima,
    heat_loss,
    map_loss,
    map_targets,
    scan_loss,
    slice_loss,
)
from inference.training.covnet.norms import estimate, freeze
from inference.training.covnet.settings import CovnetSettings, covnet_settings
from inference.training.covnet.validation import validate
from inference.training.initial import he_initialise, load_initial
from inference.training.plan import Example, Options, PreparedScan
from inference.training.scan import Split
from inference.training.task import Losses, Stage, Trained, Validation

_HEAD = ("fc.weight", "fc.bias")
_HEAD_DEVIATION = 0.02
_NORM_BATCHES = 12
"""Batches that BatchNorm's final statistics are the mean of."""
_NORM_CHANCE = 1
"""Beside the seed, so that those are other batches than a step's."""


class CovnetPlan:
    """COVNet before its data are there."""

    name = "covnet"

    def __init__(self, options: Options) -> None:
        """
        Raises:
            ValueError: options that cannot be.
        """
        self.settings = covnet_settings(options, file_digest(options.init))
        self._options = options

    @property
    def preparation(self) -> Mapping[str, object]:
        return {
            "task": self.name,
            "preprocessing": asdict(self.settings.preprocessing),
            "sizes": sorted({stage.size for stage in self.settings.stages}),
            "lungs": self.settings.lungs,
            "given_lungs": self.settings.given_lungs,
        }

    def prepare(self, example: Example) -> dict[str, Tensor]:
        """As `data.prepare_scan`; lungs as they are found in use, of some scans as given."""
        scan = example.load()
        given = scan.lungs if _chance(example.scan) < self.settings.given_lungs else None
        lungs = self._options.find_lungs(scan.volume) if given is None else given
        return prepare_scan(scan, example.label, lungs, self.settings)

    def problems(self, data: Mapping[Split, Sequence[Example]]) -> Sequence[str]:
        there = {example.label for example in data[Split.TRAINING]}
        return [f"no training scan of class {name!r}" for name in CLASSES if name not in there]

    def task(self, data: Mapping[Split, Sequence[PreparedScan]]) -> CovnetTask:
        return CovnetTask(
            self.settings,
            [CovnetScan.of(scan) for scan in data[Split.TRAINING]],
            [CovnetScan.of(scan) for scan in data[Split.VALIDATION]],
            partial(_new_network, self.settings, self._options),
        )


def _chance(scan: str) -> float:
    """From 0 to 1, always the same for a scan, whatever others are there."""
    return int.from_bytes(hashlib.sha256(scan.encode()).digest()[:4]) / 2**32


def covnet_plan(options: Options) -> CovnetPlan:
    """The plan of the task.

    Raises:
        ValueError: options that cannot be.
    """
    return CovnetPlan(options)


def _new_network(settings: CovnetSettings, options: Options) -> Covnet:
    """All but the last layer from `init`, where it is given."""
    network = Covnet(len(CLASSES))
    he_initialise(network, settings.seed)
    _begin_head(network.fc, settings.seed)
    _quieten(network)
    if options.init is not None:
        load_initial(network, options.init, without=_HEAD)
    return network


def _begin_head(head: nn.Linear, seed: int) -> None:
    """Small weights whose sum is nothing for each class.

    The joined features are all positive and rise and fall together: what the sum of weights says
    to them is no evidence, but would drown it.
    """
    chance = torch.Generator().manual_seed(seed)
    drawn = torch.randn(head.weight.shape, generator=chance) * _HEAD_DEVIATION
    with torch.no_grad():
        head.weight.copy_(drawn - drawn.mean(dim=1, keepdim=True))


def _quieten(network: Covnet) -> None:
    """Each residual branch begins as nothing (Goyal et al. 2017, section 5.1, "initialization")."""
    for block in network.modules():
        if isinstance(block, Bottleneck):
            nn.init.zeros_(cast("nn.BatchNorm2d", block.bn3).weight)


class CovnetTask:
    """COVNet with its scans."""

    def __init__(
        self,
        settings: CovnetSettings,
        training: Sequence[CovnetScan],
        validation: Sequence[CovnetScan],
        new_network: partial[Covnet],
    ) -> None:
        self.settings = settings
        self.stages = settings.schedule
        self._validation = validation
        self._new_network = new_network
        self.by_class = {
            label: [scan for scan in training if scan.label == label]
            for label in sorted({scan.label for scan in training})
        }

    def network(self) -> Covnet:
        return self._new_network()

    def weights(self, network: nn.Module) -> Mapping[str, Tensor]:
        return network.state_dict()

    def restore(self, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
        network.load_state_dict(dict(weights), strict=True)

    def trained(self, network: nn.Module, _stage: Stage) -> Iterable[Trained]:
        for name, parameter in network.named_parameters():
            yield parameter, self.settings.head_rate if name in _HEAD else 1.0

    def begin_step(self, network: nn.Module, stage: Stage, step: int) -> None:
        """BatchNorm follows the batches of the first stage; each later one keeps the statistics
        that its first weights have over many batches, as a step there has few scans."""
        if stage == self.stages[0]:
            return
        if step == 0:
            estimate(network, self._norm_batches(stage), partial(self._through, network))
        freeze(network)

    def batch(self, stage: Stage, random: np.random.Generator) -> Bags:
        return draw_bags(self.by_class, self.settings.stage(stage.name), self.settings, random)

    def loss(self, network: nn.Module, batch: Bags, device: torch.device) -> Losses:
        covnet = _covnet(network)
        images, lesions = augmented(batch, device)
        maps = covnet.feature_maps(images)  # (n, 2048, h, w)
        pooled = maps.mean(dim=(2, 3))
        slices = torch.bincount(batch.bag, minlength=len(batch.labels)).tolist()
        joined = bag_maxima(pooled, slices)
        evidence = conv2d(maps, covnet.fc.weight[:NEGATIVE, :, None, None])
        targets = map_targets(lesions, batch.known.to(device), maps.shape[-2:])
        settings = self.settings
        parts = {
            "loss of scans": scan_loss(
                covnet.logits(joined),
                batch.labels.to(device),
                batch.usual,
                settings.label_smoothing,
            ),
            "loss of slices": slice_loss(covnet.logits(pooled), batch.slice_labels.to(device)),
            "loss of maps": map_loss(evidence.float(), targets),
        }
        weights = [1.0, settings.slice_weight, settings.map_weight]
        if max(slices) > 1:  # the heat of a single slice is its map
            by_scan, own = torch.split(maps, slices), torch.split(targets.own, slices)
            parts["loss of heat"] = heat_loss(by_scan, batch.labels.tolist(), own, covnet.fc.weight)
            weights.append(settings.heat_weight)
        total = sum(w * part for w, part in zip(weights, parts.values(), strict=True))
        return Losses(torch.as_tensor(total), parts)

    def validate(self, network: nn.Module, stage: Stage, device: torch.device) -> Validation:
        size = self.settings.stage(stage.name).size
        result = validate(_covnet(network), self._validation, size, self.settings, device)
        preprocessing = replace(self.settings.preprocessing, size=size)
        extra = {"preprocessing": asdict(preprocessing), "classes": list(CLASSES)}
        return replace(result, extra={**result.extra, **extra})

    def _norm_batches(self, stage: Stage) -> Iterator[Bags]:
        for number in range(_NORM_BATCHES):
            seeds = np.random.SeedSequence([self.settings.seed, _NORM_CHANCE, number])
            yield self.batch(stage, np.random.Generator(np.random.PCG64(seeds)))

    def _through(self, network: nn.Module, batch: Bags) -> None:
        device = next(network.parameters()).device
        _covnet(network).feature_maps(augmented(batch, device)[0])


def augmented(batch: Bags, device: torch.device) -> tuple[Tensor, Tensor]:
    """Images float32 (n, 1, size, size) and lesions float32 (n, classes, h, w), moved alike."""
    images, lesions = batch.images.to(device).float(), batch.lesions.to(device).float() / 255
    geometry = batch.geometry[batch.bag].to(device)
    intensity = batch.intensity[batch.bag].to(device)
    moved = move(images, geometry)
    return change_values(moved, intensity, batch.noise_seed), move(lesions, geometry)


def _covnet(network: nn.Module) -> Covnet:
    if not isinstance(network, Covnet):
        raise TypeError(f"{type(network).__name__} is no COVNet")
    return network
