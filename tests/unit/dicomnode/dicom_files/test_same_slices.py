"""Slices compared by their pixels: copies in any dress, and acquisitions that overlap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless, generate_uid

from dicomnode.assess.assessment import Assessment, assess_files
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy
from dicomnode.decisions.stack.overlaps import SAME_ANATOMY_HU
from dicomnode.dicom_files.same_slices import difference_hu
from support.phantom import write_series

POLICY = EligibilityPolicy()


def told(assessment: Assessment, rule: str) -> str:
    return next(str(reason.value) for reason in assessment.reasons if reason.rule == rule)


def again(path: Path, change: Callable[[Dataset], None] = lambda _: None) -> Path:
    """The slice of a file once more under another UID."""
    data_set = pydicom.dcmread(path)
    data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    change(data_set)
    copy = path.with_name(f"{path.stem}-again.dcm")
    data_set.save_as(copy, enforce_file_format=True)
    return copy


def in_another_dress(data_set: Dataset) -> None:
    data_set.InstanceNumber = 500 + data_set.InstanceNumber
    data_set.AcquisitionNumber, data_set.AcquisitionTime = 7, "111111"
    data_set.ContentTime, data_set.SeriesTime = "121212", "121213"
    data_set.SeriesDescription, data_set.ImageComments = "sent again", "copy"
    data_set.ProtocolName, data_set.StudyDescription = "routine", "thorax"
    data_set.FrameOfReferenceUID = "1.2.3.4"
    x, y, z = data_set.ImagePositionPatient
    data_set.ImagePositionPatient = [f"{x:.3f}", f"{y:.3f}", f"{z + 0.001:.3f}"]


def compressed(data_set: Dataset) -> None:
    data_set.compress(RLELossless, generate_instance_uid=False)


def with_another_intercept(data_set: Dataset) -> None:
    """The same HU, stored 100 higher."""
    data_set.RescaleIntercept = float(data_set.RescaleIntercept) - 100
    pixels = data_set.pixel_array
    data_set.PixelData = (pixels + 100).astype(pixels.dtype).tobytes()


DRESSES = [lambda _: None, in_another_dress, compressed, with_another_intercept]


@pytest.mark.parametrize("change", DRESSES)
@pytest.mark.parametrize("some", [slice(3, 7), slice(None)], ids=["some", "all"])
def test_copies_are_one_slice(
    tmp_path: Path, change: Callable[[Dataset], None], some: slice
) -> None:
    files = write_series(tmp_path, 12)
    copies = [again(path, change) for path in files[some]]
    found = assess_files([*copies, *files], POLICY)
    assert found.eligible, found.reasons
    assert len(found.eligibility.stack.headers) == 12
    assert len({h.acquisition_number for h in found.eligibility.stack.headers}) == 1
    assert told(found, "copies") == f"{len(copies)} of {12 + len(copies)} slices, left out"


def one_pixel(data_set: Dataset) -> None:
    pixels = bytearray(data_set.PixelData)
    pixels[1000] ^= 1
    data_set.PixelData = bytes(pixels)


def test_what_differs_in_one_pixel_is_no_copy(tmp_path: Path) -> None:
    files = write_series(tmp_path, 12)
    found = assess_files([*files, again(files[4], one_pixel)], POLICY)
    assert told(found, "copies") == "0"
    assert not found.eligible


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SeriesDescription", "Thorax with IV contrast"),
        ("ContrastBolusAgent", "Iohexol"),
        ("ContrastBolusVolume", "100"),
    ],
)
def test_contrast_that_only_one_of_two_copies_tells_of_was_given(
    tmp_path: Path, keyword: str, value: str
) -> None:
    files = write_series(tmp_path, 12)
    copy = again(files[4], lambda data_set: setattr(data_set, keyword, value))
    found = assess_files([*files, copy], POLICY)
    assert told(found, "copies") == "1 of 13 slices, left out"
    assert "contrast" in {reason.rule for reason in found.eligibility.failures}


def test_pixels_that_cannot_be_decoded_are_compared_as_they_are(tmp_path: Path) -> None:
    files = write_series(tmp_path, 12)

    def cut(data_set: Dataset) -> None:
        data_set.PixelData = data_set.PixelData[:100]

    broken = again(files[4], cut)
    found = assess_files([*files, broken, again(broken)], POLICY)
    assert told(found, "copies") == "1 of 14 slices, left out"


def two_ranges(folder: Path, seed: int, change: Callable[[Dataset], None]) -> list[Path]:
    """Slices 0 to 15 of 24, and 11 to 23 with other noise in a second acquisition."""
    lower = write_series(folder / "a", 24, change=lambda d, _: setattr(d, "AcquisitionNumber", 1))
    one = pydicom.dcmread(lower[0])

    def second(data_set: Dataset, _number: int) -> None:
        data_set.AcquisitionNumber = 2
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            setattr(data_set, keyword, one[keyword].value)
        change(data_set)

    return lower[:16] + write_series(folder / "b", 24, seed=seed, change=second)[11:]


def test_overlapping_acquisitions_with_other_noise_are_joined(tmp_path: Path) -> None:
    found = assess_files(two_ranges(tmp_path, 5, lambda _: None), POLICY)
    numbers = [h.acquisition_number for h in found.eligibility.stack.headers]
    assert numbers in ([1] * 16 + [2] * 8, [2] * 8 + [1] * 16)
    assert "joined (24 slices)" in told(found, "stacks")


def test_those_of_another_breath_are_told_not_joined(tmp_path: Path) -> None:
    def moved(data_set: Dataset) -> None:
        pixels = data_set.pixel_array
        data_set.PixelData = np.roll(pixels, 9, axis=0).tobytes()

    found = assess_files(two_ranges(tmp_path, 5, moved), POLICY)
    assert len({h.acquisition_number for h in found.eligibility.stack.headers}) == 1
    assert "what lies there is not read" in told(found, "coverage")


def test_those_that_cannot_be_read_are_told_not_joined(tmp_path: Path) -> None:
    def cut(data_set: Dataset) -> None:
        data_set.PixelData = data_set.PixelData[:100]

    found = assess_files(two_ranges(tmp_path, 5, cut), POLICY)
    assert len({h.acquisition_number for h in found.eligibility.stack.headers}) == 1
    assert "what lies there is not read" in told(found, "coverage")


def test_the_difference_of_two_slices() -> None:
    random = np.random.default_rng(1)
    air = np.full((64, 72), -1024, np.int16)
    body = air.copy()
    body[16:48, 16:56] = 40
    noisy = [(body + random.normal(0, 40, body.shape)).astype(np.int16) for _ in range(2)]
    assert difference_hu(body, body) == 0.0
    assert difference_hu(air, air - 900) == 0.0  # padding
    assert 0 < difference_hu(*noisy) < SAME_ANATOMY_HU
    assert difference_hu(body, np.roll(body, 4, axis=0)) > SAME_ANATOMY_HU
    assert difference_hu(body, body[:, :-8]) == float("inf")
