"""What a site chooses of its result objects: which there are, of which classes, in which series."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dicomnode.decisions.policy import policy

SeriesNumber = Annotated[int, Field(ge=1)]


class SrClass(StrEnum):
    """SOP class of the report: the same tree, for a PACS that refuses the newest class."""

    COMPREHENSIVE_3D = "comprehensive_3d"
    COMPREHENSIVE = "comprehensive"
    ENHANCED = "enhanced"


class SegmentationKind(StrEnum):
    """How masks are written; the label map is a SOP class that older archives refuse."""

    BINARY = "binary"
    LABELMAP = "labelmap"
    OFF = "off"


class AllSlices(StrEnum):
    """Whether, and how, every slice of the stack is shown as a Secondary Capture too."""

    OFF = "off"
    JPEG = "jpeg"
    UNCOMPRESSED = "uncompressed"


@dataclass(frozen=True)
class Variant:
    """In which classes results are taken, of those that come in several."""

    sr_class: SrClass
    segmentation: SegmentationKind

    @property
    def choices(self) -> frozenset[str]:
        """What an object made for this variant may show of it."""
        return frozenset({self.sr_class.value, self.segmentation.value})

    @property
    def rank(self) -> tuple[int, int]:
        """By which variants lie in one order, whoever asks for them."""
        kinds = list(SegmentationKind)
        return list(SrClass).index(self.sr_class), kinds.index(self.segmentation)


@policy
class ResultOptions:
    """`institution_name`: used where the sources name none."""

    key_slices: Annotated[int, Field(ge=1, le=100)] = 10
    sr_class: SrClass = SrClass.COMPREHENSIVE_3D
    sr_series_number: SeriesNumber = 9001
    sc_series_number: SeriesNumber = 9002
    segmentation: SegmentationKind = SegmentationKind.BINARY
    seg_series_number: SeriesNumber = 9003
    region_seg_series_number: SeriesNumber = 9007
    note: Literal["off", "study", "all"] = "study"
    note_series_number: SeriesNumber = 9004  # its page has the next one
    rejection_series_number: SeriesNumber = 9006
    all_slices: AllSlices = AllSlices.OFF
    multi_frame: bool = False  # all slices in one object
    all_slices_series_number: SeriesNumber = 9008
    institution_name: str = ""

    @property
    def variant(self) -> Variant:
        """For all who ask for no other."""
        return Variant(self.sr_class, self.segmentation)

    @model_validator(mode="after")
    def _frames_are_of_something(self) -> Self:
        if self.multi_frame and self.all_slices is AllSlices.OFF:
            raise ValueError("multi_frame is of all slices: set all_slices too")
        return self
