"""The probabilities of another evaluation, for a comparison on the same scans."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

from inference.errors import EvaluationError

PROBABILITIES = "probabilities.csv"

Scores = Mapping[str, tuple[float, ...]]


def read_scores(folder: Path, classes: tuple[str, ...]) -> Scores:
    """Scores of the classes by scan, of those that were analysed.

    Raises:
        EvaluationError: the folder holds no evaluation with these classes.
    """
    name = f"{folder.name}/{PROBABILITIES}"
    try:
        text = (folder / PROBABILITIES).read_text("utf-8")
    except OSError as error:
        raise EvaluationError((f"{name}: {error.strerror}",)) from error
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    columns = [f"p: {each}" for each in classes]
    missing = [each for each in ("scan", "state", *columns) if not lines or each not in lines[0]]
    if missing:
        raise EvaluationError(tuple(f"{name}: no column {each!r}" for each in missing))
    analysed = [line for line in lines if line["state"] == "analysed"]
    try:
        found = {line["scan"]: tuple(float(line[each]) for each in columns) for line in analysed}
    except ValueError as error:
        raise EvaluationError((f"{name}: {error}",)) from error
    if not all(math.isfinite(value) for values in found.values() for value in values):
        raise EvaluationError((f"{name}: values that are not finite",))
    return found
