"""The part of a report on candidate regions: tables 1 to 4 of Xu et al. 2020."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.bundles.card import Metric
from inference.evaluation.measures.calibration import calibration_error
from inference.evaluation.measures.classification import Cases
from inference.evaluation.measures.confusion import ConfusionMatrix
from inference.evaluation.measures.estimate import Proportion
from inference.evaluation.report.classes import (
    confidence_curve,
    confusion_table,
    metric,
    recall_table,
)
from inference.evaluation.report.document import Block, Heading, Paragraph, Table
from inference.evaluation.report.wording import figure, per_cent


@dataclass(frozen=True, eq=False)
class RegionCase:
    """Of one scan whose lesions are known.

    `truth`, `voted`: class index of each region; `patches`: probabilities of each region's three
    patches, float64 (regions, 3, classes); `lesions`: class index of each lesion, and whether a
    region lies on it.
    """

    scan: str
    patient: str
    truth: tuple[int, ...]
    voted: tuple[int, ...]
    patches: NDArray[np.float64]
    lesions: tuple[tuple[int, bool], ...]


def region_blocks(cases: Sequence[RegionCase], classes: tuple[str, ...]) -> list[Block]:
    """Xu et al. 2020, tables 1 to 4, and how many of the lesions a region lies on."""
    patches, regions = patch_cases(cases, classes), region_matrix(cases, classes)
    found = lesion_matrix(cases, classes)
    blocks: list[Block] = [Heading("Lesions with a candidate region", 3)]
    blocks.append(
        Table(
            ("Class of the lesion", "found (%)"),
            tuple((name, per_cent(each)) for name, each in found.items()),
        )
    )
    if not regions.cases:
        return [*blocks, Paragraph("No candidate region in any of these scans.")]
    error = calibration_error(confidence_curve(patches))
    return [
        *blocks,
        Heading("Patches", 3),
        confusion_table(patches.matrix),
        recall_table(patches.matrix),
        Paragraph(
            f"Average F1 {figure(patches.matrix.mean_f1)}. "
            f"Expected calibration error of a patch {figure(error)}."
        ),
        Heading("Regions, by the vote of their patches", 3),
        confusion_table(regions),
        recall_table(regions),
        Paragraph(f"Average F1 {figure(regions.mean_f1)}."),
    ]


def patch_cases(cases: Sequence[RegionCase], classes: tuple[str, ...]) -> Cases:
    """Every patch as a case of its region's class."""
    count = len(classes)
    scores = np.concatenate([np.empty((0, count)), *(e.patches.reshape(-1, count) for e in cases)])
    truth = [index for each in cases for index in each.truth for _ in range(3)]
    patients = tuple(each.patient for each in cases for _ in range(3 * len(each.truth)))
    return Cases(classes, np.array(truth, np.intp), scores.argmax(axis=1), scores, patients)


def region_matrix(cases: Sequence[RegionCase], classes: tuple[str, ...]) -> ConfusionMatrix:
    """Regions by their lesion's class and by their vote."""
    truth = [index for each in cases for index in each.truth]
    voted = [index for each in cases for index in each.voted]
    return ConfusionMatrix.of(classes, truth, voted)


def lesion_matrix(cases: Sequence[RegionCase], classes: tuple[str, ...]) -> dict[str, Proportion]:
    """Of the lesions of each class how many some region lies on, whatever it was voted for."""
    lesions = [lesion for each in cases for lesion in each.lesions]
    return {
        name: Proportion(
            sum(hit for index, hit in lesions if index == number),
            sum(index == number for index, _ in lesions),
        )
        for number, name in enumerate(classes)
    }


def region_metrics(
    cases: Sequence[RegionCase], classes: tuple[str, ...], data: str
) -> list[Metric]:
    """Accuracy of patches and of regions, and lesions found, for the card."""
    named = {
        "accuracy of patches": patch_cases(cases, classes).matrix.accuracy,
        "accuracy of regions": region_matrix(cases, classes).accuracy,
    }
    for name, found in lesion_matrix(cases, classes).items():
        named[f"lesions with a candidate region, {name}"] = found
    estimates = {name: each.estimate for name, each in named.items()}
    return [metric(name, each, data) for name, each in estimates.items() if each is not None]
