"""The slices of a series in space: their order, their distances, and what is wrong with them.

Everything in LPS mm (PS3.3 C.7.6.2.1.1: x to the patient's left, y to posterior, z to the head).
Nothing raises: what hinders is named in `SliceStack.problems`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from enum import StrEnum
from itertools import pairwise
from statistics import median

from dicomnode.decisions.instance_header import InstanceHeader, Vector
from dicomnode.decisions.stack.rounding import before_rounding, rounding_unit

Orientation = tuple[float, float, float, float, float, float]
Affine = tuple[tuple[float, float, float, float], ...]

COSINE_TOLERANCE = 0.002
"""Direction cosines come as decimals of few digits; 0.002 is a tenth of a degree."""

SAME_POSITION_MM = 0.01
"""Two slices nearer than this are at the same place; scanners write positions to 0.001 mm."""

SAME_PIXEL_SPACING_MM = 0.0001
"""Pixel Spacing is written with at least four decimals; a change of zoom changes more."""

GAP_FACTOR = 1.5
"""A distance of half a slice more than usual means that a slice is missing."""


class StackProblem(StrEnum):
    """What keeps instances from being one even stack of slices."""

    NO_SLICES = "no slices"
    POSITION_MISSING = "Image Position (Patient) is missing"
    ORIENTATION_MISSING = "Image Orientation (Patient) is missing"
    ORIENTATION_INVALID = "row and column are not perpendicular unit vectors"
    MIXED_ORIENTATION = "slices of different orientation"
    PIXEL_SPACING_MISSING = "Pixel Spacing is missing"
    MIXED_PIXEL_SPACING = "slices of different pixel spacing"
    MATRIX_SIZE_MISSING = "Rows or Columns are missing"
    MIXED_MATRIX_SIZE = "slices of different matrix size"
    MIXED_FRAME_OF_REFERENCE = "slices of different frames of reference"
    MULTI_FRAME = "instances of several frames without functional groups"
    DUPLICATE_POSITION = "several slices at the same position"
    GAP = "slices missing between others"


@dataclass(frozen=True)
class SliceStack:
    """Slices sorted to the head (for axial ones), with their geometry.

    `headers`: by position along the normal, or by Instance Number where positions are missing.
    `spacings_mm`: along the normal, one fewer than the slices; as they were before positions were
    rounded, where an even stack explains them. `affine`: (slice, row, column, 1)
    to LPS mm, or None where the geometry does not allow it. `tilt_degrees`: the normal against
    the patient's axis (z). `shear_degrees`: the way from slice to slice against the normal, what a
    tilted gantry leaves.
    """

    headers: tuple[InstanceHeader, ...]
    problems: tuple[StackProblem, ...] = ()
    spacings_mm: tuple[float, ...] = ()
    affine: Affine | None = None
    tilt_degrees: float | None = None
    shear_degrees: float | None = None

    @property
    def slice_spacing_mm(self) -> float | None:
        """Median distance of neighbours that are not at the same position."""
        apart = [spacing for spacing in self.spacings_mm if spacing > SAME_POSITION_MM]
        return median(apart) if apart else None

    @property
    def largest_deviation_mm(self) -> float | None:
        """How far a spacing is from the median at most."""
        usual = self.slice_spacing_mm
        return None if usual is None else max(abs(s - usual) for s in self.spacings_mm)

    @property
    def gaps(self) -> tuple[int, ...]:
        """Indices of slices after which at least one is missing."""
        usual = self.slice_spacing_mm
        if usual is None:
            return ()
        return tuple(i for i, s in enumerate(self.spacings_mm) if s > GAP_FACTOR * usual)

    @property
    def duplicate_count(self) -> int:
        """Slices that share the position of the one before them."""
        return sum(1 for spacing in self.spacings_mm if spacing <= SAME_POSITION_MM)


def sort_slices(headers: Iterable[InstanceHeader]) -> SliceStack:
    """The stack of `headers`, the same for any order of them."""
    by_number = tuple(sorted(headers, key=number_key))  # sorting by position keeps this order
    problems = _attribute_problems(by_number)
    normal = _normal(by_number)
    if normal is None or StackProblem.POSITION_MISSING in problems:
        return SliceStack(by_number, problems)
    placed = tuple(sorted(by_number, key=lambda header: _along(normal, header)))
    written = [_along(normal, header) for header in placed]
    distances = before_rounding(written, _rounding_mm(placed, normal), stated_spacing(placed))
    spacings = tuple(b - a for a, b in pairwise(distances))
    step = _step(placed, normal)
    stack = SliceStack(
        headers=placed,
        spacings_mm=spacings,
        affine=_affine(placed[0], step),
        tilt_degrees=_degrees_between(normal, (0.0, 0.0, 1.0)),
        shear_degrees=_degrees_between(normal, step) if len(placed) > 1 else 0.0,
        problems=problems,
    )
    return _with_spacing_problems(stack)


def _rounding_mm(headers: Sequence[InstanceHeader], normal: Vector) -> float:
    """To what the places along the normal were rounded when the positions were written."""
    positions = [h.image_position_patient for h in headers if h.image_position_patient is not None]
    axes = zip(normal, zip(*positions, strict=True), strict=True)
    return sum(abs(share) * rounding_unit(values) for share, values in axes)


def stated_spacing(headers: Sequence[InstanceHeader]) -> float | None:
    """Spacing Between Slices (0018,0088) where all state the same; some write it negative."""
    stated = {header.spacing_between_slices for header in headers}
    spacing = next(iter(stated)) if len(stated) == 1 else None
    return abs(spacing) if spacing else None


def heights(headers: Sequence[InstanceHeader], stack: SliceStack) -> list[float]:
    """Where slices lie along the normal of a stack, mm; 0 where one has no position."""
    normal = _normal(stack.headers) or (0.0, 0.0, 0.0)
    return [_along(normal, header) for header in headers]


def places_in_plane(stack: SliceStack) -> tuple[float, float]:
    """Where the first pixel of the first slice lies along its rows and columns, mm."""
    first = stack.headers[0]
    if first.image_position_patient is None or first.image_orientation_patient is None:
        return (0.0, 0.0)
    row, column = _row_and_column(first.image_orientation_patient)
    return (_dot(row, first.image_position_patient), _dot(column, first.image_position_patient))


def reaches_beyond_mm(stack: SliceStack, chosen: SliceStack) -> tuple[float, float]:
    """How far a stack has slices beyond the first and the last of another; 0 where they do not
    compare."""
    both = (*stack.headers, *chosen.headers)
    apart = {StackProblem.MIXED_ORIENTATION, StackProblem.MIXED_FRAME_OF_REFERENCE}
    comparable = bool(stack.spacings_mm and chosen.spacings_mm)
    if not comparable or apart & set(_attribute_problems(both)):
        return (0.0, 0.0)
    own, others = heights(stack.headers, chosen), heights(chosen.headers, chosen)
    return max(0.0, others[0] - min(own)), max(0.0, max(own) - others[-1])


@dataclass(frozen=True)
class _Written:
    """Orders headers by all they say; slow, so it stands last in a key."""

    header: InstanceHeader

    def __lt__(self, other: _Written) -> bool:
        return self._all < other._all

    @property
    def _all(self) -> tuple[str, tuple[str, ...]]:
        """The patient's attributes besides, which no repr tells."""
        return repr(self.header), astuple(self.header.patient)


NumberKey = tuple[float, str, int, _Written]


def number_key(header: InstanceHeader) -> NumberKey:
    """Instance Number; what follows only makes the order the same for any order of arrival."""
    number = math.inf if header.instance_number is None else header.instance_number
    return (number, header.sop_instance_uid, header.frame_number or 0, _Written(header))


def _attribute_problems(headers: Sequence[InstanceHeader]) -> tuple[StackProblem, ...]:
    """Problems that the attributes show before anything is sorted, in the order of the enum."""
    found = {
        StackProblem.NO_SLICES: not headers,
        StackProblem.POSITION_MISSING: any(h.image_position_patient is None for h in headers),
        StackProblem.ORIENTATION_MISSING: any(h.image_orientation_patient is None for h in headers),
        StackProblem.ORIENTATION_INVALID: not all(map(_orientation_valid, headers)),
        StackProblem.MIXED_ORIENTATION: _differ(
            [h.image_orientation_patient for h in headers], COSINE_TOLERANCE
        ),
        StackProblem.PIXEL_SPACING_MISSING: any(h.pixel_spacing is None for h in headers),
        StackProblem.MIXED_PIXEL_SPACING: _differ(
            [h.pixel_spacing for h in headers], SAME_PIXEL_SPACING_MM
        ),
        StackProblem.MATRIX_SIZE_MISSING: any(None in {h.rows, h.columns} for h in headers),
        StackProblem.MIXED_MATRIX_SIZE: len({(h.rows, h.columns) for h in headers}) > 1,
        StackProblem.MIXED_FRAME_OF_REFERENCE: len({h.frame_of_reference_uid for h in headers}) > 1,
        StackProblem.MULTI_FRAME: any(map(_undescribed, headers)),
    }
    return tuple(problem for problem, is_there in found.items() if is_there)


def _undescribed(header: InstanceHeader) -> bool:
    """Several frames, of which nothing tells where they lie."""
    return header.number_of_frames > 1 and header.frame_number is None


def _differ(values: Sequence[tuple[float, ...] | None], tolerance: float) -> bool:
    """Whether the largest and the smallest of any component are further apart than tolerated."""
    components = zip(*(value for value in values if value is not None), strict=True)
    return any(max(component) - min(component) > tolerance for component in components)


def _orientation_valid(header: InstanceHeader) -> bool:
    if header.image_orientation_patient is None:
        return True  # another problem names it
    row, column = _row_and_column(header.image_orientation_patient)
    lengths_right = all(abs(_dot(v, v) - 1) <= 2 * COSINE_TOLERANCE for v in (row, column))
    return lengths_right and abs(_dot(row, column)) <= COSINE_TOLERANCE


def _normal(headers: Sequence[InstanceHeader]) -> Vector | None:
    """Unit normal of the commonest orientation, its largest component positive."""
    known = Counter(
        h.image_orientation_patient
        for h in headers
        if h.image_orientation_patient is not None and _orientation_valid(h)
    )
    if not known:
        return None
    # the second key makes the choice the same for any order of the instances
    orientation = max(known, key=lambda o: (known[o], o))
    cross = _cross(*_row_and_column(orientation))
    length = math.copysign(math.hypot(*cross), max(cross, key=abs))
    return (cross[0] / length, cross[1] / length, cross[2] / length)


def _along(normal: Vector, header: InstanceHeader) -> float:
    return _dot(normal, header.image_position_patient or (0.0, 0.0, 0.0))


def _step(headers: Sequence[InstanceHeader], normal: Vector) -> Vector:
    """Mean way from one slice to the next; for a single slice its thickness along the normal."""
    first, last = headers[0].image_position_patient, headers[-1].image_position_patient
    if len(headers) > 1 and first is not None and last is not None:
        n = len(headers) - 1
        return ((last[0] - first[0]) / n, (last[1] - first[1]) / n, (last[2] - first[2]) / n)
    thickness = headers[0].slice_thickness or 1.0
    return (normal[0] * thickness, normal[1] * thickness, normal[2] * thickness)


def _affine(first: InstanceHeader, step: Vector) -> Affine | None:
    """(slice, row, column, 1) to LPS mm: equation C.7.6.2.1-1 of PS3.3, with the slice added.

    Pixel Spacing is (between rows, between columns); the next row lies along the column cosines.
    """
    origin, orientation = first.image_position_patient, first.image_orientation_patient
    spacing = first.pixel_spacing
    if origin is None or orientation is None or spacing is None:
        return None
    row, column = _row_and_column(orientation)
    if abs(_dot(_cross(row, column), step)) <= SAME_POSITION_MM:
        return None
    lines = zip(step, column, row, origin, strict=True)
    placed = tuple((s, c * spacing[0], r * spacing[1], o) for s, c, r, o in lines)
    return (*placed, (0.0, 0.0, 0.0, 1.0))


def _with_spacing_problems(stack: SliceStack) -> SliceStack:
    problems = stack.problems
    if stack.duplicate_count:
        problems += (StackProblem.DUPLICATE_POSITION,)
    if stack.gaps:
        problems += (StackProblem.GAP,)
    return replace(stack, problems=problems)


def _row_and_column(orientation: Orientation) -> tuple[Vector, Vector]:
    a, b, c, d, e, f = orientation
    return (a, b, c), (d, e, f)


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def _degrees_between(a: Vector, b: Vector) -> float:
    """Angle of two lines, 0 to 90 degrees."""
    return math.degrees(math.atan2(math.hypot(*_cross(a, b)), abs(_dot(a, b))))
