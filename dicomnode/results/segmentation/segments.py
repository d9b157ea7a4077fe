"""What a segmentation holds: masks with their meaning, and who drew them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicomnode.results.common import codes
from dicomnode.results.common.context import ResultContext
from dicomnode.results.common.summary import RESEARCH_ONLY
from inference.findings import ModelIdentity
from inference.lungs.sides import SideCells, side_cells
from inference.regions import Side, VoxelBox

Mask = NDArray[np.bool_]

_LO_LIMIT = 64  # characters, PS3.5 section 6.2
_CLASSICAL = "Lungs by threshold and morphology"
_ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")  # CID 7150
_MORPHOLOGY = Code("123104", "DCM", "Morphological Operations")  # CID 7162

Lab = tuple[int, int, int]
"""CIELab as unsigned 16-bit integers (PS3.3 section C.10.7.1.1)."""

_RIGHT_LAB: Lab = (30129, 32193, 22263)  # blue
_LEFT_LAB: Lab = (46273, 37131, 52089)  # orange: apart from it for colour-blind readers too


@dataclass(frozen=True)
class SegmentAlgorithm:
    """What drew a segment, as Algorithm Identification says it (PS3.3 table 10-19).

    `warning`: the sentence about the weights, which stands at each segment it drew.
    """

    name: str
    version: str
    parameters: str
    family: Code
    warning: str | None = None

    @classmethod
    def of_model(cls, model: ModelIdentity) -> SegmentAlgorithm:
        """A network, by the bundle's name, version and digest."""
        warning = f"; {model.warning}" if model.warning else ""
        parameters = "; ".join(model.parameters)
        family = codes.ARTIFICIAL_INTELLIGENCE
        return cls(model.name, model.version, parameters + warning, family, model.warning)

    def as_item(self) -> Dataset:
        """The item of Segmentation Algorithm Identification Sequence (0062,0007)."""
        item = Dataset()
        item.AlgorithmFamilyCodeSequence = [codes.code_item(self.family)]
        item.AlgorithmName = self.name[:_LO_LIMIT]
        item.AlgorithmVersion = self.version[:_LO_LIMIT]
        item.AlgorithmParameters = self.parameters
        return item


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment. `mask`: bool (slices, rows, columns) of the volume, or of `box` alone where
    that is given; segments do not overlap.

    `label`: at most 64 characters, without patient identity. `site`: where the property lies,
    None where the property itself says it. `tracking`: identifier and unique identifier, by which
    a report speaks of the same thing.
    """

    label: str
    category: Code
    property_type: Code
    laterality: Code | None
    algorithm: SegmentAlgorithm
    colour: Lab
    mask: Mask
    box: VoxelBox | None = None
    site: Code | None = None
    tracking: tuple[str, str] | None = None

    def lies_within(self, shape: tuple[int, ...]) -> bool:
        """Whether mask and box are those of a volume of this shape."""
        if self.box is None:
            return self.mask.shape == shape
        inside = all(
            part.start >= 0 and part.stop <= length
            for part, length in zip(self.box.part, shape, strict=True)
        )
        return inside and self.mask.shape == self.box.shape

    @property
    def occupied(self) -> NDArray[np.intp]:
        """Indices of the volume's slices that hold a voxel of it."""
        first = self.box.slices[0] if self.box else 0
        return np.flatnonzero(self.mask.any(axis=(1, 2))) + first

    def on_slice(self, index: int, shape: tuple[int, int]) -> Mask:
        """Its voxels on one slice of the volume: bool, of the slice's shape (rows, columns)."""
        if self.box is None:
            of_slice: Mask = self.mask[index]
            return of_slice
        (start, stop), (_, rows, columns) = self.box.slices, self.box.part
        whole = np.zeros(shape, np.bool_)
        if start <= index < stop:
            whole[rows, columns] = self.mask[index - start]
        return whole

    def as_item(self, number: int) -> Dataset:
        """The item of Segment Sequence (PS3.3 section C.8.20.2, table C.8.20-4)."""
        item = Dataset()
        item.SegmentNumber = number
        item.SegmentLabel = self.label[:_LO_LIMIT]
        warning = self.algorithm.warning
        item.SegmentDescription = ". ".join(filter(None, (warning, RESEARCH_ONLY)))
        item.SegmentAlgorithmType = "AUTOMATIC"
        item.SegmentAlgorithmName = self.algorithm.name[:_LO_LIMIT]
        item.SegmentationAlgorithmIdentificationSequence = [self.algorithm.as_item()]
        item.SegmentedPropertyCategoryCodeSequence = [codes.code_item(self.category)]
        self._set_property(item)
        item.RecommendedDisplayCIELabValue = list(self.colour)
        if self.tracking is not None:
            item.TrackingID, item.TrackingUID = self.tracking
        return item

    def _set_property(self, item: Dataset) -> None:
        """What it is and where, the side at whichever of the two it belongs to."""
        property_type = codes.code_item(self.property_type)
        modifiers = [] if self.laterality is None else [codes.code_item(self.laterality)]
        item.SegmentedPropertyTypeCodeSequence = [property_type]
        if self.site is not None:
            site = codes.code_item(self.site)
            if modifiers:
                site.AnatomicRegionModifierSequence = modifiers
            item.AnatomicRegionSequence = [site]
        elif modifiers:
            property_type.SegmentedPropertyTypeModifierCodeSequence = modifiers


def lung_segments(context: ResultContext) -> tuple[Segment, ...]:
    """The right lung and the left one; a side without any lung is left out."""
    sides = side_cells(context.volume, context.lung_mask)
    algorithm = _lung_algorithm(context)
    both = (
        ("Right lung", codes.RIGHT, _RIGHT_LAB, Side.RIGHT),
        ("Left lung", codes.LEFT, _LEFT_LAB, Side.LEFT),
    )
    found = []
    boxes = _boxes_of(sides)
    for label, laterality, colour, side in both:
        box = boxes.get(side)
        if box is not None:
            mask = sides.within(box) == np.uint8(side)
            whose = codes.LUNG, laterality, algorithm
            found.append(Segment(label, _ANATOMICAL_STRUCTURE, *whose, colour, mask, box))
    return tuple(found)


def _boxes_of(sides: SideCells) -> dict[Side, VoxelBox]:
    """About each lung that is there, found slice by slice: a mask of the whole volume takes as much
    as it."""
    occupied = {
        side: tuple(np.zeros(length, np.bool_) for length in sides.lungs.shape) for side in Side
    }
    for index in range(len(sides.lungs)):
        of_slice = sides.on_slice(index)
        for side, (slices, rows, columns) in occupied.items():
            mask = of_slice == np.uint8(side)
            slices[index] = mask.any()
            np.logical_or(rows, mask.any(axis=1), out=rows)
            np.logical_or(columns, mask.any(axis=0), out=columns)
    return {side: _bounds(along) for side, along in occupied.items() if along[0].any()}


def _bounds(occupied: Iterable[Mask]) -> VoxelBox:
    """From the first to the last along each axis."""
    bounds = (np.flatnonzero(each)[[0, -1]].tolist() for each in occupied)
    return VoxelBox(*((first, last + 1) for first, last in bounds))


def _lung_algorithm(context: ResultContext) -> SegmentAlgorithm:
    """The network that found the lungs, else the classical method.

    The mask is what the methods looked at: the bundle of the first is named either way, as it
    also stands in the report that the mask belongs to.
    """
    model = context.models[0]
    used = f"input of {model.name} {model.version}, weights SHA-256 {model.weights_sha256}"
    if model.warning:
        used = f"{used} ({model.warning})"
    network = context.lungs.model
    if network is not None:
        of_model = SegmentAlgorithm.of_model(network)
        parameters = f"{of_model.parameters}; {used}"
        return SegmentAlgorithm(
            network.name, network.version, parameters, of_model.family, network.warning
        )
    version = context.settings.software_version
    return SegmentAlgorithm(_CLASSICAL, version, used, _MORPHOLOGY, model.warning)
