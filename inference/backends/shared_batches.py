"""Batches of one size that are filled across several callers, each with a series of its own.

At the end of a series a batch is seldom full, and the device computes it all the same. Where others
have items waiting, it is filled up with theirs. What an item gives is what it gives alone: a batch
has always the same number of items, and no item sees another.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Generic, TypeVar

import torch

from inference.backends.batches import run_or_none
from inference.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

Item = TypeVar("Item")


@dataclass(eq=False)
class _Share:
    """What one caller has got back, in the order in which it gave, or why it gets no more."""

    done: deque[Tensor] = field(default_factory=deque)
    error: Exception | None = None


class SharedBatches(Generic[Item]):
    """`run` gives a tensor with a row for each of the `size` items that it is given."""

    def __init__(self, run: Callable[[list[Item]], Tensor], size: int) -> None:
        self._run, self._size = run, size
        self._queue: deque[tuple[_Share, Item]] = deque()
        self._guard = threading.Lock()  # of the queue, for moments
        self._device = threading.Lock()  # while a batch is computed

    def each(
        self, items: Sequence[Item], on_progress: Progress, stage: str = "network"
    ) -> Iterator[Tensor]:
        """The rows of these items, in order, some at a time. Any number of threads may be in here;
        whichever finds the device free computes for all.

        Raises:
            torch.OutOfMemoryError: there is no room for one item.
        """
        share, had = _Share(), 0
        with self._guard:
            self._queue.extend((share, item) for item in items)
        try:
            while had < len(items):
                on_progress(stage, had, len(items))
                some = self._next_of(share)
                had += len(some)
                yield some
            on_progress(stage, len(items), len(items))
        finally:  # who gives up takes its items along
            with self._guard:
                self._queue = deque(each for each in self._queue if each[0] is not share)

    def _next_of(self, share: _Share) -> Tensor:
        while True:
            with self._device:
                if share.error is not None:
                    raise share.error
                if share.done:
                    return share.done.popleft()
                self._compute(self._taken(self._size), self._size)

    def _taken(self, count: int) -> list[tuple[_Share, Item]]:
        with self._guard:
            return [self._queue.popleft() for _ in range(min(count, len(self._queue)))]

    def _compute(self, batch: list[tuple[_Share, Item]], size: int) -> None:
        """With half as many at once each time the device has no room."""
        for start in range(0, len(batch), size):
            some = batch[start : start + size]
            items = [item for _, item in some]
            filled = [*items, *items[-1:] * (size - len(items))]
            try:
                rows = self._run(filled) if size == 1 else run_or_none(self._run, filled)
            except Exception as error:  # noqa: BLE001 - told to whose items they are
                _tell(some, error)
                continue
            if rows is not None:
                _give(some, rows)
            else:
                torch.cuda.empty_cache()  # does nothing where CUDA was never used
                self._compute(some, size // 2)


def _give(batch: Sequence[tuple[_Share, Item]], rows: Tensor) -> None:
    at = 0
    for share, own in groupby(batch, key=lambda each: each[0]):
        count = len(list(own))
        share.done.append(rows[at : at + count])
        at += count


def _tell(batch: Sequence[tuple[_Share, Item]], error: Exception) -> None:
    for share, _ in batch:
        share.error = error
