"""Volumes as NIfTI, read back by the node's own reader and by SimpleITK."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicomnode.errors import DataError
from dicomnode.weights.nifti import write_nifti
from dicomnode.weights.scans import read_ct
from inference.volume import AIR_HU
from support.chest_volume import chest
from support.orientations import AXIAL, Stored, stored

SPACING = (8.0, 6.0, 6.0)
WAYS = (AXIAL[0], AXIAL[6], Stored((2, 0, 1), (False, True, False)))


@pytest.mark.parametrize("how", WAYS, ids=str)
def test_what_is_written_is_read_at_the_same_place(tmp_path: Path, how: Stored) -> None:
    volume = stored(chest(SPACING).volume(), how)
    np.maximum(volume.hu, AIR_HU, out=volume.hu)
    volume.affine[:3, 3] += (-120.5, 33.25, 871.0)
    write_nifti(tmp_path / "a.nii.gz", volume.hu, volume.affine)
    read = read_ct(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read.hu, volume.hu)
    np.testing.assert_allclose(read.affine, volume.affine, atol=1e-3)


def test_types_are_kept_and_nothing_else_is_left(tmp_path: Path) -> None:
    itk: Any = import_module("SimpleITK")  # most of its functions are untyped
    for dtype in (np.uint8, np.int16, np.uint16):
        write_nifti(tmp_path / "a.nii.gz", np.full((2, 3, 4), 7, dtype), np.eye(4))
        values = itk.GetArrayFromImage(itk.ReadImage(str(tmp_path / "a.nii.gz")))
        assert values.dtype == dtype
        assert (values == 7).all()
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii.gz"]


def test_tilted_slices_are_refused(tmp_path: Path) -> None:
    tilted = np.eye(4)
    tilted[1, 0] = 0.3
    with pytest.raises(DataError, match="right angles"):
        write_nifti(tmp_path / "a.nii", np.zeros((2, 3, 4), np.int16), tilted)
    assert not list(tmp_path.iterdir())
