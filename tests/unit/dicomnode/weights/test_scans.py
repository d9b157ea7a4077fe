"""Scans of a manifest: DICOM as the node reads it, NIfTI, and masks in whatever order."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from dicomnode.errors import DataError, ManifestError
from dicomnode.weights.manifest import ManifestRow
from dicomnode.weights.scans import load_scan, read_ct
from inference.volume import AIR_HU, CtVolume
from support.data import PHILIPS
from support.phantom import write_series

ITK: Any = SimpleITK  # most of its functions are untyped
SHAPE = (4, 5, 6)


def image(values: NDArray[Any]) -> Any:
    """A NIfTI image of (slices, rows, columns) with three different spacings."""
    made = ITK.GetImageFromArray(values)
    made.SetSpacing((0.7, 0.8, 5.0))
    made.SetOrigin((-100.0, -120.5, 33.25))
    return made


def counted(kind: type = np.int16) -> NDArray[Any]:
    return np.arange(np.prod(SHAPE), dtype=kind).reshape(SHAPE)


def write(path: Path, made: Any) -> Path:
    ITK.WriteImage(made, str(path))
    return path


def row(path: Path, **masks: Path) -> ManifestRow:
    return ManifestRow("a", "p", path, "COVID-19", **masks)  # type: ignore[arg-type]


def test_nifti_is_read_in_lps_with_slices_first(tmp_path: Path) -> None:
    volume = read_ct(write(tmp_path / "a.nii.gz", image(counted())))
    assert np.array_equal(volume.hu, counted())
    assert volume.spacing_mm == pytest.approx((5.0, 0.8, 0.7))
    assert volume.to_lps((1, 2, 3)) == pytest.approx((-97.9, -118.9, 38.25), abs=1e-4)


def test_hu_are_rounded_and_padding_becomes_air(tmp_path: Path) -> None:
    values = np.full(SHAPE, -3024.0, np.float32)
    values[0, 0] = [-1000.4, 39.6, 3000.0, 50000.0, -1025.0, 0.0]
    volume = read_ct(write(tmp_path / "a.nii", image(values)))
    assert volume.hu[0, 0].tolist() == [-1000, 40, 3000, 32767, AIR_HU, 0]
    assert set(volume.hu[1:].ravel().tolist()) == {AIR_HU}


def test_a_dicom_series_is_read_as_the_node_reads_it(tmp_path: Path) -> None:
    """A file beside it that is no DICOM is passed over, as `dicomnode process` does."""
    folder = tmp_path / "series"
    folder.mkdir()
    for path in PHILIPS:
        (folder / path.name).symlink_to(path)
    (folder / "LICENSE").write_text("CC BY 4.0")
    volume = read_ct(folder)
    assert volume.hu.shape == (len(PHILIPS), 512, 512)
    assert volume.spacing_mm[0] == pytest.approx(5.0)
    assert volume.affine[2, 0] > 0


def test_a_folder_of_two_series_or_of_none_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "two" / "one", 2)
    write_series(tmp_path / "two" / "other", 2)
    with pytest.raises(DataError, match="2 series in the folder"):
        read_ct(tmp_path / "two")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="0 series in the folder"):
        read_ct(tmp_path / "none")


def test_a_series_with_a_slice_missing_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, 6)[2].unlink()
    with pytest.raises(DataError, match="slices missing between others"):
        read_ct(tmp_path)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)), ids=str)
def test_a_mask_in_another_order_of_axes_is_turned_to_the_volume(
    tmp_path: Path, order: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    """As converters from DICOM to NIfTI write them."""
    path = write(tmp_path / "a.nii.gz", image(counted()))
    turned = ITK.PermuteAxes(ITK.Flip(image(counted(np.uint16)), flips), order)
    scan = load_scan(row(path, lesions=write(tmp_path / "m.nii.gz", turned)))
    assert scan.lesions is not None
    assert np.array_equal(scan.lesions, scan.volume.hu)


@pytest.mark.parametrize("wrong", ["shifted", "cut", "coarser", "turned"])
def test_a_mask_on_another_grid_is_refused(tmp_path: Path, wrong: str) -> None:
    path = write(tmp_path / "a.nii.gz", image(counted()))
    mask = image(counted(np.uint16))
    if wrong == "shifted":
        mask.SetOrigin((-100.0, -120.5, 34.0))
    elif wrong == "cut":
        mask = mask[1:]
    elif wrong == "coarser":
        mask = ITK.Shrink(mask, [2, 1, 1])
    else:
        mask.SetDirection((0.995, -0.0998, 0, 0.0998, 0.995, 0, 0, 0, 1))
    with pytest.raises(DataError, match=r"lungs m.nii.gz are not on the grid of the scan"):
        load_scan(row(path, lungs=write(tmp_path / "m.nii.gz", mask)))


def test_lungs_are_where_the_mask_is_not_0_and_lesions_keep_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", image(counted()))
    numbers = np.zeros(SHAPE, np.uint16)
    numbers[1, 2, 3:5] = 1, 700
    mask = write(tmp_path / "m.nii.gz", image(numbers))
    scan = load_scan(row(path, lungs=mask, lesions=mask))
    assert scan.lungs is not None
    assert scan.lesions is not None
    assert scan.lungs.dtype == np.bool_
    assert int(scan.lungs.sum()) == 2
    assert scan.lesions[1, 2, 3:5].tolist() == [1, 700]
    assert scan.lesions.dtype == np.uint16


def test_numbers_of_lesions_that_cannot_be_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", image(counted()))
    mask = write(tmp_path / "m.nii.gz", image(counted(np.int32) + 65500))
    with pytest.raises(DataError, match="numbers outside 0 to 65535"):
        load_scan(row(path, lesions=mask))


def test_files_that_are_no_volume_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"not so")
    with pytest.raises(DataError, match=r"path a.nii.gz cannot be read"):
        read_ct(tmp_path / "a.nii.gz")
    flat = write(tmp_path / "b.nii.gz", ITK.GetImageFromArray(counted()[0]))
    with pytest.raises(DataError, match=r"b.nii.gz is not one value in three dimensions"):
        read_ct(flat)


def test_boxes_come_with_the_scan_and_their_faults_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", image(counted()))
    boxes = tmp_path / "boxes.csv"
    head = "number,class,kind,low_x,low_y,low_z,high_x,high_y,high_z\n"
    boxes.write_text(head + "3,COVID-19,nodule,0,0,0,1,1,1\n")
    scan = load_scan(row(path, boxes=boxes))
    assert [box.number for box in scan.boxes] == [3]
    assert scan.lungs is None
    assert scan.lesions is None
    assert isinstance(scan.volume, CtVolume)
    boxes.write_text(head + "3,COVID-19,nodule,0,0,0,0,1,1\n")
    with pytest.raises(ManifestError, match="is empty"):
        load_scan(row(path, boxes=boxes))
