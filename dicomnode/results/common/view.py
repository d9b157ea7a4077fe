"""How a stored slice is turned to be shown in a radiologist's habit, from the affine alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LETTERS = (("R", "L"), ("A", "P"), ("F", "H"))  # towards −, + of x, y, z in LPS

# For the pair of patient axes that a slice spans: which one runs to the right of the screen and
# which one down, and in which sense. Axial: patient's right at the viewer's left, anterior on top.
_HABIT = {
    frozenset({0, 1}): ((0, +1), (1, +1)),  # axial
    frozenset({0, 2}): ((0, +1), (2, -1)),  # coronal: head on top
    frozenset({1, 2}): ((1, +1), (2, -1)),  # sagittal: anterior at the viewer's left
}


@dataclass(frozen=True)
class View:
    """Turns that bring a stored slice (rows, columns) upright; letters of the shown edges.

    `transpose` comes first, then the flips. `down_mm`, `right_mm`: size of a shown pixel.
    """

    transpose: bool
    flip_down: bool
    flip_right: bool
    down_mm: float
    right_mm: float
    left: str
    right: str
    top: str
    bottom: str
    normal_axis: str  # "x", "y" or "z": the patient axis along the stack

    def upright(self, image: NDArray[Any]) -> NDArray[Any]:
        """The slice as shown, (rows, columns) of the screen; a view, not a copy."""
        shown = image.T if self.transpose else image
        shown = shown[::-1] if self.flip_down else shown
        return shown[:, ::-1] if self.flip_right else shown

    @property
    def patient_orientation(self) -> list[str]:
        """Patient Orientation (0020,0020) of the shown picture (PS3.3 section C.7.6.1.1.1)."""
        return [self.right, self.bottom]


def view_of(affine: NDArray[np.float64]) -> View:
    """The view for slices of a volume with this affine (see `CtVolume`).

    Oblique slices are shown by the patient axis that each of their sides is nearest to.
    """
    steps = affine[:3, :3]
    sizes = np.linalg.norm(steps, axis=0)
    along_rows, along_columns = _nearest_axes(steps[:, 1:] / sizes[1:])
    (right_axis, right_sign), (down_axis, down_sign) = _HABIT[
        frozenset({along_rows, along_columns})
    ]
    transpose = along_rows == right_axis
    to_down, to_right = (2, 1) if transpose else (1, 2)  # columns of the affine
    return View(
        transpose=transpose,
        flip_down=bool(np.sign(steps[down_axis, to_down]) != down_sign),
        flip_right=bool(np.sign(steps[right_axis, to_right]) != right_sign),
        down_mm=float(sizes[to_down]),
        right_mm=float(sizes[to_right]),
        left=_letter(right_axis, -right_sign),
        right=_letter(right_axis, right_sign),
        top=_letter(down_axis, -down_sign),
        bottom=_letter(down_axis, down_sign),
        normal_axis="xyz"[3 - right_axis - down_axis],
    )


def _nearest_axes(directions: NDArray[np.float64]) -> tuple[int, int]:
    """Patient axes nearest to two in-plane directions (columns); never twice the same one."""
    closeness = np.abs(directions)  # (3, 2)
    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
    return max(pairs, key=lambda pair: float(closeness[pair[0], 0] + closeness[pair[1], 1]))


def _letter(axis: int, sign: int) -> str:
    return _LETTERS[axis][sign > 0]
