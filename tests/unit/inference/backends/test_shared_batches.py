"""Batches are filled across series, and what each gets is what it would get alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest
import torch
from torch import Tensor

from inference.backends.shared_batches import SharedBatches
from inference.progress import no_progress


class Device:
    """Doubles numbers, `room` of them at most; the first batch waits until it may begin."""

    def __init__(self, room: int = 100) -> None:
        self.room, self.asked = room, list[list[float]]()
        self.began, self.may_go = threading.Event(), threading.Event()
        self.may_go.set()

    def run(self, items: list[float]) -> Tensor:
        self.asked.append(list(items))
        self.began.set()
        self.may_go.wait(30)
        if len(items) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        if -1.0 in items:
            raise ValueError("no such item")
        return torch.tensor(items)[:, None] * 2


def given(shared: SharedBatches[float], items: list[float]) -> list[float]:
    rows = list(shared.each(items, no_progress))
    return torch.cat(rows)[:, 0].tolist() if rows else []


def numbers(first: int, count: int) -> list[float]:
    return [float(each) for each in range(first, first + count)]


@pytest.mark.parametrize("count", [0, 1, 4, 9])
@pytest.mark.parametrize("room", [1, 3, 100])
def test_one_alone_gets_all_of_its_own_in_order(count: int, room: int) -> None:
    found = given(SharedBatches(Device(room).run, 4), numbers(0, count))
    assert found == [2 * each for each in numbers(0, count)]


def test_what_is_left_of_one_is_filled_up_with_another_s() -> None:
    device = Device()
    shared = SharedBatches(device.run, 4)
    device.may_go.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(given, shared, numbers(0, 6))
        assert device.began.wait(30)
        second = pool.submit(given, shared, numbers(100, 6))
        while len(shared._queue) < 8:  # until the other has given, too
            pass
        device.may_go.set()
        assert first.result() == [2 * each for each in numbers(0, 6)]
        assert second.result() == [2 * each for each in numbers(100, 6)]
    assert device.asked == [
        [0.0, 1.0, 2.0, 3.0],
        [4.0, 5.0, 100.0, 101.0],
        [102.0, 103.0, 104.0, 105.0],
    ], "three batches, where two would take four"


def test_a_batch_that_nobody_fills_bears_its_last_item_again() -> None:
    device = Device()
    given(SharedBatches(device.run, 4), numbers(0, 2))
    assert device.asked == [[0.0, 1.0, 1.0, 1.0]]


def test_a_fault_is_of_whose_items_it_met() -> None:
    shared = SharedBatches(Device().run, 2)
    with pytest.raises(ValueError, match="no such item"):
        given(shared, [-1.0])
    assert given(shared, [1.0]) == [2.0]
    crowded = SharedBatches(Device(room=0).run, 2)
    with pytest.raises(torch.OutOfMemoryError):
        given(crowded, [1.0])


def test_who_gives_up_takes_its_items_along() -> None:
    device = Device()
    shared = SharedBatches(device.run, 2)
    rows: Iterator[Tensor] = shared.each(numbers(0, 6), no_progress)
    list(islice(rows, 1))
    rows.close()  # type: ignore[attr-defined]
    assert given(shared, numbers(10, 2)) == [20.0, 22.0]
    assert device.asked == [[0.0, 1.0], [10.0, 11.0]]
