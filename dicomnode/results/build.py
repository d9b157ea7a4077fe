"""All result objects of one analysis, and their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from dicomnode.decisions.result_options import Variant
from dicomnode.results.common.context import (
    Predecessor,
    ResultContext,
    ResultObject,
    ResultSettings,
)
from dicomnode.results.common.encoding import encode
from dicomnode.results.pictures.all_slices import all_slices
from dicomnode.results.pictures.capture import secondary_captures
from dicomnode.results.report.report import structured_report
from dicomnode.results.segmentation.segmentation import segmentations
from inference.findings import (
    Answer,
    FindingClass,
    Findings,
    FoundLungs,
    MethodTitle,
    ModelIdentity,
    RowColumnBox,
    SliceActivation,
    Training,
)
from inference.volume import CtVolume

__all__ = [
    "ResultContext",
    "ResultObject",
    "ResultSettings",
    "Variants",
    "build_results",
    "encode",
    "warm_up",
]


Variants = Mapping[Variant, Predecessor | None]
"""In which variants results are asked for, each with the report that its own takes the place of."""


def build_results(
    context: ResultContext, variants: Variants | None = None
) -> tuple[ResultObject, ...]:
    """The report, the montage, the panels, the segmentations: a pure function of both.

    An object that is the same in several variants is there once. `variants`: none for that of the
    settings, and then the predecessor is that of `context`.

    Raises:
        ValueError: the box of an activation lies outside its slice.
    """
    asked = variants or {context.settings.options.variant: context.predecessor}
    in_order = sorted(asked, key=lambda each: each.rank)
    masks = {
        kind: segmentations(context, kind)
        for kind in dict.fromkeys(v.segmentation for v in in_order)
    }
    reports = (
        structured_report(_after(context, asked[each]), masks[each.segmentation], each)
        for each in in_order
    )
    made = (
        *reports,
        *secondary_captures(context),
        *(each for of_kind in masks.values() for each in of_kind),
        *all_slices(context),
    )
    return tuple({each.sop_instance_uid: each for each in made}.values())


def _after(context: ResultContext, former: Predecessor | None) -> ResultContext:
    same = former == context.predecessor
    return context if same else replace(context, predecessor=former)


def warm_up() -> None:
    """Build one small set of results, so that the first real one does not pay for lazy tables."""
    for result in build_results(_smallest_context()):
        encode(result)


def _smallest_context() -> ResultContext:
    source = Dataset()
    source.SOPClassUID = CTImageStorage
    source.SOPInstanceUID = source.SeriesInstanceUID = source.StudyInstanceUID = "2.25.1"
    heat = SliceActivation(0, RowColumnBox(0, 0, 2, 2), np.ones((2, 2), np.float32), 1.0)
    found = Findings(
        title=MethodTitle("warmup", "warm-up", "by nothing"),
        model=ModelIdentity("warm-up", "0", "0", Training.UNTRAINED),
        answer=Answer.of_probabilities((FindingClass("-", "0", "99COVNET", "-", "0"),), (1.0,)),
        seconds={},
        heat=(heat,),
    )
    return ResultContext(
        sources=[source],
        volume=CtVolume(np.zeros((1, 2, 2), np.int16), np.eye(4)[:, [2, 1, 0, 3]]),
        outcomes=(found,),
        lungs=FoundLungs(np.ones((1, 2, 2), np.bool_)),
        analysed_at=datetime(2000, 1, 1, tzinfo=UTC),
        input_digest="",
        completeness="warm-up",
        conditions="nothing",
        settings=ResultSettings("-", "-", "-", "-", "2.25.1", "WARMUP"),
    )
