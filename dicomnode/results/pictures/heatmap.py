"""A CT slice at lung window with a Grad-CAM over it, as colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LUNG_CENTRE_HU = -600.0
LUNG_WIDTH_HU = 1500.0
THRESHOLD = 0.15
"""Activation below which nothing is drawn: the reader shall see the lung, not a blue veil."""
OPACITY = 0.5
"""Opacity at activation 1.0; it falls with the square root, so anatomy stays visible."""


def lung_window(hu: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Grey levels of HU at window centre −600, width 1500.

    The linear function of PS3.3 section C.11.2.1.2.1 for an output range of 0 to 255.
    """
    low = LUNG_CENTRE_HU - 0.5 - (LUNG_WIDTH_HU - 1.0) / 2.0
    grey = (hu.astype(np.float32) - low) / (LUNG_WIDTH_HU - 1.0) * 255.0
    return np.asarray(np.clip(np.rint(grey), 0, 255), dtype=np.uint8)


def jet(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """The Jet colour map, 0..1 to RGB 0..1 on a new last axis.

    Piecewise linear as MATLAB defines it: each channel is a trapezium of slope 4, centred at 3/4
    (red), 1/2 (green) and 1/4 (blue).
    """
    slopes = 4.0 * np.clip(value, 0.0, 1.0)
    channels = [np.clip(1.5 - np.abs(slopes - centre), 0.0, 1.0) for centre in (3.0, 2.0, 1.0)]
    return np.moveaxis(np.array(channels, np.float32), 0, -1)


def opacity(activation: NDArray[np.float32]) -> NDArray[np.float32]:
    """0.5·√activation where the activation is above 0.15, else 0."""
    shown = np.where(activation > THRESHOLD, np.clip(activation, 0.0, 1.0), 0.0)
    return (OPACITY * np.sqrt(shown)).astype(np.float32)


def blend(hu: NDArray[np.int16], activation: NDArray[np.float32]) -> NDArray[np.uint8]:
    """RGB (rows, columns, 3) of a slice with its activation over it."""
    grey = lung_window(hu).reshape(-1)
    shown = np.flatnonzero(activation > THRESHOLD)  # most of a slice has nothing to blend
    values = activation.reshape(-1)[shown]
    alpha, under = opacity(values), grey[shown]
    picture = np.empty((*hu.shape, 3), np.uint8)
    for channel, colour in enumerate(np.moveaxis(jet(values), -1, 0)):
        plane = grey.copy()
        plane[shown] = np.rint(under * (1.0 - alpha) + 255.0 * colour * alpha)
        picture[..., channel] = plane.reshape(hu.shape)
    return picture
