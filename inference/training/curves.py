"""The curves of a run: one CSV line for each quantity told, and a picture of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from inference.files import write_whole

HEADER = ("stage", "step", "quantity", "value")
_COLUMNS = 3


def cut_curves(path: Path, stage: int, step: int, stages: list[str]) -> None:
    """Leave out what a run told after the state that it goes on from; make the file if need be."""
    kept = [list(HEADER)]
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in list(csv.reader(file))[1:] if len(row) == len(HEADER)]
        kept += [row for row in rows if (stages.index(row[0]), int(row[1])) <= (stage, step)]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(kept)
    write_whole(path, text.getvalue().encode())


def append_curves(path: Path, stage: str, step: int, values: Mapping[str, float]) -> None:
    """`step`: how many steps of the stage were done."""
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows((stage, step, name, f"{value:.6g}") for name, value in values.items())


def read_curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Of each quantity, its values over the steps of the whole run."""
    curves: dict[str, list[tuple[int, float]]] = {}
    before, last, current = 0, 0, ""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["stage"] != current:
                before, current = before + last, row["stage"]
            last = int(row["step"])
            curves.setdefault(row["quantity"], []).append((before + last, float(row["value"])))
    return curves


def plot_curves(path: Path, picture: Path) -> None:
    """A panel for each quantity.

    Raises:
        ImportError: matplotlib is not installed (extra `train`).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = read_curves(path)
    rows = max(1, -(-len(curves) // _COLUMNS))
    figure = Figure(figsize=(4 * _COLUMNS, 2.4 * rows), layout="constrained")
    for number, (name, points) in enumerate(curves.items(), start=1):
        axes = figure.add_subplot(rows, _COLUMNS, number)
        axes.plot(*zip(*points, strict=True), linewidth=1)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    FigureCanvasAgg(figure)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    write_whole(picture, image.getvalue())
