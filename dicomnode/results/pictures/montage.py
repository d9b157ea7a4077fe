"""The montage: the key slices at a glance, three by three, the largest share first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dicomnode.results.common.view import View
from dicomnode.results.pictures.lettering import font_for, font_of, pixel_text
from dicomnode.results.pictures.outlines import Fit, Outline, draw_outlines
from dicomnode.results.pictures.panel import Caption, draw_banner, draw_lines, fitted, footer_height

TILES_ACROSS = 3
TILE_SIZE = 256
TILE_STRIP = 22  # under each tile: letters and place
MONTAGE_BANNER = 62
MONTAGE_FOOTER = 54  # for two lines
LINE_SIZES = (22, 17)
MONTAGE_WIDTH = TILES_ACROSS * TILE_SIZE
MONTAGE_HEIGHT = MONTAGE_BANNER + TILES_ACROSS * (TILE_SIZE + TILE_STRIP) + MONTAGE_FOOTER
_LETTER = (255, 220, 90)
_WHITE = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Tile:
    """One slice of the montage: RGB (rows, columns, 3) as stored, what stands under it, and the
    outlines on it."""

    picture: NDArray[np.uint8]
    label: str
    outlines: tuple[Outline, ...] = ()


def draw_montage(tiles: Sequence[Tile], view: View, caption: Caption) -> NDArray[np.uint8]:
    """RGB (MONTAGE_HEIGHT, MONTAGE_WIDTH, 3) of at most nine tiles, row by row; a line higher for
    each line of words beyond two.

    Raises:
        ValueError: there are more than nine tiles.
    """
    if len(tiles) > TILES_ACROSS**2:
        raise ValueError(f"{len(tiles)} tiles, but room for {TILES_ACROSS**2}")
    footer = footer_height(MONTAGE_FOOTER, caption, LINE_SIZES)
    canvas = Image.new("RGB", (MONTAGE_WIDTH, MONTAGE_HEIGHT - MONTAGE_FOOTER + footer))
    draw_banner(canvas, MONTAGE_BANNER, caption.warning)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, TILES_ACROSS)
        corner = (column * TILE_SIZE, MONTAGE_BANNER + row * (TILE_SIZE + TILE_STRIP))
        _draw_tile(canvas, corner, tile, view)
    draw_lines(canvas, MONTAGE_HEIGHT - MONTAGE_FOOTER + 2, caption.lines, LINE_SIZES)
    return np.asarray(canvas)


def _draw_tile(canvas: Image.Image, corner: tuple[int, int], tile: Tile, view: View) -> None:
    canvas.paste(fitted(tile.picture, view, TILE_SIZE), corner)
    draw_outlines(canvas, corner, Fit(tile.picture.shape[:2], view, TILE_SIZE), tile.outlines)
    pen = ImageDraw.Draw(canvas)
    left, middle = corner[0], corner[1] + TILE_SIZE + TILE_STRIP / 2
    letters = font_of(16)
    pen.text((left + 5, middle), view.left, _LETTER, letters, anchor="lm")
    pen.text((left + TILE_SIZE - 6, middle), view.right, _LETTER, letters, anchor="rm")
    label = pixel_text(tile.label)
    font = font_for(label, 13, TILE_SIZE - 44)
    pen.text((left + TILE_SIZE / 2, middle), label, _WHITE, font, anchor="mm")
