"""The part of a report on how cases are told into classes: tables as both papers print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inference.bundles.card import Metric
from inference.evaluation.measures.bootstrap import LEAST_PATIENTS
from inference.evaluation.measures.calibration import (
    CalibrationBin,
    brier,
    calibration_curve,
    calibration_error,
)
from inference.evaluation.measures.classification import (
    Cases,
    Classification,
    ClassResult,
    classify,
)
from inference.evaluation.measures.confusion import ConfusionMatrix
from inference.evaluation.measures.estimate import Estimate
from inference.evaluation.report.document import Block, Notice, Paragraph, Picture, Table
from inference.evaluation.report.plots import calibration_plot, confusion_plot, roc_plot
from inference.evaluation.report.strata import LEAST_CASES, Stratum, strata
from inference.evaluation.report.wording import NONE, bounds, figure, per_cent, with_interval


def counted_blocks(matrix: ConfusionMatrix) -> list[Block]:
    """All that counts alone give: the matrix, Li's table 3 but for the areas, Xu's tables."""
    return [
        confusion_table(matrix),
        Table(
            ("Group", "Sensitivity (%)", "Specificity (%)"),
            tuple(
                (each.name, per_cent(each.sensitivity), per_cent(each.specificity))
                for each in matrix.by_class
            ),
        ),
        recall_table(matrix),
        _accuracy(matrix),
    ]


def confusion_table(matrix: ConfusionMatrix) -> Table:
    """Xu et al. 2020, tables 1, 3 and 5: the truth in rows."""
    rows = zip(matrix.classes, matrix.counts.tolist(), strict=True)
    return Table(
        ("truth \\ predicted", *matrix.classes),
        tuple((name, *map(str, counts)) for name, counts in rows),
    )


def recall_table(matrix: ConfusionMatrix) -> Table:
    """Xu et al. 2020, tables 2, 4 and 6."""
    rows = tuple(
        (each.name, figure(each.sensitivity.value), figure(each.precision.value), figure(each.f1))
        for each in matrix.by_class
    )
    return Table(("Group", "Recall", "Precision", "F1"), rows)


def _accuracy(matrix: ConfusionMatrix) -> Paragraph:
    accuracy = matrix.accuracy
    return Paragraph(
        f"Accuracy {figure(100 * accuracy.value, 1)} %: {per_cent(accuracy)}. "
        f"Mean F1 {figure(matrix.mean_f1)}."
    )


def class_blocks(found: Classification, name: str) -> list[Block]:
    """Everything on these cases; `name` begins the names of the pictures."""
    return [
        _performance(found),
        *_warnings(found),
        confusion_table(found.matrix),
        recall_table(found.matrix),
        _accuracy(found.matrix),
        *_by_patient(found),
        Picture(f"{name}-roc.png", "ROC curve of each class", roc_plot(found.by_class)),
        Picture(
            f"{name}-confusion.png",
            "Confusion matrix, shaded by the part of the true class",
            confusion_plot(found.matrix),
        ),
    ]


def _performance(found: Classification) -> Table:
    """Li et al. 2020, table 3."""
    rows = tuple(
        (
            each.counts.name,
            per_cent(each.counts.sensitivity),
            per_cent(each.counts.specificity),
            with_interval(each.auc),
        )
        for each in found.by_class
    )
    return Table(("Group", "Sensitivity (%)", "Specificity (%)", "AUC"), rows)


def _warnings(found: Classification) -> list[Block]:
    cases, patients = len(found.cases), len(set(found.cases.patients))
    parts: list[Block] = []
    if cases > patients:
        parts.append(
            Notice(
                f"{cases} cases of {patients} patient(s): cases of one patient are not "
                "independent, and the intervals by Wilson and DeLong are too narrow."
            )
        )
    if any(each.auc is not None and each.auc.low == each.auc.high for each in found.by_class):
        parts.append(
            Paragraph(
                "An AUC of 1 (or 0) has no variance by DeLong; its interval without width says "
                "nothing of what more cases would show."
            )
        )
    absent = [each.counts.name for each in found.by_class if not each.counts.sensitivity.total]
    if absent:
        parts.append(Paragraph(f"No case of: {', '.join(absent)}."))
    return parts


def _by_patient(found: Classification) -> list[Block]:
    if found.accuracy_by_patient is None:
        least = f"fewer than {LEAST_PATIENTS} patients"
        return [Paragraph(f"No interval over patients: there are {least}.")]
    names = ("sensitivity", "specificity", "precision", "F1", "AUC")
    rows = tuple(
        (each.counts.name, *(bounds(each.by_patient.get(name)) for name in names))
        for each in found.by_class
    )
    text = (
        "95 % intervals by bootstrap over patients, each drawn with all cases; of the accuracy: "
        f"{bounds(found.accuracy_by_patient)}."
    )
    return [Paragraph(text), Table(("Group", *names), rows)]


def calibration_blocks(cases: Cases, name: str) -> list[Block]:
    """For `scores` that are probabilities which sum to 1."""
    curves = {
        each: calibration_curve(cases.scores[:, index], cases.truth == index)
        for index, each in enumerate(cases.classes)
    }
    error = calibration_error(confidence_curve(cases))
    text = (
        f"Brier score {figure(brier(cases.scores, cases.truth))} (0 at best, 2 at worst); expected "
        f"calibration error of the predicted class {figure(error)} (Guo et al. 2017, 10 bins)."
    )
    picture = Picture(
        f"{name}-calibration.png",
        "How often a class was so, against its probability, with 95 % intervals",
        calibration_plot(curves),
    )
    return [Paragraph(text), picture]


def confidence_curve(cases: Cases) -> tuple[CalibrationBin, ...]:
    """Of the probability of the class that has the highest."""
    best = cases.scores.argmax(axis=1)
    return calibration_curve(cases.scores.max(axis=1), best == cases.truth)


def strata_blocks(
    cases: Cases, known: Sequence[Mapping[str, str]], variables: Sequence[str]
) -> list[Block]:
    """A table by stratum and class; strata that are too small are named."""
    groups = strata(known, variables)
    if not groups:
        return [Paragraph(f"Of no case is any of {', '.join(variables)} known.")]
    columns = ("Stratum", "Group", "Sensitivity (%)", "Specificity (%)", "AUC")
    rows = [row for group in groups if group.members for row in _stratum_rows(cases, group)]
    blocks: list[Block] = [Table(columns, tuple(rows))] if rows else []
    small = [f"{each.variable} {each.value} ({each.cases})" for each in groups if not each.members]
    if small:
        blocks.append(
            Paragraph(f"Fewer than {LEAST_CASES} cases, so not measured: {', '.join(small)}.")
        )
    return blocks


def _stratum_rows(cases: Cases, group: Stratum) -> list[tuple[str, ...]]:
    found = classify(cases.some(group.members), draws=0)
    patients = len(set(found.cases.patients))
    name = f"{group.variable} {group.value}: {group.cases} cases, {patients} patients"
    return [
        (
            name,
            each.counts.name,
            per_cent(each.counts.sensitivity),
            per_cent(each.counts.specificity),
            with_interval(each.auc),
        )
        for each in found.by_class
        if each.counts.sensitivity.total or each.counts.false_positive
    ] or [(name, NONE, NONE, NONE, NONE)]


def class_metrics(found: Classification, data: str) -> list[Metric]:
    """For the card of a bundle, with the intervals of the papers."""
    named = [("accuracy", found.matrix.accuracy.estimate)]
    for each in found.by_class:
        named += [(f"{what}, {each.counts.name}", value) for what, value in _estimates(each)]
    return [metric(name, value, data) for name, value in named if value is not None]


def _estimates(each: ClassResult) -> list[tuple[str, Estimate | None]]:
    return [
        ("sensitivity", each.counts.sensitivity.estimate),
        ("specificity", each.counts.specificity.estimate),
        ("AUC", each.auc),
    ]


def metric(name: str, estimate: Estimate, data: str) -> Metric:
    """As an entry of a card; the method of its interval goes with the data."""
    return Metric(
        name=name,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        data=f"{data}; interval: {estimate.method}",
        cases=estimate.cases,
        confidence=estimate.confidence,
    )
