"""How many slices of a scan are drawn, and which."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.training.covnet.bags import draw_count, draw_slices

seeds = st.integers(0, 2**32)


def chance(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@given(st.integers(1, 20), st.integers(0, 60), seeds)
def test_a_count_is_within_its_bounds(fewest: int, more: int, seed: int) -> None:
    assert fewest <= draw_count(fewest, fewest + more, chance(seed)) <= fewest + more


def test_the_counts_cover_their_range_evenly_in_the_logarithm() -> None:
    """As many from 4 to 8 as from 8 to 16 and from 16 to 32."""
    drawn = [draw_count(4, 31, chance(seed)) for seed in range(3000)]
    shares = np.histogram(drawn, [4, 8, 16, 32])[0] / len(drawn)
    assert shares == pytest.approx([1 / 3] * 3, abs=0.03)


@given(st.integers(1, 120), st.integers(1, 60), seeds, st.data())
def test_slices_rise_are_within_the_scan_and_hold_a_telling_one(
    slices: int, count: int, seed: int, data: st.DataObject
) -> None:
    telling = data.draw(
        st.none() | st.lists(st.integers(0, slices - 1), min_size=0, max_size=5, unique=True)
    )
    drawn = draw_slices(slices, count, chance(seed), telling)
    assert 1 <= len(drawn) <= min(count, slices)
    assert np.all(np.diff(drawn) > 0)
    assert drawn[0] >= 0
    assert drawn[-1] < slices
    if telling:
        assert set(telling) & set(drawn.tolist())


def test_a_scan_of_as_few_slices_as_asked_for_is_taken_whole() -> None:
    assert draw_slices(7, 30, chance(0), ()).tolist() == list(range(7))
    assert draw_slices(7, 7, chance(1), None).tolist() == list(range(7))


def test_without_knowledge_of_lesions_slices_are_always_spread() -> None:
    """A run of neighbours might miss what the scan is labelled for."""
    for seed in range(100):
        drawn = draw_slices(60, 6, chance(seed), None)
        assert [int(index) // 10 for index in drawn] == list(range(6))


def test_with_knowledge_half_of_the_draws_are_runs_of_neighbours_anywhere() -> None:
    drawn = [draw_slices(60, 6, chance(seed), ()) for seed in range(400)]
    runs = [each for each in drawn if each[-1] - each[0] == 5]
    assert len(runs) == pytest.approx(200, abs=40)
    assert {0, 54} <= {int(each[0]) for each in runs}


def test_a_run_may_hold_its_telling_slice_at_any_place() -> None:
    drawn = [draw_slices(60, 6, chance(seed), (30,)) for seed in range(400)]
    places = {30 - int(each[0]) for each in drawn if each[-1] - each[0] == 5}
    assert places == set(range(6))
