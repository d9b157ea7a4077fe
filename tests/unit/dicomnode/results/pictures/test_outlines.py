"""Boxes of regions on the pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dicomnode.results.common.view import view_of
from dicomnode.results.pictures.capture import secondary_captures
from dicomnode.results.pictures.capture_text import (
    MOST_OUTLINES,
    montage_lines,
    outlines_on,
    panel_lines,
)
from dicomnode.results.pictures.outlines import Fit, Outline, draw_outlines
from dicomnode.results.pictures.panel import BANNER, MARGIN, PANEL_HEIGHT, SLICE_SIZE
from inference.findings import MethodTitle
from inference.regions import VoxelBox
from support.region_samples import BOX, COVID, FLU, NOTHING, region, regions
from support.result_samples import affine_of, context, findings, volume

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
TURNED = (0.0, 1.0, 0.0, 1.0, 0.0, 0.0)  # rows go to the back, columns to the left
FIRST_BOX = Outline(1, (10, 30), (50, 70))
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def drawn(*outlines: Outline, grey: int = 128, size: int = 200) -> NDArray[np.uint8]:
    """On a square of 100 x 100 pixels of a source, two pixels of the screen for each."""
    canvas = Image.new("RGB", (size, size), (grey,) * 3)
    view = view_of(affine_of(pixel_mm=1.0))
    draw_outlines(canvas, (0, 0), Fit((100, 100), view, size), outlines)
    return np.asarray(canvas)


@pytest.mark.parametrize(
    ("orientation", "edges"),
    [
        (AXIAL, (100, 20, 140, 60)),
        ((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (60, 20, 100, 60)),
        ((1.0, 0.0, 0.0, 0.0, -1.0, 0.0), (100, 140, 140, 180)),
        (TURNED, (20, 100, 60, 140)),
    ],
)
def test_the_box_turns_with_the_slice(
    orientation: tuple[float, ...], edges: tuple[float, ...]
) -> None:
    fit = Fit((100, 100), view_of(affine_of(orientation)), 200)
    assert fit.rectangle(FIRST_BOX) == edges


def test_in_a_wide_slice_the_box_is_where_the_picture_is() -> None:
    fit = Fit((50, 100), view_of(affine_of()), 200)  # 50 pixels of the screen above and below
    assert fit.target == (200, 100)
    assert fit.rectangle(FIRST_BOX) == (100, 70, 140, 110)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_the_line_is_seen_on_dark_and_on_light(grey: int) -> None:
    """White with black at both sides, about the box: nothing in it is hidden."""
    pixels = drawn(FIRST_BOX, grey=grey)
    assert [tuple(pixels[40, x]) for x in (98, 99, 100)] == [BLACK, WHITE, BLACK]
    assert (pixels[23:58, 103:138] == grey).all()


def test_numbers_cover_neither_one_another_nor_the_boxes() -> None:
    """Two boxes whose upper corners touch: the second number stands elsewhere."""
    alone, both = drawn(FIRST_BOX), drawn(FIRST_BOX, Outline(2, (11, 31), (52, 72)))
    plate = (alone != 128).any(axis=2)[:18]
    assert plate.any()
    assert (both[:18][plate] == alone[:18][plate]).all()
    assert (both[:18, 126:144] != 128).any()


def test_at_the_edge_the_number_stays_in_the_picture() -> None:
    pixels = drawn(Outline(12, (0, 20), (90, 100)))
    plate = pixels[:16, -24:]
    assert np.count_nonzero((plate == 255).all(axis=2)) > 20


def test_what_lies_outside_is_not_drawn() -> None:
    assert (drawn(Outline(1, (10, 30), (101, 120))) == 128).all()
    cut = Outline(1, (40, 60), (50, 70)).within(slice(30, 80), slice(45, 95))
    assert cut == Outline(1, (10, 30), (5, 25))


def test_a_slice_shows_the_boxes_of_the_infections_that_it_cuts() -> None:
    """Slices 4 to 6 of the sample; the numbers are those of the report."""
    found = regions(region(FLU, 0.6), region(NOTHING, 0.99), region(COVID, 0.9))
    whole = context(regions=found)
    box = (BOX.rows, BOX.columns)
    assert outlines_on(whole, 6) == (Outline(1, *box), Outline(2, *box))
    assert outlines_on(whole, 7) == outlines_on(context(), 6) == ()
    many = context(regions=regions(*(region(COVID, 0.9 - n / 100) for n in range(20))))
    assert [each.number for each in outlines_on(many, 5)] == list(range(1, MOST_OUTLINES + 1))


def test_montage_and_panels_show_the_middle_of_a_region_and_its_box() -> None:
    """A region on slice 1, where next to no share lies: the last panel of ten."""
    box = VoxelBox((1, 2), (20, 40), (50, 66))
    whole = context(regions=regions(region(COVID, 0.87, box)))
    montage, *panels = (each.data_set for each in secondary_captures(whole))
    assert len(panels) == 10
    for picture in (montage, panels[-1]):
        shown = [item.ReferencedSOPInstanceUID for item in picture.SourceImageSequence]
        assert shown[-1].endswith(".2")
    without = secondary_captures(context())[0].data_set
    assert len(montage.SourceImageSequence) == len(without.SourceImageSequence) == 9
    scale = SLICE_SIZE / 80  # 60 rows of 80 columns, 64 pixels of black above
    pixels = panels[-1].pixel_array
    assert pixels.shape[0] == PANEL_HEIGHT + 22  # a line more
    row = BANNER + 64 + round(30 * scale)
    column = MARGIN + round(50 * scale)
    assert tuple(pixels[row, column - 1]) == WHITE
    assert tuple(pixels[row, column - 2]) == tuple(pixels[row, column]) == BLACK


def test_the_box_turns_with_the_picture() -> None:
    """Mirrored columns: the box lies at the other side of the panel."""
    box = VoxelBox((7, 8), (20, 40), (50, 66))
    mirrored = volume(affine_of((-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)))
    whole = context(regions=regions(region(COVID, 0.87, box)), volume=mirrored)
    pixels = secondary_captures(whole)[1].data_set.pixel_array
    scale = SLICE_SIZE / 80
    row = BANNER + 64 + round(30 * scale)
    assert tuple(pixels[row, MARGIN + round((80 - 66) * scale) - 1]) == WHITE


def test_the_words_under_a_picture() -> None:
    found = regions(region(FLU, 0.6), region(COVID, 0.9), region(COVID, 0.5))
    whole = context(regions=found)
    on, off = (
        next(key for key in whole.slices_shown(whole.with_heat[0]) if key.slice_index == index)
        for index in (5, 8)
    )
    assert panel_lines(whole, on, whole.with_heat[0])[2] == (
        "Regions: COVID-19: 1 (0.90), 3 (0.50); influenza-A viral pneumonia: 2 (0.60)"
    )
    assert panel_lines(whole, off, whole.with_heat[0])[2] == "Regions: COVID-19; none on this slice"
    assert montage_lines(whole, whole.with_heat[0])[2] == (
        "By regions: COVID-19. Boxes: its 3 infections, 1 the surest. Location attention 0.2.0"
    )
    alone = context()
    assert (
        len(panel_lines(alone, on, alone.with_heat[0]))
        == len(montage_lines(alone, alone.with_heat[0]))
        == 2
    )


def test_with_the_heat_of_two_methods_a_panel_says_whose_it_shows() -> None:
    other = MethodTitle("texture", "classification of the texture", "by texture", "by texture")
    whole = context()
    both = replace(whole, outcomes=[*whole.outcomes, replace(findings(), title=other)])
    for heat, whose in zip(both.with_heat, ("by the whole lungs", "by texture"), strict=True):
        key, *_ = both.slices_shown(heat)
        lines = panel_lines(both, key, heat)
        assert lines[0].endswith(f"of the evidence {whose}")
        assert lines[2].startswith("Texture: COVID-19 12.5 %")
