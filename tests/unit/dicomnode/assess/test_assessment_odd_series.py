"""Series as the field numbers, turns, scales and spaces them: the same volume, or named reasons."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicomnode.assess.assessment import Assessment, assess_files
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.reasons import Verdict
from dicomnode.dicom_files.volume import load_volume
from dicomnode.errors import DataError
from inference.volume import CtVolume
from support.ct_headers import ct_series
from support.phantom import PIXEL_MM, SPACING_MM, write_series

SLICES = 12
Change = Callable[[Dataset, int], None]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    return [dcmread(f) for f in write_series(tmp_path_factory.mktemp("plain"), SLICES)]


@pytest.fixture(scope="module")
def expected(plain: list[Dataset]) -> NDArray[np.int16]:
    return np.stack([each.pixel_array for each in plain])


def assessed(
    folder: Path, slices: list[Dataset], change: Change
) -> tuple[Assessment, CtVolume | None]:
    """What is decided on the changed slices, and their volume where it is fit."""
    files = []
    for number, each in enumerate(deepcopy(slices)):
        change(each, number)
        files.append(folder / f"{number}.dcm")
        each.save_as(files[-1], enforce_file_format=True)
    seen = assess_files(files[::-1], EligibilityPolicy())
    return seen, load_volume(files, seen.eligibility.stack, 2) if seen.eligible else None


def upright(volume: CtVolume) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Axes to the head, to the back and to the left, and where the first voxel then lies (LPS)."""
    hu, affine = volume.hu, volume.affine.copy()
    order = [int(np.argmax(abs(affine[axis, :3]))) for axis in (2, 1, 0)]
    hu, affine[:, :3] = hu.transpose(order), affine[:, order]
    for axis, line in enumerate((2, 1, 0)):
        if affine[line, axis] < 0:
            affine[:, 3] += affine[:, axis] * (hu.shape[axis] - 1)
            hu = np.flip(hu, axis)
    return hu, affine[:3, 3]


NUMBERS: dict[str, Callable[[int], object]] = {
    "none": lambda _n: None,
    "all 1": lambda _n: 1,
    "all 0": lambda _n: 0,
    "random": lambda n: random.Random(n).randrange(-(2**31), 2**31),
    "from the head": lambda n: SLICES - n,
}


@pytest.mark.parametrize("numbers", NUMBERS)
def test_instance_numbers_change_neither_decision_nor_order(
    tmp_path: Path, plain: list[Dataset], expected: NDArray[np.int16], numbers: str
) -> None:
    def change(each: Dataset, number: int) -> None:
        each.InstanceNumber = NUMBERS[numbers](number)

    seen, volume = assessed(tmp_path, plain, change)
    assert volume is not None, seen.eligibility.failures
    assert np.array_equal(volume.hu, expected)


WAYS = [(turn, flips) for turn in (False, True) for flips in product((1, -1), repeat=2)]


@pytest.mark.parametrize("position", ["HFS", "FFS", "HFP", "FFP", ""])
@pytest.mark.parametrize(("turned", "flips"), WAYS)
def test_each_voxel_lies_where_it_lay_however_the_slices_are_turned(
    tmp_path: Path,
    plain: list[Dataset],
    expected: NDArray[np.int16],
    turned: bool,
    flips: tuple[int, int],
    position: str,
) -> None:
    """Feet first, prone, rows for columns, columns to the front: geometry tells, not the label."""

    def change(each: Dataset, number: int) -> None:
        turn(each, turned, flips)
        each.PatientPosition = position
        each.InstanceNumber = SLICES - number if position.startswith("F") else number + 1

    seen, volume = assessed(tmp_path, plain, change)
    assert volume is not None, seen.eligibility.failures
    hu, first = upright(volume)
    assert np.array_equal(hu, expected)
    assert first == pytest.approx([float(x) for x in plain[0].ImagePositionPatient])


def turn(each: Dataset, turned: bool, flips: tuple[int, int]) -> None:
    """Store the same slice with its rows along another direction of the patient."""
    pixels, spacing = each.pixel_array[:: flips[0], :: flips[1]], float(each.PixelSpacing[0])
    corner = [float(value) for value in each.ImagePositionPatient]
    for axis, (flip, count) in enumerate(zip(flips, pixels.shape, strict=True)):
        corner[1 - axis] += spacing * (count - 1) * (flip < 0)
    row, column = [flips[1], 0, 0], [0, flips[0], 0]
    if turned:
        pixels, row, column = pixels.T, column, row
    each.ImagePositionPatient, each.ImageOrientationPatient = corner, row + column
    each.PixelData = np.ascontiguousarray(pixels).tobytes()


def test_each_slice_is_rescaled_by_its_own_values(
    tmp_path: Path, plain: list[Dataset], expected: NDArray[np.int16]
) -> None:
    def change(each: Dataset, number: int) -> None:
        slope, intercept = (1, 2)[number % 2], (-1024, 0, 37)[number % 3]
        each.RescaleSlope, each.RescaleIntercept = 1 / slope, intercept
        each.PixelData = ((each.pixel_array - intercept) * slope).astype("<i2").tobytes()

    seen, volume = assessed(tmp_path, plain, change)
    assert volume is not None, seen.eligibility.failures
    assert np.array_equal(volume.hu, expected)


@pytest.mark.parametrize("spacing", [(2 * PIXEL_MM, PIXEL_MM), (PIXEL_MM, PIXEL_MM / 3)])
def test_pixels_that_are_not_square_keep_their_sides(
    tmp_path: Path, plain: list[Dataset], spacing: tuple[float, float]
) -> None:
    def change(each: Dataset, _number: int) -> None:
        each.PixelSpacing = [round(side, 6) for side in spacing]

    seen, volume = assessed(tmp_path, plain, change)
    assert volume is not None, seen.eligibility.failures
    assert volume.spacing_mm == pytest.approx((SPACING_MM, *spacing), abs=1e-5)
    assert volume.affine[1, 1] == pytest.approx(spacing[0], abs=1e-5)  # the next row: posterior
    assert volume.affine[0, 2] == pytest.approx(spacing[1], abs=1e-5)  # the next column: left


def test_a_frame_of_reference_for_each_slice_is_named_and_not_analysed(
    tmp_path: Path, plain: list[Dataset]
) -> None:
    """Nothing says that their positions can be compared (PS3.3 C.7.4.1)."""

    def change(each: Dataset, number: int) -> None:
        each.FrameOfReferenceUID = f"1.2.826.{number}"

    seen, volume = assessed(tmp_path, plain, change)
    assert volume is None
    (told,) = [r for r in seen.eligibility.reasons if r.rule == "stacks"]
    assert str(told.value).startswith("12: Frame of Reference")


def test_more_than_two_thousand_slices_are_one_stack_and_fit_into_a_volume() -> None:
    """0.2 mm apart, as a protocol for bones run over the chest."""
    count = 2100
    headers = ct_series(count, 0.2, slice_thickness=0.2)
    decision = judge_eligibility(headers[::-1], EligibilityPolicy())
    assert decision.eligible, decision.failures
    (told,) = [r for r in decision.reasons if r.rule == "slice_count"]
    assert (told.value, told.verdict) == (count, Verdict.WARNING)
    assert decision.stack.headers == tuple(headers[::-1])
    with pytest.raises(DataError, match="instance_missing"):  # the size is none of its reasons
        load_volume([], decision.stack)
