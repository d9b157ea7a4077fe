"""The second method in the report: a measurement group for the case, one for each infection.

TID 1410, each with a box on a slice. The findings hold boxes, no outlines: there is no
segmentation of regions, for a box of voxels would look like a drawn lesion.
"""

from __future__ import annotations

from collections.abc import Iterator

from highdicom import sr

from dicomnode.results import codes
from dicomnode.results.context import ResultContext
from dicomnode.results.region_text import middle_slice
from dicomnode.results.sr_items import algorithm, lung_box, rectangle
from inference.findings import RowColumnBox
from inference.region_findings import CandidateRegion, RegionFindings

Group = sr.PlanarROIMeasurementsAndQualitativeEvaluations


def region_groups(context: ResultContext, document_uid: str) -> Iterator[Group]:
    """The case, then its infections, the highest confidence first; nothing without a search.

    Candidates that were voted irrelevant are counted in the summary, and not shown.

    Raises:
        ConfigurationError: the model has an infection that no code is known for.
    """
    regions = context.regions
    if regions is None:
        return
    yield _case(context, regions, document_uid)
    for number, region in enumerate(regions.infections, start=1):
        yield _region(context, regions, region, number, document_uid)


def _case(context: ResultContext, regions: RegionFindings, document_uid: str) -> Group:
    """Outcome and scores; its box are the lungs, where the surest infection is."""
    infections, index = regions.infections, regions.verdict.class_index
    widest = int(context.findings.lungs.sum(axis=(1, 2)).argmax())
    found = None if index is None else codes.class_codes(regions.infection_names[index]).finding
    return Group(
        tracking_identifier=sr.TrackingIdentifier(
            uid=context.seed.uid("tracking case by regions", document_uid),
            identifier="Lungs, AI search for regions",
        ),
        referenced_region=lung_box(context, middle_slice(infections[0]) if infections else widest),
        finding_type=codes.CASE_BY_REGIONS,
        algorithm_id=algorithm(regions.model),
        finding_sites=[sr.FindingSite(codes.LUNG, laterality=codes.BILATERAL)],
        measurements=list(_case_scores(regions)),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(codes.OUTCOME, found or codes.NO_INFECTION),
            *_agreement(context),
        ],
    )


def _case_scores(regions: RegionFindings) -> Iterator[sr.Measurement]:
    """Noisy-or of each infection; the softmax too, where the paper's third output rule holds."""
    training, verdict = regions.model.training, regions.verdict
    named = [codes.class_codes(name) for name in regions.infection_names]
    for name, value in zip(named, verdict.noisy_or, strict=True):
        yield sr.Measurement(codes.noisy_or_name(name, training), round(value, 4), codes.SCORE)
    if sum(value > 0 for value in verdict.noisy_or) < 2:
        return
    for name, value in zip(named, verdict.confidences, strict=True):
        yield sr.Measurement(codes.softmax_name(name, training), round(value, 4), codes.SCORE)


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
    document_uid: str,
) -> Group:
    name = codes.class_codes(regions.class_names[region.vote.class_index])
    training = regions.model.training
    (top, bottom), (left, right) = region.box.rows, region.box.columns
    confidence = round(100.0 * region.vote.confidence, 2)
    lesion = codes.marked(codes.LESION_VOLUME, training)
    return Group(
        tracking_identifier=sr.TrackingIdentifier(
            uid=context.seed.uid(f"tracking region {number}", document_uid),
            identifier=f"Region {number}",
        ),
        referenced_region=rectangle(
            context, middle_slice(region), RowColumnBox(top, left, bottom, right)
        ),
        finding_type=codes.CANDIDATE_REGION,
        algorithm_id=algorithm(regions.model),
        finding_sites=[sr.FindingSite(codes.LUNG)],
        measurements=[
            sr.Measurement(codes.confidence_name(name, training), confidence, codes.PERCENT),
            sr.Measurement(lesion, round(region.lesion_ml, 2), codes.MILLILITRE),
            *_centre(region),
        ],
        qualitative_evaluations=[sr.QualitativeEvaluation(codes.MOST_PROBABLE_CLASS, name.finding)],
    )


def _centre(region: CandidateRegion) -> Iterator[sr.Measurement]:
    """Of the cube, in the patient's coordinates (PS3.3 section C.7.6.2.1.1)."""
    for axis, value in zip(codes.CENTRE_LPS, region.centre_lps_mm, strict=True):
        yield sr.Measurement(axis, round(value, 1) + 0.0, codes.MILLIMETRE)  # no -0.0
