"""Morphology of eight slices in a byte, against SimpleITK's."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.arrays import morphology


def _random(slices: int, seed: int, part: float = 0.03) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random((slices, 37, 29)) < part


@pytest.mark.parametrize("radius", [2, 3, 5, 8])
@pytest.mark.parametrize("slices", [1, 7, 8, 17])
def test_dilation_is_that_of_simpleitk(slices: int, radius: int) -> None:
    mask = _random(slices, radius)
    itk: Any = import_module("SimpleITK")  # most of its functions are untyped
    image = itk.GetImageFromArray(mask.view(np.uint8))
    wanted = itk.BinaryDilate(image, [radius, radius, 0], itk.sitkBall)
    assert (morphology.dilated(mask, radius) == itk.GetArrayFromImage(wanted).view(np.bool_)).all()


def test_the_disc_of_radius_one_is_the_four_neighbours() -> None:
    mask = np.zeros((1, 5, 5), np.bool_)
    mask[0, 2, 2] = True
    assert morphology.dilated(mask, 1)[0].sum() == 5
    assert morphology.dilated(mask, 0).tolist() == mask.tolist()


@given(st.integers(1, 20), st.integers(0, 4), st.integers(0, 1000))
def test_erosion_is_dilation_of_what_lies_outside(slices: int, radius: int, seed: int) -> None:
    mask = _random(slices, seed, 0.9)
    assert (morphology.eroded(mask, radius) == ~morphology.dilated(~mask, radius)).all()


@given(st.integers(1, 20), st.integers(0, 4), st.integers(0, 1000))
def test_closing_adds_and_opening_takes_away(slices: int, radius: int, seed: int) -> None:
    mask = _random(slices, seed, 0.5)
    closed, opened = morphology.closed(mask, radius), morphology.opened(mask, radius)
    assert (closed | mask).tolist() == closed.tolist()
    assert (opened & mask).tolist() == opened.tolist()
    assert (morphology.closed(closed, radius) == closed).all()


def test_no_slice_sees_another() -> None:
    mask = np.zeros((10, 9, 9), np.bool_)
    mask[4, 4, 4] = True
    assert np.flatnonzero(morphology.dilated(mask, 3).any(axis=(1, 2))).tolist() == [4]
