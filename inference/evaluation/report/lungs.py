"""The part of a report on masks of the lungs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inference.bundles.card import Metric
from inference.evaluation.measures.bootstrap import mean_of_known
from inference.evaluation.measures.overlap import MaskAgreement
from inference.evaluation.report.classes import metric
from inference.evaluation.report.document import Block, Picture, Table
from inference.evaluation.report.plots import strip_plot
from inference.evaluation.report.wording import figure, with_interval


@dataclass(frozen=True)
class LungCase:
    """Of one scan: the network's mask, and the classical method's, None where that found none."""

    scan: str
    patient: str
    network: MaskAgreement
    classical: MaskAgreement | None


def lung_blocks(cases: Sequence[LungCase]) -> list[Block]:
    """Dice and volumes of the network's masks, and of the classical method beside them."""
    classical = [each for each in cases if each.classical is not None]
    rows = (
        ("network", *_lung_row([each.network for each in cases], cases)),
        ("classical", *_lung_row([e.classical for e in classical if e.classical], classical)),
    )
    columns = ("Method", "n", "Dice", "least Dice", "found less true (ml)")
    dots = {
        "network": [each.network.dice for each in cases],
        "classical": [each.classical.dice for each in classical if each.classical],
    }
    picture = Picture(
        "lungs-dice.png",
        "Dice of each scan by both methods",
        strip_plot({name: some for name, some in dots.items() if some}, "Dice", None),
    )
    return [Table(columns, rows), picture, _lung_table(cases)]


def _lung_row(found: Sequence[MaskAgreement], cases: Sequence[LungCase]) -> tuple[str, ...]:
    dice, patients = [each.dice for each in found], [each.patient for each in cases]
    gap = mean_of_known([each.difference_ml for each in found], patients)
    least = figure(min(dice)) if dice else figure(math.nan)
    return (
        str(len(found)),
        with_interval(mean_of_known(dice, patients), 3),
        least,
        with_interval(gap, 0),
    )


def _lung_table(cases: Sequence[LungCase]) -> Table:
    rows = tuple(
        (
            each.scan,
            figure(each.network.dice),
            figure(each.classical.dice if each.classical else math.nan),
            figure(each.network.found_ml, 0),
            figure(each.network.true_ml, 0),
        )
        for each in cases
    )
    return Table(("Scan", "Dice", "Dice, classical", "found (ml)", "true (ml)"), rows)


def lung_metrics(cases: Sequence[LungCase], data: str) -> list[Metric]:
    """The mean Dice of the network, for the card."""
    mean = mean_of_known([each.network.dice for each in cases], [e.patient for e in cases])
    return [] if mean is None else [metric("Dice of the lungs", mean, data)]
