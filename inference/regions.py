"""Candidate regions of a volume: where they lie, and what they were voted; plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Three = tuple[float, float, float]
Mask = NDArray[np.bool_]


class Side(IntEnum):
    """Which lung: values of voxels; 0 is neither."""

    RIGHT = 1
    LEFT = 2


@dataclass(frozen=True)
class VoxelBox:
    """Half-open box of voxels of the volume as it was stored: each [start, stop)."""

    slices: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, rows and columns."""
        slices, rows, columns = (
            stop - start for start, stop in (self.slices, self.rows, self.columns)
        )
        return slices, rows, columns

    @property
    def part(self) -> tuple[slice, slice, slice]:
        """Index of these voxels in an array of the volume's shape."""
        return slice(*self.slices), slice(*self.rows), slice(*self.columns)


@dataclass(frozen=True)
class BoxMask:
    """Some of the voxels of a box, one bit each, so that many large boxes take little memory.

    `bits`: the voxels in C order, the first one in the highest bit. Equal masks compare equal.
    """

    shape: tuple[int, int, int]
    bits: bytes

    @classmethod
    def of(cls, mask: Mask) -> BoxMask:
        """`mask`: bool (slices, rows, columns)."""
        slices, rows, columns = mask.shape
        return cls((slices, rows, columns), np.packbits(mask).tobytes())

    @property
    def array(self) -> Mask:
        """bool (slices, rows, columns), a new one each time."""
        voxels = self.shape[0] * self.shape[1] * self.shape[2]
        bits = np.frombuffer(self.bits, np.uint8)
        return np.unpackbits(bits, count=voxels).reshape(self.shape).view(np.bool_)

    @property
    def voxels(self) -> int:
        """How many there are."""
        return int(np.count_nonzero(self.array))


@dataclass(frozen=True)
class RegionVote:
    """What a region is, and how sure that is.

    `class_index`: of the answer's classes; one more than these have is none of them.
    """

    class_index: int
    confidence: float


@dataclass(frozen=True)
class PatchFinding:
    """One of the patches that a region's vote is made of.

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
    cube, at least one; `box_ml`: volume of the cube within the volume; `lesion`: over `box`, in
    the axes of the volume as it was stored, the lung that the method holds for lesion;
    `lesion_ml`: volume of its voxels. Where boxes overlap, a voxel is the lesion of one region
    alone: of an infection before an irrelevant one, of the surer one. `side`: the lung that most
    of the lesion lies in, where there is none most of the box's lung; None where the box holds no
    voxel of lung. `score`: of the proposal, 0 to 1; `patches`: centre, towards the feet, towards
    the head, where a method looks at such; `vote`: theirs for the region (Xu et al. 2020, section
    2.6.1).
    """

    box: VoxelBox
    centre_lps_mm: Three
    box_ml: float
    lesion: BoxMask
    lesion_ml: float
    side: Side | None
    score: float
    patches: tuple[PatchFinding, ...]
    vote: RegionVote

    @property
    def middle_slice(self) -> int:
        """Index of the slice, along the volume, in the middle of the box."""
        start, stop = self.box.slices
        return (start + stop - 1) // 2
