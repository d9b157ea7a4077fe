from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.results.pictures.heatmap import blend, jet, lung_window, opacity
from inference.heatmap import activation_on_slice
from support.result_samples import findings

PEAK = findings().ranked[0]


@pytest.mark.parametrize(
    ("value", "colour"),
    [
        (0.0, (0.0, 0.0, 0.5)),  # the corners of MATLAB's jet
        (0.125, (0.0, 0.0, 1.0)),
        (0.375, (0.0, 1.0, 1.0)),
        (0.5, (0.5, 1.0, 0.5)),
        (0.625, (1.0, 1.0, 0.0)),
        (0.875, (1.0, 0.0, 0.0)),
        (1.0, (0.5, 0.0, 0.0)),
    ],
)
def test_jet_has_its_published_corners(value: float, colour: tuple[float, ...]) -> None:
    assert jet(np.array([value], np.float32))[0] == pytest.approx(colour)


def test_lung_window_ends() -> None:
    hu = np.array([-3024, -1351, -1350, -600, 149, 150, 3000], np.int16)
    grey = lung_window(hu)
    assert list(grey[[0, 1, -2, -1]]) == [0, 0, 255, 255]
    assert grey[3] == pytest.approx(128, abs=1)
    assert (np.diff(grey.astype(int)) >= 0).all()


@given(st.floats(0.0, 1.0, width=32))
def test_opacity_leaves_the_anatomy_visible(activation: float) -> None:
    alpha = float(opacity(np.array([activation], np.float32))[0])
    assert alpha == pytest.approx(0.5 * activation**0.5 if activation > np.float32(0.15) else 0.0)


def test_blend_leaves_grey_where_nothing_is_activated() -> None:
    hu = np.full((60, 80), -600, np.int16)
    activation = activation_on_slice(PEAK, 60, 80)
    picture = blend(hu, activation)
    quiet = activation <= 0.15
    assert (picture[quiet] == lung_window(hu)[quiet][:, np.newaxis]).all()
    assert (np.ptp(picture[activation > 0.5].astype(int), axis=1) > 0).all()


def test_blend_at_full_activation_is_half_grey_half_dark_red() -> None:
    picture = blend(np.full((1, 1), 3000, np.int16), np.ones((1, 1), np.float32))
    assert list(picture[0, 0]) == pytest.approx([191, 128, 128], abs=1)
