"""The device that a network runs on, and how it must compute there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def deterministic() -> Iterator[None]:
    """On a GPU: no search for the quickest kernel, and all 24 bits of float32."""
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        yield
