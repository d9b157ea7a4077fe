"""Finds the lungs that every method looks at: by a network of a bundle, or the classical way."""

from __future__ import annotations

import numpy as np

from inference.arrays.components import Mask
from inference.errors import NoLungsError
from inference.findings import FoundLungs
from inference.lungs.chest import CoarseChest, coarse_chest
from inference.lungs.network import LungNetwork
from inference.lungs.thresholds import lungs_of_chest
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
            chest = coarse_chest(volume)
            mask = self._mask(volume, chest, on_progress)
            dice = None if self.network is None else _classical_dice(volume, chest, mask)
        on_progress("lungs", 1, 1)
        model = None if self.network is None else self.network.identity
        return FoundLungs(mask, model, dice, clock.seconds["lungs"])

    def mask(self, volume: CtVolume, progress: Progress | None = None) -> Mask:
        """The lungs alone: bool (slices, rows, columns).

        Raises:
            as `find`.
        """
        return self._mask(volume, coarse_chest(volume), progress)

    def _mask(self, volume: CtVolume, chest: CoarseChest, progress: Progress | None) -> Mask:
        if self.network is None:
            return lungs_of_chest(volume, chest)
        return self.network.mask(volume, chest, progress)


def _classical_dice(volume: CtVolume, chest: CoarseChest, lungs: Mask) -> float | None:
    try:
        classical = lungs_of_chest(volume, chest)
    except NoLungsError:
        return None
    common = np.count_nonzero(lungs & classical)
    return float(2 * common / (np.count_nonzero(lungs) + np.count_nonzero(classical)))
