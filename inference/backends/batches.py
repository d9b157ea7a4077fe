"""PyTorch in batches, of whatever size the device has room for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import torch

from inference.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

Given = TypeVar("Given")
Done = TypeVar("Done")


def in_batches(
    run: Callable[[Tensor], Tensor],
    images: Tensor,
    size: int,
    on_progress: Progress,
    stage: str = "network",
) -> Iterator[Tensor]:
    """`run` on batches of `size` images, on half as many each time the device has no room.

    The last batch is filled up with its last image: another number of images is another kernel,
    with other last digits. Tells the stage how many images it has had.

    Raises:
        torch.OutOfMemoryError: there is no room for one.
    """
    start = 0
    while start < len(images):
        on_progress(stage, start, len(images))
        batch = images[start : start + size]
        done = run_or_none(run, _filled(batch, size))
        if done is not None:
            yield done[: len(batch)]
            start += size
        elif size > 1:
            size //= 2
            torch.cuda.empty_cache()  # does nothing where CUDA was never used
        else:
            yield run(batch)  # no smaller one: its error is the caller's
            start += 1
    on_progress(stage, len(images), len(images))


def _filled(batch: Tensor, size: int) -> Tensor:
    missing = size - len(batch)
    return torch.cat((batch, batch[-1:].expand(missing, *batch.shape[1:]))) if missing else batch


def with_less_room(run: Callable[[int], Done], size: int, least: int) -> Done:
    """`run(size)`, and with half of it each time the device has no room, down to `least`.

    Raises:
        torch.OutOfMemoryError: there is no room for `least`.
    """
    while size > least:
        done = run_or_none(run, size)
        if done is not None:
            return done
        size = max(size // 2, least)
        torch.cuda.empty_cache()
    return run(least)


def run_or_none(run: Callable[[Given], Done], given: Given) -> Done | None:
    """None when the device has no room; only outside `except` is the failed try's memory free."""
    try:
        return run(given)
    except torch.OutOfMemoryError:
        return None
