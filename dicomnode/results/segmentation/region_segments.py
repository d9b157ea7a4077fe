"""The infections in regions as segments: what of each box the method holds for lesion."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.sr.coding import Code

from dicomnode.results.common import codes
from dicomnode.results.common.context import ResultContext
from dicomnode.results.common.key_slices import NumberedRegion
from dicomnode.results.common.modules import training_mark
from dicomnode.results.common.score_text import score_text
from dicomnode.results.segmentation.segments import Lab, Segment, SegmentAlgorithm
from inference.findings import Findings

_CATEGORY = Code("49755003", "SCT", "Morphologically Altered Structure")  # CID 7150
_LESION = Code("52988006", "SCT", "Lesion")  # CID 7159: the method tells no ground glass apart

COLOURS: tuple[Lab, ...] = (
    (46273, 37131, 52089),  # orange
    (45761, 29808, 23959),  # sky blue
    (37842, 21141, 36174),  # bluish green
    (58401, 29471, 52288),  # yellow
    (30129, 32193, 22263),  # blue
    (35512, 44018, 49160),  # vermillion
    (40007, 42800, 30170),  # reddish purple
)
"""Of Okabe and Ito (2008), which colour-blind readers tell apart too; again from the eighth on."""


def drawn_infections(context: ResultContext, found: Findings) -> Iterator[NumberedRegion]:
    """The infections of one method that have a lesion.

    A box in which the method holds no voxel for lesion is no outline of anything: it is not drawn.
    """
    for each in context.regions:
        if each.found is found and each.region.lesion.voxels:
            yield each


def region_segments(context: ResultContext, found: Findings) -> tuple[Segment, ...]:
    """One segment for each infection of one method with a lesion."""
    algorithm, mark = SegmentAlgorithm.of_model(found.model), training_mark(found.model.training)
    return tuple(
        Segment(
            label=f"{mark}Region {each.number}: {_answer(each)}",
            category=_CATEGORY,
            property_type=_LESION,
            laterality=codes.SIDES[each.region.side] if each.region.side else None,
            algorithm=algorithm,
            colour=COLOURS[(each.number - 1) % len(COLOURS)],
            mask=each.region.lesion.array,
            box=each.region.box,
            site=codes.LUNG,
            tracking=region_tracking(context, each),
        )
        for each in drawn_infections(context, found)
    )


def region_tracking(context: ResultContext, each: NumberedRegion) -> tuple[str, str]:
    """Tracking identifier and unique identifier of an infection, in report and segmentation."""
    uid = context.tracking_uid(f"region {each.number}", each.found.model)
    return f"Region {each.number}", uid


def _answer(each: NumberedRegion) -> str:
    return f"{each.finding_class.name} {score_text(each.region.vote.confidence)}"
