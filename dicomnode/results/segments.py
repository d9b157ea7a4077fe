"""What a segmentation holds: masks with their meaning, and who drew them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicomnode.results import codes
from dicomnode.results.context import ResultContext
from dicomnode.results.summary import RESEARCH_ONLY
from inference.findings import ModelIdentity
from inference.lung_sides import Side, lung_sides

Mask = NDArray[np.bool_]

_LO_LIMIT = 64  # characters, PS3.5 section 6.2
_CLASSICAL = "Lungs by threshold and morphology"
_ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")  # CID 7150
_RIGHT = Code("24028007", "SCT", "Right")  # CID 244
_LEFT = Code("7771000", "SCT", "Left")
_MORPHOLOGY = Code("123104", "DCM", "Morphological Operations")  # CID 7162

Lab = tuple[int, int, int]
"""CIELab as unsigned 16-bit integers (PS3.3 section C.10.7.1.1)."""

_RIGHT_LAB: Lab = (43000, 28000, 20000)  # blue
_LEFT_LAB: Lab = (46000, 36000, 50000)  # ochre: apart from the blue for colour-blind readers too


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
        parameters = f"weights SHA-256 {model.weights_sha256}; training {model.training.value}"
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
    """One segment. `mask`: bool (slices, rows, columns) of the volume; segments do not overlap.

    `label`: at most 64 characters, without patient identity.
    """

    label: str
    category: Code
    property_type: Code
    laterality: Code | None
    algorithm: SegmentAlgorithm
    colour: Lab
    mask: Mask

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
        property_type = codes.code_item(self.property_type)
        if self.laterality is not None:
            modifier = codes.code_item(self.laterality)
            property_type.SegmentedPropertyTypeModifierCodeSequence = [modifier]
        item.SegmentedPropertyTypeCodeSequence = [property_type]
        item.RecommendedDisplayCIELabValue = list(self.colour)
        return item


def lung_segments(context: ResultContext) -> tuple[Segment, ...]:
    """The right lung and the left one; a side without any lung is left out."""
    sides = lung_sides(context.volume, context.findings.lungs)
    algorithm = _lung_algorithm(context)
    both = (
        ("Right lung", _RIGHT, _RIGHT_LAB, sides == Side.RIGHT),
        ("Left lung", _LEFT, _LEFT_LAB, sides == Side.LEFT),
    )
    return tuple(
        Segment(label, _ANATOMICAL_STRUCTURE, codes.LUNG, laterality, algorithm, colour, mask)
        for label, laterality, colour, mask in both
        if mask.any()
    )


def _lung_algorithm(context: ResultContext) -> SegmentAlgorithm:
    """The network that found the lungs, else the classical method.

    The mask is what the classification looked at: its bundle is named either way, as it also
    stands in the report that the mask belongs to.
    """
    model = context.findings.model
    used = f"input of {model.name} {model.version}, weights SHA-256 {model.weights_sha256}"
    if model.warning:
        used = f"{used} ({model.warning})"
    network = context.findings.lung_check.model
    if network is not None:
        of_model = SegmentAlgorithm.of_model(network)
        parameters = f"{of_model.parameters}; {used}"
        return SegmentAlgorithm(
            network.name, network.version, parameters, of_model.family, network.warning
        )
    version = context.settings.software_version
    return SegmentAlgorithm(_CLASSICAL, version, used, _MORPHOLOGY, model.warning)
