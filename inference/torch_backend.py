"""COVNet on PyTorch: the reference on the CPU, and the way to a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import torch

from inference.covnet import Covnet, Evidence, join
from inference.device import deterministic
from inference.stages import Progress, tell_nobody
from inference.ties import HALF_TIE, TIE

if TYPE_CHECKING:
    from torch import Tensor

Given = TypeVar("Given")
Done = TypeVar("Done")

BATCH = {"cpu": 8, "cuda": 64}
"""Slices at once: on a CPU more was not measurably faster, and takes about 15 MB each."""


class TorchBackend:
    """`network`: folded; it is changed, to the layout and, on a GPU, the precision used here.

    On a GPU the convolutions compute in half precision and the features are joined in float32.
    """

    name = "torch"

    def __init__(self, network: Covnet, device: torch.device, size: int) -> None:
        """Move it to the device; on a GPU, run it once on slices of `size` pixels to warm up."""
        self._device = device
        self._half = device.type == "cuda"
        for parameter in network.parameters():  # channels_last: the quicker layout on both
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self._network = network.to(device, torch.float16 if self._half else torch.float32)
        if self._half:
            self.evidence(torch.zeros(BATCH["cuda"], 1, size, size), tell_nobody)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self._device.type

    def evidence(self, images: Tensor, tell: Progress) -> Evidence:
        """Join the slices, float32 (slices, 1, size, size).

        Raises torch.OutOfMemoryError when the device has no room for a single slice.
        """
        waiting = images.pin_memory() if self._half else images  # copied while the GPU computes
        with deterministic(), torch.inference_mode():
            maps = in_batches(self._maps, waiting, BATCH[self.device], tell)
            found = join(maps, HALF_TIE if self._half else TIE)
            return Evidence(
                found.features.cpu(), found.peak_slice.cpu(), found.peak_maps.cpu(), found.slices
            )

    def _maps(self, batch: Tensor) -> Tensor:
        """Last feature maps in float32, on the device."""
        there = batch.to(self._device, non_blocking=True).to(self._network.conv1.weight.dtype)
        three = there.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        return self._network.feature_maps(three).float()


def in_batches(
    run: Callable[[Tensor], Tensor],
    images: Tensor,
    size: int,
    tell: Progress,
    stage: str = "network",
) -> Iterator[Tensor]:
    """`run` on batches of `size` images, on half as many each time the device has no room.

    The last batch is filled up with its last image: another number of images is another kernel,
    with other last digits. Tells the stage how many images it has had. Raises
    torch.OutOfMemoryError when there is no room for one.
    """
    start = 0
    while start < len(images):
        tell(stage, start, len(images))
        batch = images[start : start + size]
        done = _run_or_none(run, _filled(batch, size))
        if done is not None:
            yield done[: len(batch)]
            start += size
        elif size > 1:
            size //= 2
            torch.cuda.empty_cache()  # does nothing where CUDA was never used
        else:
            yield run(batch)  # no smaller one: its error is the caller's
            start += 1
    tell(stage, len(images), len(images))


def _filled(batch: Tensor, size: int) -> Tensor:
    missing = size - len(batch)
    return torch.cat((batch, batch[-1:].expand(missing, *batch.shape[1:]))) if missing else batch


def with_less_room(run: Callable[[int], Done], size: int, least: int) -> Done:
    """`run(size)`, and with half of it each time the device has no room, down to `least`.

    Raises torch.OutOfMemoryError when there is no room for `least`.
    """
    while size > least:
        done = _run_or_none(run, size)
        if done is not None:
            return done
        size = max(size // 2, least)
        torch.cuda.empty_cache()
    return run(least)


def _run_or_none(run: Callable[[Given], Done], given: Given) -> Done | None:
    """None when the device has no room; only outside `except` is the failed try's memory free."""
    try:
        return run(given)
    except torch.OutOfMemoryError:
        return None
