"""How far two masks of the lungs agree."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inference.arrays.components import Mask


@dataclass(frozen=True)
class MaskAgreement:
    """A found mask and the true one. Volumes in ml; `dice` is NaN where both are empty."""

    dice: float
    found_ml: float
    true_ml: float

    @property
    def difference_ml(self) -> float:
        """Found less true."""
        return self.found_ml - self.true_ml


def agreement(found: Mask, truth: Mask, voxel_ml: float) -> MaskAgreement:
    """Dice 1945 (Ecology 26:297): twice the common voxels over the sum of both.

    Both bool (slices, rows, columns).

    Raises:
        ValueError: their shapes differ.
    """
    if found.shape != truth.shape:
        raise ValueError(f"masks {found.shape} and {truth.shape}")
    one, two = int(np.count_nonzero(found)), int(np.count_nonzero(truth))
    common = int(np.count_nonzero(found & truth))
    dice = 2 * common / (one + two) if one + two else math.nan
    return MaskAgreement(dice, one * voxel_ml, two * voxel_ml)
