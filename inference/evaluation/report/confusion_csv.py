"""A confusion matrix as a CSV table.

The first line holds the predicted classes, after one cell that is free; each further line a true
class and its counts: `truth,COVID-19,other` / `COVID-19,114,13` / `other,13,294`.
"""

from __future__ import annotations

import csv
import io

import numpy as np

from inference.errors import EvaluationError
from inference.evaluation.measures.confusion import ConfusionMatrix


def read_confusion(text: str) -> ConfusionMatrix:
    """The matrix of a table; its lines may stand in another order than its columns.

    Raises:
        EvaluationError: the table is wrong; says all that is.
    """
    lines = [line for line in csv.reader(io.StringIO(text)) if any(map(str.strip, line))]
    cells = [[cell.strip() for cell in line] for line in lines]
    if len(cells) < 3:
        raise EvaluationError(("a confusion matrix has a line of classes and two lines or more",))
    classes = tuple(cells[0][1:])
    if problems := [*_class_problems(classes, cells[1:]), *_count_problems(classes, cells[1:])]:
        raise EvaluationError(tuple(problems))
    by_name = {line[0]: [int(cell) for cell in line[1:]] for line in cells[1:]}
    return ConfusionMatrix(classes, np.array([by_name[name] for name in classes], np.int64))


def _class_problems(classes: tuple[str, ...], lines: list[list[str]]) -> list[str]:
    found = []
    if len(set(classes)) != len(classes) or not all(classes):
        found.append("the predicted classes are not all named and different")
    truths = [line[0] for line in lines]
    if sorted(truths) != sorted(classes):
        found.append(f"true classes {truths} are not the predicted ones {list(classes)}")
    return found


def _count_problems(classes: tuple[str, ...], lines: list[list[str]]) -> list[str]:
    found = []
    for line in lines:
        if len(line) != len(classes) + 1:
            found.append(f"{line[0]!r}: {len(line) - 1} counts for {len(classes)} classes")
        bad = [cell for cell in line[1:] if not (cell.isascii() and cell.isdigit())]
        found += [f"{line[0]!r}: {cell!r} is no count" for cell in bad]
    return found
