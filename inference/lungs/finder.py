"""Finds the lungs that every method looks at: by a network of a bundle, or the classical way."""

from __future__ import annotations

import numpy as np

from inference.arrays.components import Mask
from inference.errors import NoLungsError
from inference.findings import FoundLungs
from inference.lungs.chest import CoarseChest, coarse_chest
from inference.lungs.network import LungNetwork
from inference.lungs.thresholds import (
    Outline,
    lungs_of_chest,
    outline_of_chest,
    overlap_of_outline,
)
from inference.progress import Progress, StageClock, no_progress
from inference.volume import CtVolume


class LungFinder:
    """`network`: None for the classical method, which else is the cross-check."""

    def __init__(self, network: LungNetwork | None = None) -> None:
        self.network = network

    def find(self, volume: CtVolume, progress: Progress | None = None) -> FoundLungs:
        """Both lungs of one volume, and whether the classical method agrees.

        Raises:
            NoLungsError: there is too little lung.
        """
        on_progress, clock = progress or no_progress, StageClock()
        on_progress("lungs", 0, 1)
        with clock.stage("lungs"):
            mask, dice = self._checked(volume, on_progress)
        on_progress("lungs", 1, 1)
        model = None if self.network is None else self.network.identity
        return FoundLungs(mask, model, dice, clock.seconds["lungs"])

    def mask(self, volume: CtVolume, progress: Progress | None = None) -> Mask:
        """The lungs alone: bool (slices, rows, columns).

        Raises:
            as `find`.
        """
        chest = coarse_chest(volume)
        if self.network is None:
            return lungs_of_chest(volume, chest)
        return self.network.mask(volume, chest.of_body, progress)

    def _checked(self, volume: CtVolume, progress: Progress) -> tuple[Mask, float | None]:
        """The classical method goes first, as far as its coarse grid: so the coarse HU need not be
        kept while the network's labels are there."""
        chest = coarse_chest(volume)
        if self.network is None:
            return lungs_of_chest(volume, chest), None
        classical, of_body = _classical_outline(volume, chest), chest.of_body
        del chest
        mask = self.network.mask(volume, of_body, progress)
        return mask, None if classical is None else _dice(volume, classical, mask)


def _classical_outline(volume: CtVolume, chest: CoarseChest) -> Outline | None:
    try:
        return outline_of_chest(volume, chest)
    except NoLungsError:
        return None


def _dice(volume: CtVolume, classical: Outline, lungs: Mask) -> float:
    drawn, common = overlap_of_outline(volume, classical, lungs)
    return float(2 * common / (np.count_nonzero(lungs) + drawn))
