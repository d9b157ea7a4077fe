"""The device that a network runs on, and how it must compute there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

import torch

from inference.errors import DeviceError

TORCH_TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
"""By the name of a `Precision`."""

Device = Literal["auto", "cpu", "cuda"]


def choose_device(asked: Device) -> torch.device:
    """`auto` takes a GPU when there is one; DeviceError when CUDA is asked for and absent."""
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise DeviceError("device cuda: this machine, or this build of torch, has no CUDA GPU")
    return torch.device("cuda" if asked != "cpu" and there else "cpu")


class _Flags:
    """Of the whole process: set by the first thread that wants them, undone by the last."""

    def __init__(self) -> None:
        self._lock, self._held = threading.Lock(), 0
        self._set = ExitStack()

    def hold(self) -> None:
        with self._lock:
            self._held += 1
            if self._held == 1:
                self._set.enter_context(
                    torch.backends.cudnn.flags(
                        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
                    )
                )

    def let_go(self) -> None:
        with self._lock:
            self._held -= 1
            if not self._held:
                self._set.close()


_FLAGS = _Flags()


@contextmanager
def deterministic() -> Iterator[None]:
    """On a GPU: no search for the quickest kernel, and all 24 bits of float32."""
    _FLAGS.hold()
    try:
        yield
    finally:
        _FLAGS.let_go()
