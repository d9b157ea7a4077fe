"""What location attention needs of the software that computes its networks, whatever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from inference.backends.precision import Precision
    from inference.location_attention.network import Context
    from inference.progress import Progress


class RegionBackend(Protocol):
    """The two networks of location attention; tensors go in on the CPU or as they came out."""

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

    def context(self, values: Tensor) -> Context:
        """`Segmenter.context` of float32 (1, 1, slices, rows, columns); void at the next call."""
        ...

    def lesion(self, values: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
        """`Segmenter.lesion`, float32 on the CPU; void at the next call."""
        ...

    def logits(self, images: Tensor, distances: Tensor, on_progress: Progress) -> Tensor:
        """Of the classifier, float32 (n, classes) on the CPU.

        `images`: float32 (n, 1, size, size); `distances`: float32 (n,), scaled. Tells the stage
        `classes`.
        """
        ...

    def release(self) -> None:
        """Give back the memory that the segmenter worked in, until it is asked again."""
        ...
