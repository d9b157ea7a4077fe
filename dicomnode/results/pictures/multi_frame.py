"""What a multi-frame Secondary Capture says of its frames (PS3.3 section A.8.5)."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicomnode.results.common import codes

_PAGE_NUMBER_VECTOR = Tag(0x0018, 0x2001)


def set_frames(data_set: Dataset, sources: Sequence[Dataset]) -> None:
    """Multi-frame (C.7.6.6), SC Multi-frame Vector (C.8.6.4), functional groups (C.7.6.16).

    `sources`: for each frame the item of Source Image Sequence that refers to what it shows.
    """
    data_set.NumberOfFrames = len(sources)
    data_set.FrameIncrementPointer = _PAGE_NUMBER_VECTOR
    data_set.PageNumberVector = [str(number) for number in range(1, len(sources) + 1)]
    data_set.SharedFunctionalGroupsSequence = [Dataset()]
    data_set.PerFrameFunctionalGroupsSequence = [_groups(source) for source in sources]


def _groups(source: Dataset) -> Dataset:
    """Derivation Image (C.7.6.16.2.6)."""
    derivation = Dataset()
    derivation.DerivationCodeSequence = [codes.code_item(codes.GRADIENT_CAM)]
    derivation.SourceImageSequence = [source]
    groups = Dataset()
    groups.DerivationImageSequence = [derivation]
    return groups
