"""The rules that only the pixels can answer: is it a chest, and was contrast given?

After the lungs are found and before the network is run.
"""

from __future__ import annotations

from dicomnode.config import Settings
from dicomnode.decisions.contrast.pixels import pixel_witness
from dicomnode.decisions.eligibility.chest import judge_chest
from dicomnode.decisions.eligibility.contrast_rules import judge_contrast
from dicomnode.decisions.reasons import Reason
from dicomnode.decisions.stack.geometry import SliceStack
from inference.arrays.components import Mask
from inference.lungs.blood_pool import measure_blood_pool
from inference.lungs.extent import measure_extent
from inference.volume import CtVolume


def judge_pixels(
    volume: CtVolume, lungs: Mask, stack: SliceStack, settings: Settings
) -> tuple[Reason, ...]:
    """Reasons by the lungs and by the blood in the heart and great vessels.

    `lungs`: bool (slices, rows, columns) of `volume`, whose slices are those of `stack`. The
    reasons about contrast take the place of those that were given without the pixels.
    """
    chest = judge_chest(measure_extent(volume, lungs), settings.chest)
    witness = pixel_witness(measure_blood_pool(volume, lungs))
    contrast = judge_contrast(stack.headers, settings.eligibility, witness)
    return (*chest, *contrast.reasons)
