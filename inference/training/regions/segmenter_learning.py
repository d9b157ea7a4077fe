"""How the segmenter of location attention learns: batches, loss, and its figures on validation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from inference.training.overlap_losses import voxel_loss
from inference.training.regions.anchors import AnchorTargets, assign
from inference.training.regions.crops import Crop, crop, drawn_crop
from inference.training.regions.data import LESION, Cells, StoredGrid
from inference.training.regions.proposal_losses import objectness_loss, offsets_loss
from inference.training.regions.settings import RegionSettings
from inference.training.task import Losses, Validation

VALIDATION_PIECES = 32
"""Pieces at most that validation looks at, those with the most lesion and as many others."""


class RegionBatch(NamedTuple):
    """`values`, `truth`, `counts`: float32 (n, slices, rows, columns), as in `Crop`; `labels`,
    `offsets`: of the anchors, as in `AnchorTargets`, with n before."""

    values: Tensor
    truth: Tensor
    counts: Tensor
    labels: Tensor
    offsets: Tensor


def segmenter_losses(network: nn.Module, batch: RegionBatch, device: torch.device) -> Losses:
    """The voxel, objectness and offset losses, and their sum."""
    values, truth, counts, labels, offsets = (each.to(device) for each in batch)
    found = network(values[:, None])
    parts = {
        "voxel": voxel_loss(found.lesion, truth, counts),
        "objectness": objectness_loss(found.objectness, labels),
        "offsets": offsets_loss(found.offsets, offsets, labels),
    }
    return Losses(torch.stack(list(parts.values())).sum(), parts)


class SegmenterLearning:
    """What is learned from, and how well it is."""

    def __init__(
        self,
        training: Sequence[StoredGrid],
        validation: Sequence[StoredGrid],
        settings: RegionSettings,
    ) -> None:
        self._training = training
        self._settings = settings
        self._validation = self._pieces(validation)

    def draw(self, random: np.random.Generator) -> RegionBatch:
        """A batch: every scan as likely as another, `about_lesion` of the pieces are."""
        return self._together([self._drawn(random) for _ in range(self._settings.pieces)])

    def _drawn(self, random: np.random.Generator) -> Crop:
        grid = self._training[int(random.integers(len(self._training)))]
        chosen = self._settings
        about = bool(random.random() < chosen.about_lesion)
        return drawn_crop(random, grid, chosen.piece, chosen.irrelevant, about)

    def validate(self, network: nn.Module, device: torch.device) -> Validation:
        """`loss` and its parts, means over the pieces; the score is minus the loss."""
        found = [
            segmenter_losses(network, self._together([one]), device) for one in self._validation
        ]
        total = float(torch.stack([each.total for each in found]).mean())
        parts = {
            name: float(torch.stack([each.parts[name] for each in found]).mean())
            for name in found[0].parts
        }
        return Validation(-total, {"loss": total} | parts)

    def _together(self, pieces: Sequence[Crop]) -> RegionBatch:
        targets = [self._targets(piece) for piece in pieces]
        return RegionBatch(
            values=_stacked([piece.values for piece in pieces]),
            truth=_stacked([piece.truth for piece in pieces]),
            counts=_stacked([piece.counts for piece in pieces]),
            labels=_stacked([each.labels for each in targets]),
            offsets=_stacked([each.offsets for each in targets]),
        )

    def _targets(self, piece: Crop) -> AnchorTargets:
        return assign(
            piece.lesions, piece.uncounted, piece.values.shape, self._settings.preprocessing.cell_mm
        )

    def _pieces(self, grids: Sequence[StoredGrid]) -> list[Crop]:
        """The same pieces each time: half of them those with the most lesion, half spread."""
        size = self._settings.piece
        places = [(grid, start) for grid in grids for start in _starts(grid, size)]
        amount = [_lesion_cells(grid, start, size) for grid, start in places]
        order = sorted(range(len(places)), key=lambda at: -amount[at])
        half = VALIDATION_PIECES // 2
        first, rest = order[:half], order[half:]
        step = max(1, -(-len(rest) // half))
        chosen = [places[at] for at in (*first, *rest[::step])]
        return [crop(grid, start, size, self._settings.irrelevant) for grid, start in chosen]


def _starts(grid: StoredGrid, size: Cells) -> list[Cells]:
    """Pieces side by side over the grid."""
    along = [range(0, cells, n) for cells, n in zip(grid.shape, size, strict=True)]
    return [(z, y, x) for z, y, x in product(*along)]


def _lesion_cells(grid: StoredGrid, start: Cells, size: Cells) -> int:
    return int((grid.cut("truth", start, size) == LESION).sum())


def _stacked(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))
