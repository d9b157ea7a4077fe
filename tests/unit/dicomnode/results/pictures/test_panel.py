from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dicomnode.results.common.view import view_of
from dicomnode.results.pictures.lettering import font_for, pixel_text
from dicomnode.results.pictures.montage import MONTAGE_HEIGHT, MONTAGE_WIDTH, Tile, draw_montage
from dicomnode.results.pictures.panel import (
    BANNER,
    MARGIN,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    SLICE_SIZE,
    Caption,
    draw_panel,
    fitted,
)
from support.result_samples import affine_of

WARNING = "UNTRAINED WEIGHTS – no clinical meaning"
LINES = ("CT slice 1/2", "COVID-19 12.0 %")
AXIAL = view_of(affine_of())
PICTURE = np.random.default_rng(0).integers(0, 255, (512, 512, 3)).astype(np.uint8)


def slice_area(panel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return panel[BANNER : BANNER + SLICE_SIZE, MARGIN : MARGIN + SLICE_SIZE]


def test_nothing_is_drawn_over_the_slice() -> None:
    panel = draw_panel(PICTURE, AXIAL, Caption(WARNING, LINES))
    assert panel.shape == (PANEL_HEIGHT, PANEL_WIDTH, 3)
    assert (slice_area(panel) == PICTURE).all()


def test_the_slice_is_turned_as_the_affine_says() -> None:
    mirrored = view_of(affine_of((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)))
    panel = draw_panel(PICTURE, mirrored, Caption(None, LINES))
    assert (slice_area(panel) == PICTURE[:, ::-1]).all()


def test_letters_stand_in_both_margins_and_differ() -> None:
    panel = draw_panel(np.zeros_like(PICTURE), AXIAL, Caption(None, LINES))
    middle = slice(BANNER + 200, BANNER + 312)
    left = panel[middle, :MARGIN]
    right = panel[middle, MARGIN + SLICE_SIZE : MARGIN + SLICE_SIZE + MARGIN]
    assert left.max() > 200
    assert right.max() > 200
    assert (left != right).any()


def test_the_warning_fills_the_banner() -> None:
    """White letters over more than half of the width, and as high as the largest letters are."""
    banner = draw_panel(PICTURE, AXIAL, Caption(WARNING, LINES))[:BANNER]
    rows, columns = np.nonzero((banner > 230).all(axis=2))
    assert np.ptp(columns) > PANEL_WIDTH / 2
    assert np.count_nonzero(rows < BANNER * 0.6) > np.count_nonzero(rows >= BANNER * 0.6)
    assert tuple(banner[0, 0]) == (150, 0, 0)


def test_trained_weights_have_no_red_banner() -> None:
    banner = draw_panel(PICTURE, AXIAL, Caption(None, LINES))[:BANNER]
    assert tuple(banner[0, 0]) != (150, 0, 0)
    assert (banner > 230).all(axis=2).any()  # yet it says that it is research


def test_proportions_are_kept() -> None:
    view = view_of(affine_of())
    white = np.full((100, 200, 3), 255, np.uint8)
    shown = np.asarray(fitted(white, view, 100))
    rows, columns = np.nonzero(shown[..., 0])
    assert (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1) == (50, 100)
    assert (int(rows.min()), int(columns.min())) == (25, 0)


@pytest.mark.parametrize(
    "text", [WARNING, "x" * 90, "DEMONSTRATION – trained on simulated lesions"]
)
def test_text_fits_its_room(text: str) -> None:
    assert font_for(pixel_text(text), 26, 588).getlength(pixel_text(text)) <= 588


def test_pixel_text_has_only_glyphs_of_the_font() -> None:
    assert pixel_text("a – b − c é") == "a - b - c ?"


def test_montage_takes_up_to_nine_tiles() -> None:
    tiles = [Tile(np.full((8, 8, 3), 20 * i, np.uint8), f"{i}") for i in range(1, 10)]
    montage = draw_montage(tiles, AXIAL, Caption(WARNING, LINES))
    assert montage.shape == (MONTAGE_HEIGHT, MONTAGE_WIDTH, 3)
    centres = [
        tuple(montage[62 + 128 + r * 278, 128 + c * 256]) for r in range(3) for c in range(3)
    ]
    assert centres == [(20 * i,) * 3 for i in range(1, 10)]
    with pytest.raises(ValueError, match="10 tiles"):
        draw_montage([*tiles, tiles[0]], AXIAL, Caption(None, LINES))
