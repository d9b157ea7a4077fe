"""The infections of the second method as segments: what of each box the V-Net holds for lesion."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.sr.coding import Code

from dicomnode.results.common import codes
from dicomnode.results.common.context import ResultContext
from dicomnode.results.common.modules import training_mark
from dicomnode.results.common.score_text import score_text
from dicomnode.results.segmentation.segments import Lab, Segment, SegmentAlgorithm
from inference.findings import ModelIdentity
from inference.location_attention.findings import CandidateRegion

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


def drawn_infections(context: ResultContext) -> Iterator[tuple[int, CandidateRegion]]:
    """The infections with a lesion, each with its number in the report, from 1.

    A box in which the V-Net holds no voxel for lesion is no outline of anything: it is not drawn.
    """
    infections = context.regions.infections if context.regions else ()
    for number, region in enumerate(infections, start=1):
        if region.lesion.voxels:
            yield number, region


def region_segments(context: ResultContext) -> tuple[Segment, ...]:
    """One segment for each infection with a lesion; none where there was no search.

    Raises:
        ConfigurationError: the model has an infection that no code is known for.
    """
    regions = context.regions
    if regions is None:
        return ()
    algorithm, mark = (
        SegmentAlgorithm.of_model(regions.model),
        training_mark(regions.model.training),
    )
    return tuple(
        Segment(
            label=f"{mark}Region {number}: {_answer(regions.class_names, region)}",
            category=_CATEGORY,
            property_type=_LESION,
            laterality=codes.SIDES[region.side] if region.side else None,
            algorithm=algorithm,
            colour=COLOURS[(number - 1) % len(COLOURS)],
            mask=region.lesion.array,
            box=region.box,
            site=codes.LUNG,
            tracking=region_tracking(context, regions.model, number),
        )
        for number, region in drawn_infections(context)
    )


def region_tracking(context: ResultContext, model: ModelIdentity, number: int) -> tuple[str, str]:
    """Tracking identifier and unique identifier of an infection, in report and segmentation."""
    return f"Region {number}", context.tracking_uid(f"region {number}", model)


def _answer(class_names: tuple[str, ...], region: CandidateRegion) -> str:
    name = codes.class_codes(class_names[region.vote.class_index]).name
    return f"{name} {score_text(region.vote.confidence)}"
