"""What was computed of slices is given again, and is never another slice's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.memory import Memory, key_of

Array = NDArray[Any]


class Doubling:
    """Gives each array twice as large, in a buffer of which each is void once the next is asked
    for; notes what it was given."""

    def __init__(self) -> None:
        self.given: list[int] = []

    def __call__(self, inputs: Iterable[Array]) -> Iterator[Array]:
        buffer: Array | None = None
        for each in inputs:
            self.given.append(int(each.flat[0]))
            buffer = np.empty_like(each) if buffer is None else buffer
            np.multiply(each, 2, out=buffer)
            yield buffer


def slices(numbers: Iterable[int], kind: Any = np.float32) -> list[Array]:
    return [np.full((4, 5), number, kind) for number in numbers]


def recalled(memory: Memory, numbers: Iterable[int], run: Doubling, kind: Any = np.float32) -> Any:
    found = [each.copy() for each in memory.recall("a", slices(numbers, kind), run)]
    return [int(each.flat[0]) for each in found if each.shape == (4, 5) and each.dtype == kind]


@given(st.lists(st.lists(st.integers(0, 9), max_size=8), max_size=5), st.integers(0, 10 * 80 + 79))
@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_whatever_was_asked_before_the_answers_are_the_same(
    kind: Any, asked: list[list[int]], limit_bytes: int
) -> None:
    memory = Memory()
    memory.begin("series", limit_bytes)
    for numbers in asked:
        assert recalled(memory, numbers, Doubling(), kind) == [2 * each for each in numbers]
        assert memory.size <= limit_bytes


def test_only_what_is_new_is_computed() -> None:
    memory, run = Memory(), Doubling()
    memory.begin("series")
    recalled(memory, [3, 1], run)
    recalled(memory, [0, 1, 2, 3, 4], run)
    assert run.given == [3, 1, 0, 2, 4]


def test_of_no_series_nothing_is_kept() -> None:
    memory, run = Memory(), Doubling()
    recalled(memory, [1], run)
    recalled(memory, [1], run)
    assert run.given == [1, 1]
    assert memory.size == 0


def test_another_series_begins_with_nothing() -> None:
    memory, run = Memory(), Doubling()
    memory.begin("one")
    recalled(memory, [1], run)
    memory.begin("one")
    recalled(memory, [1], run)
    memory.begin("other")
    assert memory.size == 0
    recalled(memory, [1], run)
    assert run.given == [1, 1]


def test_what_makes_another_result_has_another_key() -> None:
    one = np.zeros((2, 3), np.int16)
    others = [one.reshape(3, 2), one.astype(np.uint16), one + np.int16(1)]
    keys = {key_of("a", each) for each in (one, *others)} | {key_of("b", one), key_of("a", "b")}
    assert len(keys) == 6
    assert key_of("a", np.asfortranarray(one)) == key_of("a", one)
    assert key_of("a", np.flip(np.flip(one, 1), 1)) == key_of("a", one)


def test_what_is_not_asked_for_any_more_makes_room() -> None:
    memory, run = Memory(), Doubling()
    memory.begin("series", 4 * 80)
    recalled(memory, [1, 2, 3], run)
    recalled(memory, [4, 5, 6], run)
    recalled(memory, [4, 5, 6], run)
    assert run.given == [1, 2, 3, 4, 5, 6]


def test_what_is_kept_in_its_place_counts_once() -> None:
    memory = Memory()
    memory.begin("series", 100)
    (one, same) = slices([1, 1])
    memory.keep(key_of("a", one), one)
    memory.keep(key_of("a", one), same)
    assert memory.get(key_of("a", one)) is same
    assert memory.size == memory.limit - 20 == 80


def test_with_no_more_room_it_serves_what_it_holds() -> None:
    memory, run = Memory(), Doubling()
    memory.begin("series")
    recalled(memory, [1, 2], run)
    memory.begin("series", 0)
    assert recalled(memory, [1, 2, 3], run) == [2, 4, 6]
    assert memory.size == 2 * 80
    assert run.given == [1, 2, 3]


def test_what_is_seen_twice_is_foreseen() -> None:
    memory, run = Memory(), Doubling()
    memory.begin("series")
    for numbers in ([1, 2], [2, 3], [2, 3, 4]):
        for _ in memory.foresee("a", slices(numbers), run):
            pass
    assert run.given == [2, 3]
    assert recalled(memory, [2, 3, 4], run) == [4, 6, 8]
    assert run.given == [2, 3, 4]
