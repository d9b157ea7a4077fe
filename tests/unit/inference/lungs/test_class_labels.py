"""Classes of the finer grid are those of logits that are interpolated everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from inference.lungs.class_labels import best_classes, enlarged_classes, neighbours

Logits = NDArray[np.float32]


def _plainly(logits: Logits, shape: tuple[int, int]) -> torch.Tensor:
    given_logits = torch.from_numpy(logits[None])
    return interpolate(given_logits, shape, mode="bilinear", align_corners=False)[0]


def _smooth(seed: int, classes: int, cells: int) -> Logits:
    """Classes in patches, as a network gives them."""
    draw = torch.Generator().manual_seed(seed)
    few = 5 * torch.randn(1, classes, 6, 6, generator=draw)
    return np.asarray(interpolate(few, (cells, cells), mode="bicubic")[0].numpy())


@given(
    st.integers(0, 2**32),
    st.integers(2, 4),
    st.sampled_from([16, 32, 48]),
    st.tuples(st.integers(8, 100), st.integers(8, 100)) | st.just((96, 96)),
    st.booleans(),
)
def test_they_are_those_of_the_plain_way(
    seed: int, classes: int, cells: int, shape: tuple[int, int], noise: bool
) -> None:
    logits = _smooth(seed, classes, cells)
    if noise:
        logits = np.random.default_rng(seed).normal(size=logits.shape).astype(np.float32)
    coarse = best_classes(logits)
    assert (coarse == logits.argmax(axis=0)).all()
    rows, columns = (neighbours(pixels, cells) for pixels in shape)
    found = enlarged_classes(logits, coarse, rows, columns)
    wanted = _plainly(logits, shape)
    apart = torch.from_numpy(found != wanted.argmax(dim=0).numpy())
    first, second = wanted.topk(2, dim=0).values
    assert not (apart & (first - second > 1e-5)).any()  # only where rounding decides between two
    assert int(apart.sum()) <= 1


def test_the_first_of_equal_classes_is_taken() -> None:
    logits = np.zeros((3, 4, 4), np.float32)
    logits[1:, 2:] = 1.0
    assert best_classes(logits).tolist() == [[0] * 4] * 2 + [[1] * 4] * 2


@pytest.mark.parametrize("value", range(3))
def test_between_pixels_of_one_class_there_is_no_other(value: int) -> None:
    logits = np.random.default_rng(value).random((3, 8, 8)).astype(np.float32)
    logits[value] += 1.0
    axis = neighbours(21, 8)
    assert (enlarged_classes(logits, best_classes(logits), axis, axis) == value).all()
