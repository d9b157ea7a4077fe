"""What finding lungs needs of the software that computes the U-net, whatever it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from inference.backends.precision import Precision
    from inference.progress import Progress


class LungBackend(Protocol):
    """The U-net of the task `lungs`, and how it is given its slices."""

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

    def logits(
        self, hu: Sequence[NDArray[np.int16]], on_progress: Progress
    ) -> Iterator[NDArray[np.float32]]:
        """Of each slice (rows, columns), in the patient's axes, in order.

        Float32 (classes, size, size). Each is void once the next is asked for.
        """
        ...
