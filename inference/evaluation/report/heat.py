"""The part of a report on heat: does it lie on the lesions?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.bundles.card import Metric
from inference.evaluation.measures.bootstrap import mean_of_known
from inference.evaluation.measures.localisation import MARGIN_MM, HeatShares
from inference.evaluation.report.classes import metric
from inference.evaluation.report.document import Block, Paragraph, Picture, Table
from inference.evaluation.report.plots import gallery_plot, strip_plot
from inference.evaluation.report.wording import with_interval

WANTED_SHARE = 0.6
"""What a demonstration bundle is to reach."""


@dataclass(frozen=True)
class HeatCase:
    """Of one scan with lesions; `right`: whether it was put into its class."""

    scan: str
    patient: str
    label: str
    right: bool
    shares: HeatShares


def heat_blocks(cases: Sequence[HeatCase]) -> list[Block]:
    """Shares of the heat by label, and of the scans that were put into their class."""
    text = (
        f"Share of the heat of the winning class within the lesions of the scan's own class and "
        f"{MARGIN_MM:g} mm about them, as displayed; mean with 95 % interval. By chance: of heat "
        "spread evenly over the lungs. A scan whose maps are all zero has no share."
    )
    if not (known := _with_heat(cases)):
        return [Paragraph("No scan with lesions has a heatmap.")]
    groups = {"all": known, "rightly classified": [each for each in known if each.right]}
    groups |= {label: [e for e in known if e.label == label] for label in _labels(known)}
    rows = tuple(_heat_row(name, some) for name, some in groups.items() if some)
    columns = ("Scans", "n", "of all heat", "of the heat shown", "by chance")
    dots = {label: [e.shares.whole for e in known if e.label == label] for label in _labels(known)}
    picture = Picture(
        "heat-on-lesions.png",
        "Share of the heat on lesions, one dot a scan; the line is what is asked for",
        strip_plot(dots, "share of the heat within the lesions and a margin", WANTED_SHARE),
    )
    return [Paragraph(text), Table(columns, rows), picture]


def _heat_row(name: str, cases: Sequence[HeatCase]) -> tuple[str, ...]:
    shares = [each.shares for each in cases]
    means = [
        with_interval(mean_of_known([getattr(each, what) for each in shares], _patients(cases)))
        for what in ("whole", "shown", "by_chance")
    ]
    return (name, str(len(cases)), *means)


def _patients(cases: Sequence[HeatCase]) -> list[str]:
    return [each.patient for each in cases]


def _with_heat(cases: Sequence[HeatCase]) -> list[HeatCase]:
    return [each for each in cases if math.isfinite(each.shares.whole)]


def _labels(cases: Sequence[HeatCase]) -> list[str]:
    return sorted({each.label for each in cases})


def heat_metrics(cases: Sequence[HeatCase], data: str) -> list[Metric]:
    """The mean share over all scans with lesions, for the card."""
    known = _with_heat(cases)
    mean = mean_of_known([each.shares.whole for each in known], _patients(known))
    name = f"share of the heat within the lesions and {MARGIN_MM:g} mm"
    return [] if mean is None else [metric(name, mean, data)]


def gallery_blocks(tiles: Sequence[tuple[str, NDArray[np.uint8]]]) -> list[Block]:
    """Some scans to be looked at. `tiles`: words and RGB (rows, columns, 3)."""
    if not tiles:
        return []
    words = (
        "The slice with the most heat: lesions of the scan's own class outlined, and the same "
        "with the heat"
    )
    return [Picture("heat-gallery.png", words, gallery_plot(tiles))]
