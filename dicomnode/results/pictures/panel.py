"""The drawing of one key slice: what is burned into the pixels of a Secondary Capture.

No letter lies on the slice but the numbers of regions beside their boxes: banner above,
orientation letters in margins of their own, colour bar at the right, position and answers below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicomnode.results.common.view import View
from dicomnode.results.pictures.heatmap import jet
from dicomnode.results.pictures.lettering import font_for, font_of, pixel_text
from dicomnode.results.pictures.outlines import Fit, Outline, draw_outlines

SLICE_SIZE = 512  # pixels of the square that a slice is fitted into
MARGIN = 22  # for the letters at both sides
BAR = 44  # for the colour bar and its numbers
BANNER = 54
LINE_SIZES = (20, 17)  # of the letters below: of the first line, of all others
FOOTER = 50  # for two lines
LINE_GAP = 5
PANEL_WIDTH = MARGIN + SLICE_SIZE + MARGIN + BAR
PANEL_HEIGHT = BANNER + SLICE_SIZE + FOOTER

_BLACK = (0, 0, 0)
_WHITE = (255, 255, 255)
_LETTER = (255, 220, 90)
_GREY = (200, 200, 200)
_WARNING = (150, 0, 0)  # behind white: contrast 9.4 to 1
_CALM = (30, 50, 80)
_RESEARCH_BANNER = "RESEARCH ONLY - not for primary diagnosis"


@dataclass(frozen=True)
class Caption:
    """The words on a picture; `warning`, where there is one, in large letters in the banner."""

    warning: str | None
    lines: tuple[str, ...]


def draw_panel(
    picture: NDArray[np.uint8],
    view: View,
    caption: Caption,
    outlines: Sequence[Outline] = (),
    bar: bool = True,
) -> NDArray[np.uint8]:
    """RGB (PANEL_HEIGHT, PANEL_WIDTH, 3) of one slice, a line higher for each line of
    words beyond two.

    `picture`: RGB (rows, columns, 3) as stored; it is turned by `view` here, and the outlines with
    it. `bar`: whether the picture has activations in colour.
    """
    height = BANNER + SLICE_SIZE + footer_height(FOOTER, caption, LINE_SIZES)
    canvas = _empty_panel(height, caption.warning, bar).copy()
    corner = (MARGIN, BANNER)
    canvas.paste(fitted(picture, view, SLICE_SIZE), corner)
    draw_outlines(canvas, corner, Fit(picture.shape[:2], view, SLICE_SIZE), outlines)
    _draw_letters(canvas, view)
    draw_lines(canvas, BANNER + SLICE_SIZE + 2, caption.lines, LINE_SIZES)
    return np.asarray(canvas)


@lru_cache(maxsize=4)
def _empty_panel(height: int, warning: str | None, bar: bool) -> Image.Image:
    """What all panels of a series have alike."""
    canvas = Image.new("RGB", (PANEL_WIDTH, height), _BLACK)
    draw_banner(canvas, BANNER, warning)
    if bar:
        _draw_bar(canvas)
    return canvas


def footer_height(of_two: int, caption: Caption, sizes: tuple[int, int]) -> int:
    """Room for the lines of words, where two lines need `of_two` pixels."""
    return of_two + max(0, len(caption.lines) - 2) * (sizes[1] + LINE_GAP)


def fitted(picture: NDArray[np.uint8], view: View, size: int) -> Image.Image:
    """The slice upright in a black square of `size` pixels, its true proportions kept."""
    shown = view.upright(picture) if picture.ndim == 2 else _upright_colour(picture, view)
    fit = Fit(picture.shape[:2], view, size)
    image = Image.fromarray(np.ascontiguousarray(shown))
    if image.size != fit.target:
        image = image.resize(fit.target, Image.Resampling.BILINEAR)
    square = Image.new("RGB", (size, size), _BLACK)
    square.paste(image, fit.corner)
    return square


def _upright_colour(picture: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    return np.stack([view.upright(picture[..., channel]) for channel in range(3)], axis=2)


def draw_banner(canvas: Image.Image, height: int, warning: str | None) -> None:
    """The banner over the whole width: the warning large, that it is research under it."""
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((0, 0, canvas.width - 1, height - 1), fill=_WARNING if warning else _CALM)
    room = canvas.width - 12
    if warning is None:
        font = font_for(_RESEARCH_BANNER, 26, room)
        pen.text((canvas.width / 2, height / 2), _RESEARCH_BANNER, _WHITE, font, anchor="mm")
        return
    large = font_for(pixel_text(warning), 26, room)
    small = font_for(_RESEARCH_BANNER, 17, room)
    middle = canvas.width / 2
    pen.text((middle, height * 0.33), pixel_text(warning), _WHITE, large, anchor="mm")
    pen.text((middle, height * 0.79), _RESEARCH_BANNER, _WHITE, small, anchor="mm")


def draw_lines(
    canvas: Image.Image, top: int, lines: tuple[str, ...], sizes: tuple[int, int]
) -> None:
    """Lines of text one below the other, each as large as its size and the width allow."""
    pen = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        size, text = sizes[min(number, 1)], pixel_text(line)
        font = font_for(text, size, canvas.width - 12)
        pen.text((6, top + size / 2 + 2), text, _WHITE, font, anchor="lm")
        top += size + LINE_GAP


def _draw_letters(canvas: Image.Image, view: View) -> None:
    pen = ImageDraw.Draw(canvas)
    middle = BANNER + SLICE_SIZE / 2
    right = MARGIN + SLICE_SIZE + MARGIN / 2
    for x, letter in ((MARGIN / 2, view.left), (right, view.right)):
        pen.text((x, middle), letter, _LETTER, font_of(22), anchor="mm")


def _draw_bar(canvas: Image.Image) -> None:
    """Jet from 0 to 1; what is below the threshold is not drawn on the slice, yet belongs here."""
    pen = ImageDraw.Draw(canvas)
    left, top, bottom = PANEL_WIDTH - BAR + 2, BANNER + 30, BANNER + SLICE_SIZE - 30
    values = np.linspace(1.0, 0.0, bottom - top, dtype=np.float32)
    colours = np.rint(255.0 * jet(values)).astype(np.uint8)
    canvas.paste(Image.fromarray(np.repeat(colours[:, np.newaxis], 12, axis=1)), (left, top))
    for value in (1.0, 0.75, 0.5, 0.25, 0.0):
        y = bottom - value * (bottom - top)
        pen.text((left + 15, y), f"{value:.2f}"[:4], _GREY, font_of(11), anchor="lm")
    pen.text((PANEL_WIDTH - 2, top - 19), "relative", _GREY, font_of(11), anchor="rm")
    pen.text((PANEL_WIDTH - 2, bottom + 18), "activation", _GREY, font_of(10), anchor="rm")
