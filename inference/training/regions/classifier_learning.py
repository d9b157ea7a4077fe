"""How location attention's classifier learns: batches of patches, loss, figures on validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from inference.bundles.tasks import NO_INFECTION
from inference.location_attention.votes import PATCHES, verdict, vote
from inference.training.augment import change_values, draw_geometry, draw_intensity, move
from inference.training.calibration import fit_calibration
from inference.training.plan import PreparedScan
from inference.training.regions.mining import sensitivity
from inference.training.regions.settings import RegionSettings
from inference.training.task import Losses, Validation

HIGHEST_THRESHOLD = 0.9
"""Of a score: above it next to nothing is proposed."""
AT_ONCE = 96
"""Patches at once in validation."""


class PatchBatch(NamedTuple):
    """`values`: float32 (n, 1, size, size), 0 to 1; `distances`: float32 (n,), scaled; `classes`:
    int64 (n,)."""

    values: Tensor
    distances: Tensor
    classes: Tensor


def classifier_losses(network: nn.Module, batch: PatchBatch, device: torch.device) -> Losses:
    """Cross-entropy (Xu et al. 2020, section 3.2)."""
    values, distances, classes = (each.to(device) for each in batch)
    return Losses(cross_entropy(network(values, distances).float(), classes))


class ClassifierLearning:
    """What is learned from, and how well it is: scans as `mine` gives them.

    `threshold`: score from which proposals are what the classifier is calibrated on, and the least
    one from which they may count for a case.
    """

    def __init__(
        self,
        training: Sequence[PreparedScan],
        validation: Sequence[PreparedScan],
        settings: RegionSettings,
        threshold: float,
    ) -> None:
        self._training = training
        self._validation = validation
        self._settings = settings
        self._classes = settings.classes
        self._scale = settings.preprocessing.distance_scale
        self._threshold = threshold
        self._places = _places(training)
        is_infection = self._places[:, 2] != settings.irrelevant
        weights = np.where(is_infection, settings.infections_times, 1.0)
        self._chances = weights / weights.sum()

    def draw(self, random: np.random.Generator) -> PatchBatch:
        """Patches of a pneumonia come `infections_times` as often as their number."""
        chosen = self._places[
            random.choice(len(self._places), self._settings.patches, p=self._chances)
        ]
        rows = [self._training[scan].rows for scan, _, _ in chosen]
        values = torch.cat(
            [read("values", [at]) for read, at in zip(rows, chosen[:, 1], strict=True)]
        )
        distances = torch.cat(
            [read("distances", [at]) for read, at in zip(rows, chosen[:, 1], strict=True)]
        )
        changed = self._changed(values[:, None].float() / 255, random)
        return PatchBatch(changed, distances * self._scale, torch.from_numpy(chosen[:, 2].copy()))

    def _changed(self, values: Tensor, random: np.random.Generator) -> Tensor:
        """Clipped, flipped either way (Xu et al. 2020, section 2.4), turned, as if scanned anew."""
        matrices = draw_geometry(self._settings.augmentation, len(values), random)
        matrices[:, 1, :2] *= torch.from_numpy(random.choice([-1.0, 1.0], (len(values), 1))).float()
        intensity = draw_intensity(self._settings.augmentation, len(values), random)
        return change_values(move(values, matrices), intensity, int(random.integers(2**62)))

    def validate(self, network: nn.Module, device: torch.device) -> Validation:
        """By patch, region and case, calibrated on the patches of what was proposed, as in use.

        A pneumonia is drawn more often than it is met: biases take that back. `score_threshold`
        among what belongs to the weights is that of `_case_threshold`, as are the figures. The
        score is minus the cross-entropy of all patches as the network gives them, every class
        counting alike.
        """
        logits = [self._logits(network, scan, device) for scan in self._validation]
        classes = [scan.tensor("classes").repeat_interleave(PATCHES) for scan in self._validation]
        every, truth = torch.cat(logits), torch.cat(classes)
        proposed = torch.cat([_proposed(scan, self._threshold) for scan in self._validation])
        proposed = proposed.repeat_interleave(PATCHES)
        in_use = proposed if proposed.any() else torch.ones_like(proposed)
        calibration = fit_calibration(every[in_use], truth[in_use])
        present = torch.bincount(truth, minlength=len(self._classes)).clamp(min=1)
        loss = float(cross_entropy(every, truth, weight=1.0 / present.float()))
        shares = [torch.softmax(calibration.applied(each), dim=1) for each in logits]
        figures = {
            "loss": loss,
            "patch accuracy": float((torch.cat(shares).argmax(dim=1) == truth).float().mean()),
            "region accuracy": self._region_accuracy(shares),
        }
        figures["case accuracy"], threshold = self._case_threshold(shares)
        figures |= sensitivity(self._validation, threshold)
        return Validation(-loss, figures, asdict(calibration) | {"score_threshold": threshold})

    def _case_threshold(self, shares: Sequence[Tensor]) -> tuple[float, float]:
        """The best part of the cases that is right, and the lowest threshold, in steps of a
        hundredth, at which it is: one candidate too many is one wrong vote that noisy-or keeps."""
        steps = np.arange(self._threshold, HIGHEST_THRESHOLD, 0.01).round(2).tolist()
        right = [(self._case_accuracy(shares, step), -step) for step in steps or [self._threshold]]
        best, negative = max(right)
        return best, -negative

    def _logits(self, network: nn.Module, scan: PreparedScan, device: torch.device) -> Tensor:
        values, distances = scan.tensor("values"), scan.tensor("distances") * self._scale
        pieces = zip(torch.split(values, AT_ONCE), torch.split(distances, AT_ONCE), strict=True)
        found = [network(v[:, None].float().to(device) / 255, d.to(device)) for v, d in pieces]
        return torch.cat([each.float().cpu() for each in found])

    def _region_accuracy(self, shares: Sequence[Tensor]) -> float:
        """Part of the regions whose vote is their class."""
        right = [
            vote(three.tolist()).class_index == wanted
            for scan, each in zip(self._validation, shares, strict=True)
            for three, wanted in zip(
                torch.split(each, PATCHES), scan.tensor("classes").tolist(), strict=True
            )
        ]
        return float(np.mean(right))

    def _case_accuracy(self, shares: Sequence[Tensor], threshold: float) -> float:
        """Part of the scans whose outcome, of what was proposed alone, is their label."""
        right = []
        for scan, each in zip(self._validation, shares, strict=True):
            proposed = _proposed(scan, threshold).tolist()
            threes = zip(torch.split(each, PATCHES), proposed, strict=True)
            votes = [vote(three.tolist()) for three, taken in threes if taken]
            index = verdict(votes, len(self._classes)).class_index
            label = scan.label if scan.label in self._classes[:-1] else NO_INFECTION
            right.append((NO_INFECTION if index is None else self._classes[index]) == label)
        return float(np.mean(right))


def _proposed(scan: PreparedScan, threshold: float) -> Tensor:
    """Of each region, whether it counts for the case: bool (n,)."""
    return scan.tensor("scores") >= threshold


def _places(scans: Sequence[PreparedScan]) -> np.ndarray:
    """Every patch as (scan, row, class): int64 (n, 3)."""
    places = []
    for number, scan in enumerate(scans):
        classes = scan.tensor("classes").numpy().repeat(PATCHES)
        rows = np.arange(len(classes))
        places.append(np.stack((np.full_like(rows, number), rows, classes), axis=1))
    return np.concatenate(places)
