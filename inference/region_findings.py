"""What location attention found in one volume: plain values that results are built from."""

from __future__ import annotations

from dataclasses import dataclass

from inference.findings import ModelIdentity
from inference.region_votes import CaseVerdict, RegionVote

NO_INFECTION = "no infection found"
"""The outcome of a case in which no region is an infection (Xu et al. 2020, section 2.6.2)."""

Three = tuple[float, float, float]


@dataclass(frozen=True)
class VoxelBox:
    """Half-open box of voxels of the volume as it was stored: each [start, stop)."""

    slices: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True)
class PatchFinding:
    """One of a region's three patches.

    `image_index`: of the slice, along the stored axis nearest to head-feet;
    `relative_distance`: from the lungs' edge, over the diagonal (section 2.5.1), not scaled.
    """

    image_index: int
    relative_distance: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class CandidateRegion:
    """A candidate cube with its vote.

    `centre_lps_mm`: of the cube, patient coordinates; `box`: the voxels whose centres lie in the
    cube, at least one; `box_ml`: volume of the cube within the volume; `lesion_ml`: of the lung
    in it that the V-Net holds for lesion; `score`: of the proposal, 0 to 1; `patches`: centre,
    towards the feet, towards the head; `vote`: theirs for the region (section 2.6.1).
    """

    box: VoxelBox
    centre_lps_mm: Three
    box_ml: float
    lesion_ml: float
    score: float
    patches: tuple[PatchFinding, PatchFinding, PatchFinding]
    vote: RegionVote


@dataclass(frozen=True)
class RegionFindings:
    """Result of location attention (Xu et al. 2020) on one volume.

    `class_names`: the last one is "irrelevant to infection"; `regions`: the highest score first;
    `seconds`: by stage (`grid`, `regions`, `patches`, `classes`).
    """

    model: ModelIdentity
    class_names: tuple[str, ...]
    regions: tuple[CandidateRegion, ...]
    verdict: CaseVerdict
    seconds: dict[str, float]

    @property
    def infection_names(self) -> tuple[str, ...]:
        """The classes that the verdict's probabilities belong to."""
        return self.class_names[:-1]

    @property
    def outcome(self) -> str:
        """The infection that dominates, or "no infection found"."""
        index = self.verdict.class_index
        return NO_INFECTION if index is None else self.class_names[index]

    @property
    def infections(self) -> tuple[CandidateRegion, ...]:
        """The regions that were not voted irrelevant, the highest confidence first."""
        irrelevant = len(self.class_names) - 1
        found = (each for each in self.regions if each.vote.class_index != irrelevant)
        return tuple(sorted(found, key=lambda each: -each.vote.confidence))
