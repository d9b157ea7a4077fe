"""The U-net of the task `lungs` on PyTorch: the reference on the CPU, and the way to a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from inference.backends.batches import in_batches
from inference.backends.device import deterministic
from inference.backends.precision import Precision
from inference.backends.shared_batches import SharedBatches
from inference.lungs.lung_input import LungInput
from inference.lungs.lung_slices import slice_image

if TYPE_CHECKING:
    from torch import Tensor

    from inference.networks.unet import Unet
    from inference.progress import Progress

BATCH = {"cpu": 1, "cuda": 32}
"""Slices at once: on a CPU the maps of one stay in the cache."""


class TorchUnet:
    """`network`: folded; it is changed, to the layout and the device used here."""

    name = "torch"

    def __init__(
        self,
        network: Unet,
        device: torch.device,
        settings: LungInput,
        precision: Precision = "f32",
        at_once: int = 1,
    ) -> None:
        """`at_once`: so many series may be, whose slices then share batches."""
        self._device, self._settings, self.precision = device, settings, precision
        self._network = network
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        size = BATCH[self.device]
        self._shared = SharedBatches(self._of, size) if at_once > 1 else None

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self._device.type

    def logits(
        self, hu: Sequence[NDArray[np.int16]], on_progress: Progress
    ) -> Iterator[NDArray[np.float32]]:
        """As `LungBackend.logits`.

        Raises:
            torch.OutOfMemoryError: the device has no room for a single slice.
        """

        def of(chosen: Tensor) -> Tensor:
            return self._of([hu[at] for at in chosen.tolist()])

        with deterministic(), torch.inference_mode():
            if self._shared is None:
                every = torch.arange(len(hu))
                found = in_batches(of, every, BATCH[self.device], on_progress, "lungs")
            else:
                found = self._shared.each(hu, on_progress, "lungs")
            for batch in found:
                yield from batch.contiguous().cpu().numpy()

    def _of(self, slices: Sequence[NDArray[np.int16]]) -> Tensor:
        images = [slice_image(each, self._settings, self._device) for each in slices]
        with torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16"):
            found: Tensor = self._network(torch.cat(images))
        return found.float()
