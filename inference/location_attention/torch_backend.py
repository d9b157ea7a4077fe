"""Location attention on PyTorch: the reference on the CPU, and the way to a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from inference.backends.batches import in_batches
from inference.backends.device import TORCH_TYPES, deterministic
from inference.backends.precision import Precision
from inference.backends.shared_batches import SharedBatches
from inference.location_attention.network import Context, LocationAttention
from inference.progress import Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BATCH = {"cpu": 12, "cuda": 96}
"""Patches at once: those of 4 candidates, on a GPU of 32; more were not measurably quicker."""
HALF_TOLERANCE = 2e-2
"""Largest difference of a probability in half precision, on a GPU, from PyTorch in float64.

11 bits through some 25 layers. Candidates that tie, or lie at the threshold, within it may differ.
"""

Network = TypeVar("Network", bound=nn.Module)


class TorchRegions:
    """`network`: folded; it is changed, to the layout and, on a GPU, the precision used here.

    The convolutions compute in `precision`, by default float16 on a GPU; what comes after them, in
    float32.
    """

    name = "torch"

    def __init__(
        self,
        network: LocationAttention,
        device: torch.device,
        size: int,
        precision: Precision | None = None,
        at_once: int = 1,
    ) -> None:
        """Move it to the device; on a GPU, run it once on patches of `size` pixels to warm up.
        `at_once`: so many series may be, whose patches then share batches."""
        self._device = device
        self._on_gpu = device.type == "cuda"
        self.precision: Precision = precision or ("f16" if self._on_gpu else "f32")
        _quicker_layout(network.parameters())
        self._segmenter = self._placed(network.segmenter)
        self._classifier = network.classifier.to(device)
        self._placed(network.classifier.resnet)
        batch = BATCH[self.device]
        self._shared = SharedBatches(self._logits_of, batch) if at_once > 1 else None
        if self._on_gpu:
            self._warm_up(size)

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self._device.type

    def context(self, values: Tensor) -> Context:
        """As `RegionBackend.context`; in `precision`, and on the device.

        Raises:
            torch.OutOfMemoryError: the device has no room for so many cells.
        """
        with deterministic(), torch.inference_mode():
            return Context(*self._segmenter.context(self._sent(values)))

    def lesion(self, values: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
        """As `RegionBackend.lesion`.

        Raises:
            as `context`.
        """
        maps = self._sent(half), self._sent(quarter)
        with deterministic(), torch.inference_mode():
            return self._segmenter.lesion(self._sent(values), *maps).float().cpu()

    def logits(
        self, images: Tensor, distances: Tensor, on_progress: Progress = no_progress
    ) -> Tensor:
        """As `RegionBackend.logits`.

        Raises:
            torch.OutOfMemoryError: there is no room for one patch.
        """

        def of(chosen: Tensor) -> Tensor:
            return self._logits(images[chosen], distances[chosen])

        with deterministic(), torch.inference_mode():
            if self._shared is None:
                every = torch.arange(len(images))
                found = in_batches(of, every, BATCH[self.device], on_progress, "classes")
            else:
                pairs = list(zip(images, distances, strict=True))
                found = self._shared.each(pairs, on_progress, "classes")
            return torch.cat(list(found))

    def release(self) -> None:
        """As `RegionBackend.release`; torch on the CPU gives back at once."""
        if self._on_gpu:
            torch.cuda.empty_cache()

    def _logits_of(self, patches: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        images, distances = (torch.stack(each) for each in zip(*patches, strict=True))
        return self._logits(images, distances)

    def _logits(self, images: Tensor, distances: Tensor) -> Tensor:
        three = self._sent(images).expand(-1, 3, -1, -1)
        maps = self._classifier.resnet(three.contiguous(memory_format=torch.channels_last))
        scaled = distances.to(self._device)
        return self._classifier.head(torch.relu(maps.float()), scaled).cpu()

    def _sent(self, values: Tensor) -> Tensor:
        return values.to(self._device, TORCH_TYPES[self.precision], non_blocking=True)

    def _placed(self, network: Network) -> Network:
        return network.to(self._device, TORCH_TYPES[self.precision])

    def _warm_up(self, size: int) -> None:
        """Kernels are loaded at their first use."""
        found = self.context(torch.zeros(1, 1, 32, 32, 32))
        self.lesion(torch.zeros(1, 1, 32, 32, 32), found.half, found.quarter)
        self.logits(torch.zeros(BATCH["cuda"], 1, size, size), torch.zeros(BATCH["cuda"]))


def _quicker_layout(parameters: Iterable[nn.Parameter]) -> None:
    """Channels last, in two dimensions and in three."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in parameters:
        if parameter.ndim in layouts:
            layout = layouts[parameter.ndim]
            parameter.data = parameter.data.contiguous(memory_format=layout)
