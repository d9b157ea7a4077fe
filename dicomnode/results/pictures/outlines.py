"""Boxes of regions on a shown slice, each with its number.

White on black: a line that is seen on lung, on bone and on every colour of a heatmap, and by a
colour-blind reader; which region it is, its number says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from dicomnode.results.common.view import View
from dicomnode.results.pictures.lettering import font_of

Rectangle = tuple[float, float, float, float]  # left, top, right, bottom, in pixels of the screen

_WHITE = (255, 255, 255)
_BLACK = (0, 0, 0)
_LETTERS_PART = 32
"""The letters of a number are this part of the square's side high: 16 pixels of 512."""


@dataclass(frozen=True)
class Outline:
    """Half-open box of pixels of the picture as stored, and the number that stands beside it."""

    number: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    def within(self, rows: slice, columns: slice) -> Outline:
        """The same on a part of the picture."""
        return Outline(
            self.number,
            (self.rows[0] - rows.start, self.rows[1] - rows.start),
            (self.columns[0] - columns.start, self.columns[1] - columns.start),
        )


@dataclass(frozen=True)
class Fit:
    """How a stored picture of `shape` (rows, columns) lies upright in a square of `size` pixels."""

    shape: tuple[int, int]
    view: View
    size: int

    @property
    def shown(self) -> tuple[int, int]:
        """Pixels of the source from top to bottom and from left to right, upright."""
        rows, columns = self.shape
        return (columns, rows) if self.view.transpose else (rows, columns)

    @property
    def target(self) -> tuple[int, int]:
        """Width and height in pixels of the screen; the proportions are the patient's."""
        down, right = self.shown
        height_mm, width_mm = down * self.view.down_mm, right * self.view.right_mm
        scale = self.size / max(height_mm, width_mm)
        return max(1, round(width_mm * scale)), max(1, round(height_mm * scale))

    @property
    def corner(self) -> tuple[int, int]:
        """Where in the square its left upper corner lies."""
        width, height = self.target
        return (self.size - width) // 2, (self.size - height) // 2

    def rectangle(self, outline: Outline) -> Rectangle:
        """The edges of an outline in the square."""
        down, right = self.shown
        tall, wide = outline.rows, outline.columns
        if self.view.transpose:
            tall, wide = wide, tall
        if self.view.flip_down:
            tall = down - tall[1], down - tall[0]
        if self.view.flip_right:
            wide = right - wide[1], right - wide[0]
        (width, height), (x, y) = self.target, self.corner
        left, far = (x + each * width / right for each in wide)
        top, bottom = (y + each * height / down for each in tall)
        return left, top, far, bottom


def draw_outlines(
    canvas: Image.Image, corner: tuple[int, int], fit: Fit, outlines: Sequence[Outline]
) -> None:
    """Draw the part of each that lies in the square whose left upper corner is `corner`.

    A number stands where it covers no other one, if there is such a place at its box.
    """
    square = (corner[0], corner[1], corner[0] + fit.size - 1, corner[1] + fit.size - 1)
    pen = ImageDraw.Draw(canvas)
    taken: list[Rectangle] = []
    for outline in outlines:
        left, top, right, bottom = fit.rectangle(outline)
        moved = (left + corner[0], top + corner[1], right + corner[0], bottom + corner[1])
        box = _cut(moved, square)
        if box is not None:
            _draw_box(pen, box)
            taken.append(_draw_number(pen, box, square, str(outline.number), fit.size, taken))


def _cut(box: Rectangle, square: Rectangle) -> Rectangle | None:
    """The part within the square; None when there is none."""
    left, top = max(box[0], square[0]), max(box[1], square[1])
    right, bottom = min(box[2], square[2]), min(box[3], square[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


def _draw_box(pen: ImageDraw.ImageDraw, box: Rectangle) -> None:
    """A white line with a black one at either side, outside the box as far as there is room."""
    left, top, right, bottom = (round(each) for each in box)
    pen.rectangle((left - 2, top - 2, right + 1, bottom + 1), outline=_BLACK, width=3)
    pen.rectangle((left - 1, top - 1, right, bottom), outline=_WHITE, width=1)


def _draw_number(
    pen: ImageDraw.ImageDraw,
    box: Rectangle,
    square: Rectangle,
    number: str,
    size: int,
    taken: Sequence[Rectangle],
) -> Rectangle:
    """The number in white on a black plate at a corner of the box; returns the plate's place."""
    font = font_of(max(11, size // _LETTERS_PART))
    width, height = font.getlength(number) + 6, font.size + 4
    plates = [_inside(each, square) for each in _corners(box, width, height)]
    free = [plate for plate in plates if not any(_overlap(plate, other) for other in taken)]
    plate = (free or plates)[0]
    pen.rectangle(plate, fill=_BLACK, outline=_WHITE)
    middle = ((plate[0] + plate[2]) / 2, (plate[1] + plate[3]) / 2)
    pen.text(middle, number, _WHITE, font, anchor="mm")
    return plate


def _corners(box: Rectangle, width: float, height: float) -> list[Rectangle]:
    """Plates outside the box, above it and below, at the left and at the right."""
    left, top, right, bottom = box
    places = [
        (left - 2, top - 2 - height),
        (right + 2 - width, top - 2 - height),
        (left - 2, bottom + 2),
        (right + 2 - width, bottom + 2),
    ]
    return [(x, y, x + width, y + height) for x, y in places]


def _inside(plate: Rectangle, square: Rectangle) -> Rectangle:
    """The plate, shifted so that it lies within the square."""
    width, height = plate[2] - plate[0], plate[3] - plate[1]
    left = min(max(plate[0], square[0]), square[2] - width)
    top = min(max(plate[1], square[1]), square[3] - height)
    return left, top, left + width, top + height


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
