"""The plots of a report, as PNG.

Colours are those of Okabe and Ito, told apart with any kind of colour vision; classes differ by
the style of the line as well. Drawn without pyplot: no state is shared, no display is needed.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from inference.evaluation.measures.calibration import CalibrationBin
from inference.evaluation.measures.classification import FALSE_POSITIVE_RATES, ClassResult
from inference.evaluation.measures.confusion import ConfusionMatrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_LINES = ("-", "--", "-.", ":")
_DARK = 0.55
"""Part of the scale from which on white figures are read better than black ones."""


def roc_plot(classes: Sequence[ClassResult]) -> bytes:
    """The curve of each class with its area; the band is the bootstrap's over patients."""
    figure, axes = _square("1 – specificity", "sensitivity")
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    for number, each in enumerate(classes):
        if each.roc is None:
            continue
        colour, line = _style(number)
        if each.band is not None:
            low, high = each.band
            axes.fill_between(FALSE_POSITIVE_RATES, low, high, color=colour, alpha=0.12)
        x, y = each.roc.false_positive_rate, each.roc.sensitivity
        axes.plot(x, y, color=colour, linestyle=line, label=_with_area(each), linewidth=2)
    _legend(axes, "lower right")
    return _png(figure)


def calibration_plot(curves: Mapping[str, Sequence[CalibrationBin]]) -> bytes:
    """How often a class was so, against how probable it was called, with Wilson's intervals."""
    figure, axes = _square("probability", "observed")
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    for number, (name, curve) in enumerate(curves.items()):
        colour, line = _style(number)
        parts = [(each.mean_probability, each.observed.estimate) for each in curve]
        known = [(x, estimate) for x, estimate in parts if estimate is not None]
        x, y = np.array([each[0] for each in known]), np.array([e.value for _, e in known])
        below = [e.value - e.low for _, e in known]
        above = [e.high - e.value for _, e in known]
        axes.errorbar(
            x,
            y,
            yerr=(below, above),
            color=colour,
            linestyle=line,
            marker="o",
            capsize=3,
            label=name,
        )
    _legend(axes, "upper left")
    return _png(figure)


def confusion_plot(matrix: ConfusionMatrix) -> bytes:
    """Counts, shaded by their part of the true class."""
    size = len(matrix.classes)
    figure, axes = _figure(2.2 + 1.3 * size, 1.8 + 1.1 * size)
    totals = matrix.counts.sum(axis=1, keepdims=True)
    parts = matrix.counts / np.maximum(totals, 1)
    axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix.counts):
        colour = "white" if parts[row, column] > _DARK else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour)
    names = [name.replace(" ", "\n", 1) for name in matrix.classes]
    axes.set_xticks(range(size), names)
    axes.set_yticks(range(size), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    return _png(figure)


def strip_plot(groups: Mapping[str, Sequence[float]], label: str, line_at: float | None) -> bytes:
    """One dot a scan, in a row for each group, with the group's mean; `line_at`: a wanted value."""
    figure, axes = _figure(6.0, 1.4 + 0.7 * len(groups))
    random = np.random.Generator(np.random.PCG64(0))  # dots of one value beside one another
    for row, values in enumerate(groups.values()):
        colour, _ = _style(row)
        apart = random.uniform(-0.2, 0.2, len(values))
        axes.scatter(values, row + apart, color=colour, s=18, alpha=0.7)
        axes.plot([np.mean(values)] * 2, [row - 0.35, row + 0.35], color="black", linewidth=2)
    if line_at is not None:
        axes.axvline(line_at, color="#999999", linestyle="--")
    axes.set_yticks(range(len(groups)), list(groups))
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(label)
    return _png(figure)


def gallery_plot(tiles: Sequence[tuple[str, NDArray[np.uint8]]], across: int = 2) -> bytes:
    """Pictures, RGB (rows, columns, 3), each with its words above it."""
    down, width = -(-len(tiles) // across), 5.2
    tallest = max(picture.shape[0] / picture.shape[1] for _, picture in tiles)
    figure, axes = _figure(width * across, (width * tallest + 0.7) * down)
    axes.set_axis_off()
    for number, (words, picture) in enumerate(tiles):
        own = figure.add_subplot(down, across, number + 1)
        own.imshow(picture)
        own.set_title(words, fontsize=9)
        own.set_axis_off()
    return _png(figure)


def _with_area(each: ClassResult) -> str:
    if each.auc is None:
        return each.counts.name
    return f"{each.counts.name}: AUC {each.auc.value:.2f} [{each.auc.low:.2f}, {each.auc.high:.2f}]"


def _style(number: int) -> tuple[str, str]:
    return _COLOURS[number % len(_COLOURS)], _LINES[number % len(_LINES)]


def _square(across: str, up: str) -> tuple[Figure, Axes]:
    figure, axes = _figure(6.0, 6.0)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.grid(visible=True, color="#e5e5e5")
    return figure, axes


def _legend(axes: Axes, place: Literal["lower right", "upper left"]) -> None:
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc=place)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """In inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _png(figure: Figure) -> bytes:
    """The same figure, the same bytes: no version and no time in it."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    return out.getvalue()
