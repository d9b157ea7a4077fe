"""Slices in space: order, distances, affine, and every problem by its name."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.stack.geometry import SliceStack, StackProblem, sort_slices
from support.ct_headers import ct_header, ct_series, real_series

TILTED = (1.0, 0.0, 0.0, 0.0, math.cos(math.radians(18.5)), -math.sin(math.radians(18.5)))


def at(stack: SliceStack, index: tuple[float, float, float]) -> list[float]:
    assert stack.affine is not None
    lps = np.array(stack.affine) @ np.array([*index, 1.0])
    return [round(float(value), 6) for value in lps[:3]]


@pytest.mark.parametrize(
    "orientation",
    [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (-1, 0, 0, 0, 1, 0)],
    ids=["supine", "prone", "mirrored"],
)
def test_axial_slices_ascend_to_the_head(orientation: tuple[float, ...]) -> None:
    stack = sort_slices(ct_series(5, 2.0, image_orientation_patient=orientation))
    heights = [h.image_position_patient[2] for h in stack.headers if h.image_position_patient]
    assert heights == sorted(heights)
    assert stack.spacings_mm == (2.0, 2.0, 2.0, 2.0)
    assert stack.slice_spacing_mm == pytest.approx(2.0)
    assert stack.largest_deviation_mm == pytest.approx(0.0)
    assert (stack.tilt_degrees, stack.shear_degrees) == (0.0, 0.0)
    assert stack.problems == ()


def test_affine_puts_every_pixel_at_its_place() -> None:
    """By hand after PS3.3 C.7.6.2.1.1: the column index runs along the row cosines."""
    stack = sort_slices(ct_series(3, 2.0, pixel_spacing=(0.5, 0.25)))
    assert at(stack, (0, 0, 0)) == [-180.0, -170.0, 2.0]
    assert at(stack, (2, 0, 0)) == [-180.0, -170.0, 6.0]
    assert at(stack, (0, 10, 0)) == [-180.0, -165.0, 2.0]
    assert at(stack, (0, 0, 10)) == [-177.5, -170.0, 2.0]


def test_a_coronal_stack_is_sorted_along_its_own_normal() -> None:
    coronal = [ct_header(i, image_orientation_patient=(1, 0, 0, 0, 0, -1)) for i in range(1, 5)]
    placed = [
        replace(h, image_position_patient=(0.0, -3.0 * i, 9.0)) for i, h in enumerate(coronal)
    ]
    stack = sort_slices(placed)
    assert [h.instance_number for h in stack.headers] == [4, 3, 2, 1]
    assert stack.slice_spacing_mm == pytest.approx(3.0)
    assert stack.tilt_degrees == pytest.approx(90.0)
    assert at(stack, (1, 0, 0)) == [0.0, -6.0, 9.0]


def test_a_tilted_gantry_leaves_a_shear_that_the_affine_keeps() -> None:
    stack = sort_slices(ct_series(4, 4.0, image_orientation_patient=TILTED))
    assert stack.tilt_degrees == pytest.approx(18.5)
    assert stack.shear_degrees == pytest.approx(18.5)
    assert stack.slice_spacing_mm == pytest.approx(4.0 * math.cos(math.radians(18.5)))
    assert at(stack, (3, 0, 0)) == [-180.0, -170.0, 16.0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"image_position_patient": None}, StackProblem.POSITION_MISSING),
        ({"image_orientation_patient": None}, StackProblem.ORIENTATION_MISSING),
        ({"image_orientation_patient": (1, 0, 0, 0.5, 1, 0)}, StackProblem.ORIENTATION_INVALID),
        ({"image_orientation_patient": (0, 0, 0, 0, 0, 0)}, StackProblem.ORIENTATION_INVALID),
        ({"image_orientation_patient": (0, 1, 0, 0, 0, -1)}, StackProblem.MIXED_ORIENTATION),
        ({"pixel_spacing": None}, StackProblem.PIXEL_SPACING_MISSING),
        ({"pixel_spacing": (0.7, 0.8)}, StackProblem.MIXED_PIXEL_SPACING),
        ({"rows": None}, StackProblem.MATRIX_SIZE_MISSING),
        ({"rows": 256}, StackProblem.MIXED_MATRIX_SIZE),
        ({"frame_of_reference_uid": "9"}, StackProblem.MIXED_FRAME_OF_REFERENCE),
        ({"number_of_frames": 3}, StackProblem.MULTI_FRAME),
        ({"image_position_patient": (-180.0, -170.0, 20.0)}, StackProblem.DUPLICATE_POSITION),
        ({"image_position_patient": (-180.0, -170.0, 99.0)}, StackProblem.GAP),
    ],
)
def test_one_odd_slice_is_named(changes: dict[str, Any], problem: StackProblem) -> None:
    series = ct_series(20)
    series[7] = replace(series[7], **changes)
    assert problem in sort_slices(series).problems


def test_described_frames_are_slices_in_the_order_of_their_positions() -> None:
    frames = [
        replace(h, sop_instance_uid="1.2", instance_number=1, number_of_frames=5, frame_number=n)
        for n, h in enumerate(ct_series(5), start=1)
    ]
    stack = sort_slices(frames)
    assert stack.problems == ()
    assert [h.frame_number for h in stack.headers] == [5, 4, 3, 2, 1]


def test_rounding_of_the_scanner_is_no_problem() -> None:
    series = ct_series(20)
    series[3] = replace(
        series[3],
        image_orientation_patient=(0.9999, 0.001, 0, 0, 1, 0),
        pixel_spacing=(0.70005, 0.7),
    )
    assert sort_slices(series).problems == ()


def test_gaps_and_duplicates_are_placed_and_counted() -> None:
    series = [ct_header(i, z=z) for i, z in enumerate([0, 2, 4, 4, 8, 10])]
    stack = sort_slices(series)
    assert stack.gaps == (3,)
    assert stack.duplicate_count == 1
    assert stack.largest_deviation_mm == pytest.approx(2.0)


def test_without_positions_the_numbers_order_and_nothing_is_placed() -> None:
    stack = sort_slices(reversed(ct_series(5, image_position_patient=None)))
    assert [h.instance_number for h in stack.headers] == [1, 2, 3, 4, 5]
    assert stack.affine is None
    assert stack.slice_spacing_mm is None
    assert stack.largest_deviation_mm is None
    assert stack.gaps == ()


def test_a_single_slice_is_as_thick_as_it_says() -> None:
    stack = sort_slices([ct_header(slice_thickness=2.5)])
    assert at(stack, (1, 0, 0)) == [-180.0, -170.0, 2.5]
    assert stack.slice_spacing_mm is None


def test_nothing_is_a_stack_of_nothing() -> None:
    assert sort_slices([]) == SliceStack((), (StackProblem.NO_SLICES,))


def test_the_two_parts_of_a_real_tilted_head_are_uneven() -> None:
    (headers,) = real_series("ge_tilted_head").values()
    stack = sort_slices(headers)
    assert stack.shear_degrees == pytest.approx(18.5, abs=0.01)
    assert StackProblem.GAP in stack.problems
    assert len(stack.gaps) == 13


@given(st.integers(2, 30), st.floats(0.1, 20), st.randoms(use_true_random=False))
def test_any_order_of_an_even_stack_gives_back_the_stack(
    count: int, spacing: float, random: Any
) -> None:
    series = ct_series(count, spacing)
    shuffled = list(series)
    random.shuffle(shuffled)
    stack = sort_slices(shuffled)
    assert stack == sort_slices(series)
    assert stack.problems == ()
    for index, header in enumerate(stack.headers):
        assert at(stack, (index, 0, 0)) == pytest.approx(header.image_position_patient, abs=1e-5)
