"""What the U-net of the task `lungs` sees of a slice: the same in use and in training."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

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


def resized(maps: Tensor, size: int) -> Tensor:
    """Maps (n, channels, rows, columns) as (n, channels, size, size): means where pixels shrink."""
    square = (size, size)
    return interpolate(maps, square, mode="bilinear", antialias=True, align_corners=False)
