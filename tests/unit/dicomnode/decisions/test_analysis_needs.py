"""The memory that an analysis is estimated to take is over what was measured, and not by much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicomnode.decisions.analysis_needs import estimated_memory
from support.ct_headers import ct_header

GIB = 1 << 30


@pytest.mark.parametrize(("slices", "measured"), [(64, 1.2), (300, 1.5), (1094, 2.3)])
def test_it_is_over_what_was_measured(slices: int, measured: float) -> None:
    header = replace(ct_header(), rows=512, columns=512)
    found = estimated_memory([header] * slices) / GIB
    assert measured < found < measured + 0.8


def test_estimates_of_like_series_are_the_same() -> None:
    header = replace(ct_header(), rows=512, columns=512)
    assert len({estimated_memory([header] * count) for count in range(290, 310)}) <= 2
    assert estimated_memory([replace(header, rows=None)]) > 0
