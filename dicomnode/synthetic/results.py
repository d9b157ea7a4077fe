"""The result objects of the synthetic patient, with findings that no method made.

They are built by what builds the results of patients, so they have every class and every attribute
that the node sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dicomnode.decisions.rejection import RejectionReason
from dicomnode.decisions.result_options import Variant
from dicomnode.results.build import ResultContext, ResultObject, ResultSettings, build_results
from dicomnode.results.common.patient import normalised_header
from dicomnode.results.documents.retraction import Rejected, rejection_note, superseding_report
from dicomnode.results.documents.text_document import TextOrigin
from dicomnode.synthetic.chest import DrawnChest, drawn_chest
from dicomnode.synthetic.patient import NOT_A_PATIENT, SyntheticPatient
from dicomnode.version import VERSION
from inference.arrays.components import bounding_box
from inference.bundles.class_codes import known_classes
from inference.findings import (
    PRIVATE_SCHEME,
    Answer,
    FindingClass,
    Findings,
    FoundLungs,
    IntendedUse,
    MethodTitle,
    ModelIdentity,
    RowColumnBox,
    SliceActivation,
    Training,
)
from inference.regions import BoxMask, CandidateRegion, RegionVote, Side, VoxelBox
from inference.score_meaning import ScoreMeaning

_MODEL = ModelIdentity("drawn truth", VERSION, "0" * 64, Training.UNTRAINED, IntendedUse.NONE)
_WHOLE = MethodTitle("lungs", "truth of a drawn chest", "by the whole lungs")
_REGIONS = MethodTitle("regions", "truth of drawn lesions", "by regions", "by regions")
_CLASSES = known_classes(("COVID-19", "community-acquired pneumonia", "non-pneumonia"))
_INFECTIONS = known_classes(("COVID-19", "influenza-A viral pneumonia"))
_NONE = FindingClass("no infection found", "NO_INFECTION", PRIVATE_SCHEME, "No infection", "NONE")
_PART = slice(18, 34)  # enough for every kind of object, and small
_GRID = 7  # cells of the heat along rows and columns


def synthetic_results(
    patient: SyntheticPatient, settings: ResultSettings, variants: Iterable[Variant] = ()
) -> tuple[ResultObject, ...]:
    """What would be made for a patient with this chest. `variants`: none for that of `settings`."""
    chest = drawn_chest().part(_PART)
    context = ResultContext(
        sources=patient.headers()[_PART],
        volume=chest.volume,
        outcomes=(_of_the_whole(chest), _of_regions(chest)),
        lungs=FoundLungs(chest.lungs),
        analysed_at=patient.drawn_at,
        input_digest=patient.series_instance_uid,
        completeness=f"{NOT_A_PATIENT}: drawn, not scanned.",
        conditions=f"{NOT_A_PATIENT}: nothing",
        settings=settings,
    )
    return build_results(context, dict.fromkeys(variants) or None)


def synthetic_withdrawal(
    patient: SyntheticPatient,
    settings: ResultSettings,
    results: Sequence[ResultObject],
    *,
    as_key_object: bool,
) -> ResultObject:
    """What withdraws them, the first of which is the report."""
    rejected = [
        Rejected(str(each.data_set.SeriesInstanceUID), each.sop_class_uid, each.sop_instance_uid)
        for each in results
    ]
    header = normalised_header(patient.headers()[:1])
    origin = TextOrigin(header, patient.drawn_at, settings)
    if as_key_object:
        number = settings.options.rejection_series_number
        return rejection_note(origin, rejected, RejectionReason.OUTDATED, number)
    report = results[0].data_set
    return superseding_report(origin, report, rejected, RejectionReason.OUTDATED)


def _of_the_whole(chest: DrawnChest) -> Findings:
    """Heat where the lesions are."""
    rows, columns = bounding_box(chest.lungs)[1:]
    box = RowColumnBox(rows.start, columns.start, rows.stop, columns.stop)
    sizes = chest.lesions.sum(axis=(1, 2))
    shares = sizes / sizes.sum()
    slices = np.flatnonzero(chest.lungs.any(axis=(1, 2)))
    cams = {at: _shares(chest.lesions[at, rows, columns]) for at in slices}
    most = max(float(cam.max()) for cam in cams.values())
    heat = tuple(
        SliceActivation(int(at), box, cam / np.float32(most), float(shares[at]))
        for at, cam in cams.items()
    )
    answer = Answer.of_probabilities(_CLASSES, (0.75, 0.15, 0.1))
    return Findings(_WHOLE, _MODEL, answer, {}, heat)


def _shares(lesions: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How much of each cell of a grid is lesion: float32 (_GRID, _GRID)."""
    cells = [np.array_split(each, _GRID, axis=1) for each in np.array_split(lesions, _GRID)]
    return np.array([[cell.mean() for cell in row] for row in cells], np.float32)


def _of_regions(chest: DrawnChest) -> Findings:
    """All lesions of each side as one region."""
    half = chest.lungs.shape[2] // 2
    regions = tuple(
        _region(chest, side, part)
        for side, part in ((Side.RIGHT, slice(0, half)), (Side.LEFT, slice(half, None)))
    )
    score = 1 - (1 - regions[0].vote.confidence) ** len(regions)
    answer = Answer(
        _INFECTIONS,
        (score, 0.0),
        ScoreMeaning.NOISY_OR,
        winner=0,
        none=_NONE,
        irrelevant="irrelevant to infection",
        confidences=(score, 0.0),
    )
    return Findings(_REGIONS, _MODEL, answer, {}, regions=regions)


def _region(chest: DrawnChest, side: Side, columns: slice) -> CandidateRegion:
    of_side = np.zeros_like(chest.lesions)
    of_side[:, :, columns] = chest.lesions[:, :, columns]
    ends = [(each.start, each.stop) for each in bounding_box(of_side)]
    box = VoxelBox(*ends)
    lesion = of_side[box.part]
    middle = tuple((start + stop - 1) / 2 for start, stop in ends)
    return CandidateRegion(
        box=box,
        centre_lps_mm=chest.volume.to_lps(middle),
        box_ml=lesion.size * chest.volume.voxel_ml,
        lesion=BoxMask.of(lesion),
        lesion_ml=int(lesion.sum()) * chest.volume.voxel_ml,
        side=side,
        score=0.75,
        patches=(),
        vote=RegionVote(0, 0.75),
    )
