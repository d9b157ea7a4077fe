"""The measurement groups (TID 1410): one for the answer of each method, one for each infection.

Each has a box on a slice: viewers jump to it, and OHIF shows no report in which a group lacks
coordinates. So a region has none of the segment of the segmentation, for a group can have one of
the two: the volume of the lesion names that segment as what it was measured from (TID 320), and
both bear the same tracking unique identifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from highdicom import sr
from pydicom.sr.coding import Code

from dicomnode.results.common import codes
from dicomnode.results.common.context import ResultContext
from dicomnode.results.common.key_slices import NumberedRegion
from dicomnode.results.segmentation.region_segments import region_tracking
from dicomnode.results.segmentation.segmentation import SegmentReference
from inference.findings import Findings, ModelIdentity, RowColumnBox, Training
from inference.regions import CandidateRegion
from inference.score_meaning import ScoreMeaning

Group = sr.PlanarROIMeasurementsAndQualitativeEvaluations


@dataclass(frozen=True)
class _Kind:
    """How the group of an answer is named. `tracked`: what its tracking UID is made of;
    `outcome`: what the class is called that is the answer."""

    tracked: str
    identifier: str
    finding_type: Code
    outcome: Code


_WHOLE = _Kind("lungs", "Lungs, AI classification", codes.CLASSIFICATION, codes.MOST_PROBABLE_CLASS)
_BY_REGIONS = _Kind(
    "case by regions", "Lungs, AI search for regions", codes.CASE_BY_REGIONS, codes.OUTCOME
)


def measurement_groups(
    context: ResultContext, segments: Mapping[int, SegmentReference]
) -> list[Group]:
    """The answer of each method, each followed by its infections, the highest confidence first.

    `segments`: of the infections that have one, by their number. Candidates that were voted
    irrelevant are counted in the summary, and not shown.
    """
    groups: list[Group] = []
    taken: set[int] = set()
    for found in context.findings:
        shown = _slice_of(context, found, taken)
        taken.add(shown)
        groups.append(_answer(context, found, shown))
        groups += [
            _region(context, each, segments.get(each.number))
            for each in context.regions
            if each.found is found
        ]
    return groups


def _slice_of(context: ResultContext, found: Findings, taken: set[int]) -> int:
    """That of the largest share or of the surest infection, else about where lungs are widest.

    Without either not one that the group of another method has: viewers would print one box over
    the other.
    """
    if found.ranked:
        return found.ranked[0].slice_index
    if found.infections:
        return found.infections[0].middle_slice
    with_lung = np.flatnonzero(context.lung_mask.any(axis=(1, 2))).tolist()
    free = [index for index in with_lung if index not in taken] or with_lung
    return int(min(free, key=lambda index: abs(index - context.widest_slice)))


def _answer(context: ResultContext, found: Findings, slice_index: int) -> Group:
    """The answer with its scores; its box are the lungs on one slice."""
    kind = _WHOLE if found.regions is None else _BY_REGIONS
    otherwise = found.ranked[0].box if found.ranked else None
    qualifier = found.title.qualifier if found.regions is None else ""
    return Group(
        tracking_identifier=sr.TrackingIdentifier(
            uid=context.tracking_uid(kind.tracked, found.model),
            identifier=f"{kind.identifier} {qualifier}".strip(),
        ),
        referenced_region=_lung_box(context, slice_index, otherwise),
        finding_type=kind.finding_type,
        algorithm_id=_algorithm(found.model),
        finding_sites=[sr.FindingSite(codes.LUNG, laterality=codes.BILATERAL)],
        measurements=list(_scores(found)),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(kind.outcome, codes.code_of(found.answer.outcome)),
            *(_agreement(context) if found is context.findings[-1] else ()),
        ],
    )


def _scores(found: Findings) -> Iterator[sr.Measurement]:
    """Each has a name of its own: viewers show that and the number.

    Probabilities of all classes; else noisy-or of each infection, and the softmax too, where the
    third output rule of Xu et al. 2020 holds. Infections without a region have none: OHIF prints
    the name of a 0 without the number.
    """
    answer, training = found.answer, found.model.training
    if answer.meaning is ScoreMeaning.PROBABILITY:
        for each, p in zip(answer.classes, answer.scores, strict=True):
            name = codes.probability_name(each, training)
            yield sr.Measurement(name, round(100.0 * p, 2), codes.PERCENT)
        return
    named = [(codes.noisy_or_name, answer.scores)]
    if sum(value > 0 for value in answer.scores) > 1:
        named.append((codes.softmax_name, answer.confidences))
    for name_of, values in named:
        for each, value in zip(answer.classes, values, strict=True):
            if value > 0:
                yield sr.Measurement(name_of(each, training), round(value, 4), codes.SCORE)


def _agreement(context: ResultContext) -> list[sr.QualitativeEvaluation]:
    """With the answer of the last method."""
    agreement = context.agreement
    if agreement is None:
        return []
    name = codes.AGREEMENT if len(context.findings) == 2 else codes.AGREEMENT_OF_ALL
    return [sr.QualitativeEvaluation(name, codes.RELATIONS[agreement.relation])]


def _region(
    context: ResultContext, numbered: NumberedRegion, segment: SegmentReference | None
) -> Group:
    region, model, name = numbered.region, numbered.found.model, numbered.finding_class
    (top, bottom), (left, right) = region.box.rows, region.box.columns
    confidence = round(100.0 * region.vote.confidence, 2)
    identifier, uid = region_tracking(context, numbered)
    laterality = codes.SIDES[region.side] if region.side else None
    return Group(
        tracking_identifier=sr.TrackingIdentifier(uid=uid, identifier=identifier),
        referenced_region=_rectangle(
            context, region.middle_slice, RowColumnBox(top, left, bottom, right)
        ),
        finding_type=codes.CANDIDATE_REGION,
        algorithm_id=_algorithm(model),
        finding_sites=[sr.FindingSite(codes.LUNG, laterality=laterality)],
        measurements=[
            sr.Measurement(codes.confidence_name(name, model.training), confidence, codes.PERCENT),
            _lesion_volume(region, model.training, segment),
            *_centre(region),
        ],
        qualitative_evaluations=[
            sr.QualitativeEvaluation(codes.MOST_PROBABLE_CLASS, codes.code_of(name))
        ],
    )


def _lesion_volume(
    region: CandidateRegion, training: Training, segment: SegmentReference | None
) -> sr.Measurement:
    """Inferred from the segment, where there is one (TID 1419, by TID 300 and TID 320)."""
    name = codes.marked(codes.LESION_VOLUME, training)
    volume = sr.Measurement(name, round(region.lesion_ml, 2), codes.MILLILITRE)
    if segment is not None:
        source = sr.ImageContentItem(
            name=codes.SOURCE_OF_MEASUREMENT,
            referenced_sop_class_uid=segment.sop_class_uid,
            referenced_sop_instance_uid=segment.sop_instance_uid,
            referenced_segment_numbers=segment.number,
            relationship_type=sr.RelationshipTypeValues.INFERRED_FROM,
        )
        volume[0].ContentSequence = sr.ContentSequence([source])
    return volume


def _centre(region: CandidateRegion) -> Iterator[sr.Measurement]:
    """Of the cube, in the patient's coordinates (PS3.3 section C.7.6.2.1.1)."""
    for axis, value in zip(codes.CENTRE_LPS, region.centre_lps_mm, strict=True):
        yield sr.Measurement(axis, round(value, 1) + 0.0, codes.MILLIMETRE)  # no -0.0


def _algorithm(model: ModelIdentity) -> sr.AlgorithmIdentification:
    """TID 4019."""
    return sr.AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=list(model.parameters),
        family=codes.ARTIFICIAL_INTELLIGENCE,
    )


def _lung_box(
    context: ResultContext, slice_index: int, otherwise: RowColumnBox | None = None
) -> sr.ImageRegion:
    """Box around the lungs of a slice; `otherwise` (or the whole image) where it shows none."""
    rows, columns = np.nonzero(context.lung_mask[slice_index])
    if not rows.size:
        _, height, width = context.volume.hu.shape
        return _rectangle(context, slice_index, otherwise or RowColumnBox(0, 0, height, width))
    box = RowColumnBox(
        int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1
    )
    return _rectangle(context, slice_index, box)


def _rectangle(context: ResultContext, slice_index: int, box: RowColumnBox) -> sr.ImageRegion:
    """A box of pixels as a closed POLYLINE in (column, row).

    0\\0 is the outer corner of the first pixel (PS3.3 Table C.18.6-1), so that the box of
    pixels [left, right) runs from left to right.
    """
    top, left, bottom, right = box.top, box.left, box.bottom, box.right
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    source = context.slices[slice_index]
    return sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POLYLINE,
        graphic_data=np.array(corners, dtype=np.float32),
        source_image=sr.SourceImageForRegion(
            source.sop_class_uid,
            source.sop_instance_uid,
            None if source.frame_number is None else [source.frame_number],
        ),
    )
