"""Pictures to be looked at, and the report in a terminal."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from dicomnode.cli.views.evaluation_view import print_document, scan_progress
from dicomnode.weights.evaluation_gallery import LONGEST_SIDE, MOST_OF_A_LABEL, Gallery
from inference.covnet.engine import Engine
from inference.evaluation.report.document import (
    Document,
    Heading,
    Notice,
    Paragraph,
    Picture,
    Table,
)
from inference.findings import (
    Answer,
    FindingClass,
    Findings,
    ModelIdentity,
    RowColumnBox,
    SliceActivation,
    Training,
)
from inference.volume import CtVolume

SHAPE = (6, 40, 60)
OUTLINE = (255, 0, 255)


def volume(down: int = 1, right: int = 1, shape: tuple[int, int, int] = SHAPE) -> CtVolume:
    """-1: rows go to the front, or columns to the right, of the patient."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = 3.0, down, right, 1.0
    return CtVolume(np.full(shape, -800, np.int16), affine)


def findings(shape: tuple[int, int, int] = SHAPE) -> Findings:
    """Most heat in slice 4, all of it in the first rows; most of the share in slice 1."""
    whole = RowColumnBox(0, 0, shape[1], shape[2])
    activations = tuple(
        SliceActivation(index, whole, np.array([[heat], [0.0]], np.float32), share)
        for index, heat, share in ((1, 0.2, 0.9), (4, 1.0, 0.1))
    )
    classes = tuple(FindingClass(name, name, "99X", name, name.upper()) for name in "ab")
    model = ModelIdentity("x", "1", "0" * 64, Training.UNTRAINED)
    answer = Answer.of_probabilities(classes, (0.25, 0.75))
    return Findings(Engine.title, model, answer, {}, activations)


def lesions(shape: tuple[int, int, int] = SHAPE) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    marked = np.zeros(shape, np.bool_)
    marked[4, 5:11, 40:48] = True
    return marked


@pytest.mark.parametrize(("down", "right"), [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_a_scan_is_shown_upright_with_outline_and_heat(down: int, right: int) -> None:
    gallery = Gallery()
    gallery.offer("s1", "a", volume(down, right), findings(), lesions())
    (tile,) = gallery.tiles
    assert tile.words == "s1: a\nfound b, 75 %"
    assert tile.picture.shape == (40, 120, 3)
    upright = tile.picture[::down].copy()
    plain, hot = (half[:, ::right] for half in np.split(upright, 2, axis=1))
    for half in (plain, hot):
        edge = (half == OUTLINE).all(axis=-1)
        assert edge.sum() == 2 * 8 + 2 * 4
        assert edge[5, 40:48].all()
        assert not edge[7, 43]
    assert (plain[0] == plain[0, 0, 0]).all()
    assert np.ptp(hot[0, 0]) > 50
    assert np.ptp(hot[-1, 0]) == 0


def test_a_label_has_so_many_pictures_and_no_more() -> None:
    gallery = Gallery()
    for label in ("a", "b"):
        for number in range(MOST_OF_A_LABEL + 2):
            gallery.offer(f"{label}{number}", label, volume(), findings(), lesions())
    assert len(gallery.tiles) == 2 * MOST_OF_A_LABEL
    assert Gallery().tiles == []


def test_large_slices_are_made_smaller() -> None:
    shape = (6, 700, 640)
    gallery = Gallery()
    gallery.offer("s", "a", volume(shape=shape), findings(shape), lesions(shape))
    assert gallery.tiles[0].picture.shape[0] <= 1.1 * LONGEST_SIDE


def test_the_terminal_shows_all_but_pictures() -> None:
    out = io.StringIO()
    blocks = (
        Heading("Part"),
        Notice("[bold]careful[/bold]"),
        Paragraph("some words"),
        Table(("Group", "AUC"), (("[red]a", "0.96"),)),
        Picture("x.png", "a picture", b""),
    )
    print_document(Console(file=out, width=100), Document("Title", blocks))
    text = out.getvalue()
    for part in ("Title", "Part", "[bold]careful[/bold]", "some words", "[red]a", "0.96"):
        assert part in text
    assert "a picture" not in text


def test_progress_names_the_scan() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    with scan_progress(console) as told:
        told("scan-7", 1, 3)
    assert "scan-7" in out.getvalue()
    assert "1/3" in out.getvalue()
