"""The second method in the report: a measurement group for the case, one for each infection.

TID 1410, each with a box on a slice, and not with the segment of the segmentation of regions: of
the two a group can have one, and OHIF shows no report in which a group lacks coordinates. The
volume of the lesion names that segment as what it was measured from (TID 320), and both bear the
same tracking unique identifier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from highdicom import sr

from dicomnode.results.common import codes
from dicomnode.results.common.context import ResultContext
from dicomnode.results.report.sr_items import algorithm, lung_box, rectangle
from dicomnode.results.segmentation.region_segments import region_tracking
from dicomnode.results.segmentation.segmentation import SegmentReference
from inference.findings import RowColumnBox, Training
from inference.location_attention.findings import CandidateRegion, RegionFindings

Group = sr.PlanarROIMeasurementsAndQualitativeEvaluations


def region_groups(
    context: ResultContext, segments: Mapping[int, SegmentReference]
) -> Iterator[Group]:
    """The case, then its infections, the highest confidence first; nothing without a search.

    `segments`: of the infections that have one, by their number. Candidates that were voted
    irrelevant are counted in the summary, and not shown.

    Raises:
        ConfigurationError: the model has an infection that no code is known for.
    """
    regions = context.regions
    if regions is None:
        return
    yield _case(context, regions)
    for number, region in enumerate(regions.infections, start=1):
        yield _region(context, regions, region, number, segments.get(number))


def _case(context: ResultContext, regions: RegionFindings) -> Group:
    """Outcome and scores; its box are the lungs, where the surest infection is."""
    index = regions.verdict.class_index
    found = None if index is None else codes.class_codes(regions.infection_names[index]).finding
    return Group(
        tracking_identifier=sr.TrackingIdentifier(
            uid=context.tracking_uid("case by regions", regions.model),
            identifier="Lungs, AI search for regions",
        ),
        referenced_region=lung_box(context, _slice_of_case(context, regions)),
        finding_type=codes.CASE_BY_REGIONS,
        algorithm_id=algorithm(regions.model),
        finding_sites=[sr.FindingSite(codes.LUNG, laterality=codes.BILATERAL)],
        measurements=list(_case_scores(regions)),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(codes.OUTCOME, found or codes.NO_INFECTION),
            *_agreement(context),
        ],
    )


def _slice_of_case(context: ResultContext, regions: RegionFindings) -> int:
    """That of the surest infection; without any, about where the lungs are widest.

    Not the slice that the other method's group has: viewers would print one box over the other.
    """
    if regions.infections:
        return regions.infections[0].middle_slice
    taken = set() if context.findings is None else {context.findings.ranked[0].slice_index}
    with_lung = np.flatnonzero(context.lung_mask.any(axis=(1, 2))).tolist()
    free = [index for index in with_lung if index not in taken] or with_lung
    return int(min(free, key=lambda index: abs(index - context.widest_slice)))


def _case_scores(regions: RegionFindings) -> Iterator[sr.Measurement]:
    """Noisy-or of each infection; the softmax too, where the paper's third output rule holds.

    Infections without a region have none: OHIF prints the name of a 0 without the number.
    """
    training, verdict = regions.model.training, regions.verdict
    for name, value in _above_zero(regions, verdict.noisy_or):
        yield sr.Measurement(codes.noisy_or_name(name, training), round(value, 4), codes.SCORE)
    if sum(value > 0 for value in verdict.noisy_or) < 2:
        return
    for name, value in _above_zero(regions, verdict.confidences):
        yield sr.Measurement(codes.softmax_name(name, training), round(value, 4), codes.SCORE)


def _above_zero(
    regions: RegionFindings, values: Sequence[float]
) -> Iterator[tuple[codes.ClassCodes, float]]:
    """Infections with their value, those that have any."""
    for name, value in zip(regions.infection_names, values, strict=True):
        if value > 0:
            yield codes.class_codes(name), value


def _agreement(context: ResultContext) -> list[sr.QualitativeEvaluation]:
    agreement = context.agreement
    if agreement is None:
        return []
    return [sr.QualitativeEvaluation(codes.AGREEMENT, codes.RELATIONS[agreement.relation])]


def _region(
    context: ResultContext,
    regions: RegionFindings,
    region: CandidateRegion,
    number: int,
    segment: SegmentReference | None,
) -> Group:
    name = codes.class_codes(regions.class_names[region.vote.class_index])
    training = regions.model.training
    (top, bottom), (left, right) = region.box.rows, region.box.columns
    confidence = round(100.0 * region.vote.confidence, 2)
    identifier, uid = region_tracking(context, regions.model, number)
    laterality = codes.SIDES[region.side] if region.side else None
    return Group(
        tracking_identifier=sr.TrackingIdentifier(uid=uid, identifier=identifier),
        referenced_region=rectangle(
            context, region.middle_slice, RowColumnBox(top, left, bottom, right)
        ),
        finding_type=codes.CANDIDATE_REGION,
        algorithm_id=algorithm(regions.model),
        finding_sites=[sr.FindingSite(codes.LUNG, laterality=laterality)],
        measurements=[
            sr.Measurement(codes.confidence_name(name, training), confidence, codes.PERCENT),
            _lesion_volume(region, training, segment),
            *_centre(region),
        ],
        qualitative_evaluations=[sr.QualitativeEvaluation(codes.MOST_PROBABLE_CLASS, name.finding)],
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
