"""Findings of location attention by hand, on the phantom of `result_samples`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.bundles.class_codes import known_classes
from inference.findings import Findings, ModelIdentity, Training
from inference.location_attention.engine import RegionEngine
from inference.location_attention.findings import answer_of
from inference.location_attention.votes import verdict
from inference.regions import BoxMask, CandidateRegion, PatchFinding, RegionVote, Side, VoxelBox
from support.result_samples import volume

COVID, FLU, NOTHING = 0, 1, 2
CLASSES = ("COVID-19", "influenza-A viral pneumonia", "irrelevant to infection")
MODEL = ModelIdentity("Location attention", "0.2.0", "cd" * 32, Training.UNTRAINED)
BOX = VoxelBox(slices=(4, 7), rows=(12, 30), columns=(50, 66))


def ellipsoid(box: VoxelBox) -> NDArray[np.bool_]:
    """The largest one in a box: a lesion of no box's shape."""
    axes = [(np.arange(n) - (n - 1) / 2) / (n / 2) for n in box.shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    inside: NDArray[np.bool_] = z**2 + y**2 + x**2 < 1
    return inside


def region(
    class_index: int,
    confidence: float,
    box: VoxelBox = BOX,
    side: Side | None = Side.LEFT,
    lesion: NDArray[np.bool_] | None = None,
) -> CandidateRegion:
    """A candidate whose three patches all say one class, its centre that of its box.

    `lesion`: None for an ellipsoid that fills the box.
    """
    mask = ellipsoid(box) if lesion is None else lesion
    sides = (box.slices, box.rows, box.columns)
    slice_at, row, column = ((start + stop - 1) / 2 for start, stop in sides)
    rest = (1.0 - confidence) / 2
    shares = tuple(confidence if each == class_index else rest for each in range(len(CLASSES)))
    patch = PatchFinding(box.slices[0] + 1, 0.05, shares)
    return CandidateRegion(
        box=box,
        centre_lps_mm=volume().to_lps((slice_at, row, column)),
        box_ml=1.215,
        lesion=BoxMask.of(mask),
        lesion_ml=int(mask.sum()) * volume().voxel_ml,
        side=side,
        score=0.75,
        patches=(patch, patch, patch),
        vote=RegionVote(class_index, confidence),
    )


def regions(*found: CandidateRegion, model: ModelIdentity = MODEL) -> Findings:
    """The findings of a case with these candidates."""
    case = verdict([each.vote for each in found], len(CLASSES))
    answer = answer_of(case, known_classes(CLASSES[:-1]))
    seconds = {"grid": 0.1, "regions": 0.2}
    return Findings(RegionEngine.title, model, answer, seconds, regions=found)
