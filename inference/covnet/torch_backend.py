"""COVNet on PyTorch: the reference on the CPU, and the way to a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from inference.backends.batches import in_batches
from inference.backends.device import TORCH_TYPES, deterministic
from inference.backends.precision import Precision
from inference.backends.shared_batches import SharedBatches
from inference.covnet.network import Covnet, Evidence, join
from inference.progress import Progress, no_progress
from inference.ties import TIES

if TYPE_CHECKING:
    from torch import Tensor

BATCH = {"cpu": 8, "cuda": 64}
"""Slices at once: on a CPU more was not measurably faster, and takes about 15 MB each."""


class TorchBackend:
    """`network`: folded; it is changed, to the layout and, on a GPU, the precision used here.

    The convolutions compute in `precision`, by default float16 on a GPU; the features are joined in
    float32.
    """

    name = "torch"

    def __init__(
        self,
        network: Covnet,
        device: torch.device,
        size: int,
        precision: Precision | None = None,
        at_once: int = 1,
    ) -> None:
        """Move it to the device; on a GPU, run it once on slices of `size` pixels to warm up.
        `at_once`: so many series may be, whose slices then share batches."""
        self._device = device
        self._on_gpu = device.type == "cuda"
        self.precision: Precision = precision or ("f16" if self._on_gpu else "f32")
        for parameter in network.parameters():  # channels_last: the quicker layout on both
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self._network = network.to(device, TORCH_TYPES[self.precision])
        batch = BATCH[self.device]
        self._shared = SharedBatches(self._maps_of, batch) if at_once > 1 else None
        if self._on_gpu:
            self.evidence(torch.zeros(BATCH["cuda"], 1, size, size), no_progress)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self._device.type

    def evidence(self, images: Tensor, on_progress: Progress) -> Evidence:
        """Join the slices, float32 (slices, 1, size, size).

        Raises:
            torch.OutOfMemoryError: the device has no room for a single slice.
        """
        waiting = images.pin_memory() if self._on_gpu else images  # copied while the GPU computes
        with deterministic(), torch.inference_mode():
            if self._shared is None:
                maps = in_batches(self._maps, waiting, BATCH[self.device], on_progress)
            else:
                maps = self._shared.each(list(waiting), on_progress)
            found = join(maps, TIES[self.precision])
            return Evidence(
                found.features.cpu(), found.peak_slice.cpu(), found.peak_maps.cpu(), found.slices
            )

    def foresee(self, _images: Tensor, _on_progress: Progress) -> None:
        """Nothing is kept: a GPU needs no head start."""

    def _maps_of(self, slices: Sequence[Tensor]) -> Tensor:
        there = [each.to(self._device, non_blocking=True) for each in slices]
        return self._maps(torch.stack(there))

    def _maps(self, batch: Tensor) -> Tensor:
        """Last feature maps in float32, on the device."""
        there = batch.to(self._device, non_blocking=True).to(self._network.conv1.weight.dtype)
        three = there.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        return self._network.feature_maps(three).float()
