"""What COVNet's engine needs of the software that computes the network, whatever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from inference.backends.precision import Precision
    from inference.covnet.network import Evidence
    from inference.progress import Progress


class CovnetBackend(Protocol):
    """COVNet's convolutions; the linear layer and Grad-CAM are small and the engine's own."""

    @property
    def name(self) -> str:
        """`torch` or `openvino`."""
        ...

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        ...

    @property
    def precision(self) -> Precision:
        """Of the convolutions."""
        ...

    def evidence(self, images: Tensor, on_progress: Progress) -> Evidence:
        """Join the slices, float32 (slices, 1, size, size); the evidence is float32 on the CPU."""
        ...

    def foresee(self, images: Tensor, on_progress: Progress) -> None:
        """Keep what `evidence` will want of those images, where it is worth it."""
        ...
