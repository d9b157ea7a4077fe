from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.ties import TIE, falling, first_of_highest

values = st.lists(st.floats(0.0, 1.0), max_size=40).map(lambda found: np.array(found, np.float64))
crowded = st.lists(st.integers(0, 6), max_size=40).map(lambda found: np.array(found) * TIE * 0.6)


def test_what_differs_by_rounding_comes_as_it_lies() -> None:
    assert falling(np.array([0.5, 0.9, 0.5 + TIE / 9, 0.9 + TIE / 9])).tolist() == [1, 3, 0, 2]


def test_what_differs_by_more_comes_in_falling_order() -> None:
    assert falling(np.array([0.1, 0.3, 0.2]), most=2).tolist() == [1, 2]
    assert falling(np.array([])).tolist() == []


@given(values | crowded, st.integers(0, 50))
def test_each_is_the_first_that_ties_with_the_highest_left(
    given: np.ndarray[tuple[int], np.dtype[np.float64]], most: int
) -> None:
    found = falling(given, most).tolist()
    assert len(found) == min(most, len(given))
    left = list(range(len(given)))
    for index in found:
        highest = max(given[left])
        assert index == min(at for at in left if given[at] >= highest - TIE)
        left.remove(index)


@pytest.mark.parametrize(
    ("probabilities", "first"),
    [((0.2, 0.5, 0.3), 1), ((0.4, 0.4 + TIE / 9, 0.2), 0), ((0.4, 0.4 + TIE * 9, 0.2), 1)],
)
def test_the_first_of_the_highest(probabilities: tuple[float, ...], first: int) -> None:
    assert first_of_highest(probabilities) == first
