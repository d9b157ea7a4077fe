"""From boxes, maps and votes to the findings by region, in the axes of the volume as stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.arrays.components import Mask
from inference.arrays.patient_axes import PatientView
from inference.location_attention.lesions import lesion_in, parted, side_of
from inference.location_attention.measures import box_ml, centre_lps_mm, stored_box, voxels_within
from inference.location_attention.patches import ThreePatches
from inference.location_attention.preprocess import RegionGrid
from inference.location_attention.proposals import Boxes, Maps, Scores
from inference.location_attention.votes import vote
from inference.lungs.sides import SideCells
from inference.regions import BoxMask, CandidateRegion, PatchFinding, RegionVote, VoxelBox

Probabilities = NDArray[np.float64]


def candidate_regions(
    boxes: Boxes,
    scores: Scores,
    cut: Sequence[ThreePatches],
    probabilities: Probabilities,
    log_odds: Maps,
    grid: RegionGrid,
    view: PatientView,
    sides: SideCells,
) -> tuple[CandidateRegion, ...]:
    """The candidates in the order given, each with its vote and its lesion.

    `boxes`: float64 (n, 2, 3), indices of the view's voxels; `scores`: (n,); `probabilities`:
    (n, 3, classes), of the patches; `log_odds`: the V-Net's, by cell of the grid; `sides`: of the
    volume as it was stored.
    """
    votes = [vote(found.tolist()) for found in probabilities]
    within = [voxels_within(box, view) for box in boxes]
    stored = [stored_box(voxels, view) for voxels in within]
    lesions = _lesions(
        stored, [lesion_in(each, log_odds, grid, view) for each in within], probabilities, votes
    )
    return tuple(
        CandidateRegion(
            box=stored[at],
            centre_lps_mm=centre_lps_mm(box, view),
            box_ml=box_ml(box, view),
            lesion=BoxMask.of(lesions[at]),
            lesion_ml=int(np.count_nonzero(lesions[at])) * view.voxel_ml,
            side=side_of(lesions[at], sides.within(stored[at])),
            score=float(scores[at]),
            patches=_patch_findings(cut[at], probabilities[at], view),
            vote=votes[at],
        )
        for at, box in enumerate(boxes)
    )


def _lesions(
    boxes: Sequence[VoxelBox],
    lesions: Sequence[Mask],
    probabilities: Probabilities,
    votes: Sequence[RegionVote],
) -> list[Mask]:
    """Parted: infections before irrelevant regions, the surest first."""
    irrelevant = probabilities.shape[2] - 1

    def rank(at: int) -> tuple[bool, float]:
        return votes[at].class_index == irrelevant, -votes[at].confidence

    return parted(boxes, lesions, sorted(range(len(boxes)), key=rank))


def _patch_findings(
    three: ThreePatches, found: Probabilities, view: PatientView
) -> tuple[PatchFinding, PatchFinding, PatchFinding]:
    centre, below, above = (
        PatchFinding(
            image_index=view.stored_slice(patch.image_index),
            relative_distance=patch.relative_distance,
            probabilities=tuple(probabilities),
        )
        for patch, probabilities in zip(three, found.tolist(), strict=True)
    )
    return centre, below, above
