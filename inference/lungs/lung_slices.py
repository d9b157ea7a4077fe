"""What the U-net of the task `lungs` sees of a slice: the same in use and in training."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from inference.arrays.resample import Values, taps
from inference.lungs.lung_input import LungInput


def slice_image(
    hu: NDArray[np.int16], settings: LungInput, device: torch.device | str = "cpu"
) -> Tensor:
    """One slice (rows, columns) of HU, in the patient's axes, windowed and made square.

    Returns float32 (1, 1, size, size) from 0 to 1 on the device.
    """
    low, high = settings.hu_low, settings.hu_high
    values = torch.from_numpy(np.ascontiguousarray(hu)).to(device).float()
    scaled = ((values - low) / (high - low)).clamp(0.0, 1.0)[None, None]
    return resized(scaled, settings.size)


class SliceImages:
    """`slice_image` by numpy, equal but for rounding, of slices of one shape.

    Beside OpenVINO's threads it takes none: those of torch wait for each other in a loop, and took
    from the network as long as they worked themselves.
    """

    def __init__(self, settings: LungInput, rows: int, columns: int) -> None:
        self._low, self._high = settings.hu_low, settings.hu_high
        self._rows, self._columns = (
            taps(pixels, settings.size, 0.5 * pixels / settings.size - 0.5, pixels / settings.size)
            for pixels in (rows, columns)
        )

    def of(self, hu: NDArray[np.int16]) -> Values:
        """Float32 (size, size) from 0 to 1."""
        values = hu.astype(np.float32)
        values -= np.float32(self._low)
        values /= np.float32(self._high - self._low)
        square = self._columns.across(self._rows.down(np.clip(values, 0.0, 1.0, out=values)))
        return np.ascontiguousarray(square)


def resized(maps: Tensor, size: int) -> Tensor:
    """Maps (n, channels, rows, columns) as (n, channels, size, size): means where pixels shrink."""
    square = (size, size)
    return interpolate(maps, square, mode="bilinear", antialias=True, align_corners=False)
