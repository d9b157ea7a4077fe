from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from inference.findings import RowColumnBox, SliceActivation
from inference.heatmap import activation_on_slice
from support.sources import ROOT


def _activation(cam: np.ndarray, box: RowColumnBox) -> SliceActivation:
    return SliceActivation(slice_index=3, box=box, cam=cam.astype(np.float32), share=1.0)


def test_a_bump_has_its_centre_in_the_middle_of_its_cell() -> None:
    """Cell (2, 5) of 7 x 7 over rows 10..80, columns 20..160: centre at row 35, column 130."""
    cam = np.zeros((7, 7))
    cam[2, 5] = 1.0
    drawn = activation_on_slice(_activation(cam, RowColumnBox(10, 20, 80, 160)), 100, 200)
    rows, columns = np.mgrid[0:100, 0:200] + 0.5  # pixel centres, from the edge of the slice
    assert drawn.dtype == np.float32
    assert (drawn * rows).sum() / drawn.sum() == pytest.approx(35.0)
    assert (drawn * columns).sum() / drawn.sum() == pytest.approx(130.0)
    assert drawn.max() == pytest.approx(0.95 * 0.975)  # the nearest pixel centres miss it by half


def test_outside_the_box_is_zero_and_a_constant_stays_constant_within() -> None:
    drawn = activation_on_slice(_activation(np.ones((7, 7)), RowColumnBox(3, 4, 50, 61)), 64, 70)
    assert drawn[3:50, 4:61] == pytest.approx(1.0)
    assert drawn.sum() == pytest.approx(47 * 57)


def test_equal_to_torch_bilinear_without_aligned_corners() -> None:
    cam = np.random.default_rng(0).random((7, 9)).astype(np.float32)
    drawn = activation_on_slice(_activation(cam, RowColumnBox(0, 0, 131, 77)), 131, 77)
    wanted = interpolate(
        torch.from_numpy(cam)[None, None], size=(131, 77), mode="bilinear", align_corners=False
    )
    assert drawn == pytest.approx(wanted[0, 0].numpy(), abs=1e-6)


def test_how_many_threads_there_are_does_not_show() -> None:
    """Objects are compared byte by byte, and a node with more processors makes the same."""
    code = (
        "import numpy as np\n"
        "from inference.findings import RowColumnBox, SliceActivation\n"
        "from inference.heatmap import activation_on_slice\n"
        "cam = np.random.default_rng(0).random((12, 14), np.float32)\n"
        "heat = SliceActivation(0, RowColumnBox(3, 4, 500, 501), cam, 1.0)\n"
        "print(activation_on_slice(heat, 512, 512).tobytes().hex())"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"OPENBLAS_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(drawn) == 1


@pytest.mark.parametrize(
    "box", [RowColumnBox(0, 0, 65, 10), RowColumnBox(-1, 0, 5, 5), RowColumnBox(5, 5, 5, 9)]
)
def test_a_box_that_is_not_within_the_slice_is_refused(box: RowColumnBox) -> None:
    with pytest.raises(ValueError, match="does not lie within a slice of 64 x 64"):
        activation_on_slice(_activation(np.ones((7, 7)), box), 64, 64)


def test_an_offset_moves_the_heat_to_what_the_cell_has_seen() -> None:
    cam = np.zeros((4, 4), np.float32)
    cam[1, 2] = 1.0
    here = SliceActivation(0, RowColumnBox(0, 0, 64, 64), cam, 1.0)
    moved = replace(here, offset=(0.5, -0.5))
    row, column = (float(np.mean(each)) for each in np.nonzero(activation_on_slice(here, 64, 64)))
    to_row, to_column = (
        float(np.mean(each)) for each in np.nonzero(activation_on_slice(moved, 64, 64))
    )
    assert (to_row - row, to_column - column) == (-8.0, 8.0)
