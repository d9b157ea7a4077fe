from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import NetworkOutputError
from inference.location_attention import Segmenter
from inference.region_tiles import LARGEST, OVERLAP, segment, spans
from support.blob_network import blob_network

CPU = torch.device("cpu")


@given(st.integers(1, 64), st.integers(2, 12))
def test_spans_fill_the_axis_once_and_overlap(sixteens: int, largest: int) -> None:
    cells, most = sixteens * 16, largest * 16
    found = spans(cells, most)
    assert [s.keep_start for s in found] == [0, *(s.keep_stop for s in found[:-1])]
    assert found[-1].keep_stop == cells
    for span in found:
        assert 0 <= span.start <= span.keep_start < span.keep_stop <= span.stop <= cells
        assert span.start % 16 == 0
        assert (span.stop - span.start) % 16 == 0
        assert span.stop - span.start <= most
        assert span.keep_start % 4 == span.keep_stop % 4 == 0
    for one, after in pairwise(found):
        assert one.stop - after.start >= OVERLAP


def test_what_fits_is_one_tile() -> None:
    for largest in LARGEST:
        (span,) = spans(largest, largest)
        assert (span.start, span.stop) == (0, largest)


def _segment(
    segmenter: Segmenter, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], most: int
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]], list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    with torch.inference_mode():
        found = segment(segmenter, values, CPU, lambda *step: told.append(step), (most,) * 3)
    return np.concatenate([found.lesion.ravel(), found.objectness.ravel()]), told


def test_tiles_of_a_network_that_sees_its_own_cell_are_the_whole() -> None:
    values = np.random.default_rng(0).random((64, 48, 80)).astype(np.float32)
    segmenter = blob_network().segmenter.eval()
    whole, told_once = _segment(segmenter, values, 128)
    tiled, told = _segment(segmenter, values, 32)
    assert np.allclose(tiled, whole, atol=1e-4)
    assert told_once == [(0, 1), (1, 1)]
    assert told == [(done, 3 * 2 * 4) for done in range(25)]


def test_an_output_that_is_not_finite_is_a_named_error() -> None:
    segmenter = blob_network().segmenter.eval()
    with torch.no_grad():
        segmenter.offsets.bias.fill_(float("nan"))  # type: ignore[union-attr]
    with pytest.raises(NetworkOutputError, match="offsets map is not finite"):
        _segment(segmenter, np.zeros((16, 16, 16), np.float32), 32)
