"""A device without room: smaller batches and tiles, the same findings, at last a clear error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gpu.setting import Setting, at_most, noise
from inference.backends.batches import with_less_room
from inference.covnet.torch_backend import BATCH, TorchBackend
from inference.location_attention.torch_backend import TorchRegions
from inference.progress import no_progress
from inference.ties import HALF_TIE, TIE

ROOM = 0.4
"""Of what the whole batch takes beyond the weights."""


def smaller_batches(setting: Setting) -> str:
    """COVNet with room for less than half a batch."""
    backend = TorchBackend(setting.covnet(), setting.device, setting.size)
    images = noise(max(BATCH[setting.device.type] + 1, 9), 1, setting.size, setting.size)
    wanted = backend.evidence(images, no_progress)
    steps: list[int] = []
    with _little_room(setting, backend, "_maps", lambda: backend.evidence(images, no_progress)):
        got = backend.evidence(images, lambda _stage, done, _of: steps.append(done))
    batch = next(done for done in steps if done)
    assert batch < BATCH[setting.device.type], f"batches of {batch} had room"
    apart = ((got.features - wanted.features).abs() / wanted.features.mean()).max()
    limit = HALF_TIE * 5 if setting.device.type == "cuda" else TIE
    return f"batches of {batch}, " + at_most("features", float(apart), limit)


def no_room(setting: Setting) -> str:
    """Not even one slice: torch.OutOfMemoryError, and the device works again after it."""
    backend = TorchBackend(setting.covnet(), setting.device, setting.size)
    images = noise(2, 1, setting.size, setting.size)
    before = backend.evidence(images, no_progress)
    try:
        with _no_room(setting, backend):
            backend.evidence(images, no_progress)
    except torch.OutOfMemoryError as error:
        told = str(error).splitlines()[0][:60]
    else:
        raise AssertionError("no error")
    after = backend.evidence(images, no_progress)
    assert torch.equal(before.features, after.features), "other numbers after the error"
    return f"{told!r}, then as before"


def smaller_tiles(setting: Setting) -> str:
    """The V-Net with room for less than half a tile: it is halved until it fits."""
    backend = TorchRegions(setting.regions(), setting.device, setting.patches[1])
    whole = noise(*setting.grid)[None, None]

    def run(cells: int) -> int:
        slices = max(16, cells // (whole.shape[3] * whole.shape[4]) // 16 * 16)
        backend.context(whole[:, :, :slices])
        return slices

    with _little_room(setting, backend, "context", lambda: backend.context(whole)):
        slices = with_less_room(run, whole.numel(), 16**3)
    assert slices < whole.shape[2], "the whole tile had room"
    return f"{slices} of {whole.shape[2]} slices"


@contextmanager
def _little_room(
    setting: Setting, backend: Any, name: str, whole: Callable[[], object]
) -> Iterator[None]:
    """Room for ROOM of what `whole` takes. On a CPU method `name` of the backend refuses more."""
    if setting.device.type == "cpu":
        with _refusing(backend, name):
            yield
        return
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    kept = torch.cuda.memory_allocated()
    whole()
    taken = torch.cuda.max_memory_reserved() - kept
    with _fraction(kept + ROOM * taken):
        yield


@contextmanager
def _no_room(setting: Setting, backend: TorchBackend) -> Iterator[None]:
    if setting.device.type == "cpu":
        with _refusing(backend, "_maps", most=0):
            yield
        return
    with _fraction(torch.cuda.memory_allocated()):
        yield


@contextmanager
def _fraction(limit_bytes: float) -> Iterator[None]:
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(limit_bytes / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@contextmanager
def _refusing(backend: Any, name: str, most: int | None = None) -> Iterator[None]:
    """More values than `most`, None for ROOM of the first call's, are refused."""
    inner = getattr(backend, name)
    room = [] if most is None else [most]

    def refusing(values: Tensor) -> object:
        if not room:
            room.append(int(values.numel() * ROOM))
        if values.numel() > room[0]:
            raise torch.OutOfMemoryError("out of memory (as a rehearsal)")
        return inner(values)

    setattr(backend, name, refusing)
    try:
        yield
    finally:
        delattr(backend, name)
