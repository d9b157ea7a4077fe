"""The lesions of a labelled scan, each with its class and its box, as location attention learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from inference.arrays.patient_axes import PatientView
from inference.errors import LesionTruthError
from inference.training.scan import LesionBox, LoadedScan

Box = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lesion:
    """`number`: in the mask of lesions; `class_index`: the last class is the irrelevant one;
    `box`: float64 (2, 3), low and high corner as indices of the view's voxels, the first of
    which spans [-0.5, 0.5)."""

    number: int
    class_index: int
    box: Box


def lesions_of(
    scan: LoadedScan, view: PatientView, label: str, classes: Sequence[str]
) -> tuple[Lesion, ...]:
    """Every lesion of a scan, its box from the mask where it is there, else from LPS mm.

    `label`: of the scan; without boxes all lesions of the mask are of this class, or irrelevant
    where it is none of `classes`.

    Raises:
        LesionTruthError: an infection of which no lesion is known, or boxes of another class.
    """
    boxes = {box.number: box for box in scan.boxes}
    masked = _masked(scan, view)
    names = {number: box.class_name for number, box in boxes.items()}
    names |= {} if boxes else dict.fromkeys(masked, label if label in classes else classes[-1])
    unknown = sorted(set(names.values()) - set(classes))
    if unknown:
        raise LesionTruthError(f"lesions of the class {', '.join(unknown)}, which is none here")
    if label in classes[:-1] and label not in names.values():
        raise LesionTruthError(f"labelled {label}, but no lesion of it is known")
    return tuple(
        Lesion(number, classes.index(name), masked.get(number, _placed(boxes.get(number), view)))
        for number, name in sorted(names.items())
    )


def _masked(scan: LoadedScan, view: PatientView) -> dict[int, Box]:
    """Boxes about the voxels of each number."""
    if scan.lesions is None:
        return {}
    lesions = view.turned(scan.lesions)
    places = np.argwhere(lesions)  # (voxels, 3)
    numbers = lesions[tuple(places.T)]
    inside = ((int(number), places[numbers == number]) for number in np.unique(numbers))
    return {
        number: np.stack((own.min(axis=0) - 0.5, own.max(axis=0) + 0.5)) for number, own in inside
    }


def _placed(lesion: LesionBox | None, view: PatientView) -> Box:
    """The box of the view that holds a box of LPS mm."""
    if lesion is None:
        return np.zeros((2, 3))
    sides = zip(lesion.low, lesion.high, strict=True)
    corners = np.array([(*corner, 1.0) for corner in product(*sides)])
    indices = (np.linalg.inv(view.affine) @ corners.T)[:3]
    return np.stack((indices.min(axis=1), indices.max(axis=1)))
