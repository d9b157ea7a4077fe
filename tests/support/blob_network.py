"""Location attention with weights set by hand, so that what it must find is known."""

from __future__ import annotations

import torch

from inference.location_attention.network import LocationAttention
from inference.location_attention.proposals import ANCHOR_EDGES_MM

WIDTH = 1
THRESHOLD = 0.55
"""Windowed value half-way from lung (-850 HU) to soft tissue (40 HU), of -1250 to 250 HU."""
STEEPNESS = 60.0


def blob_network(anchor_mm: float = 48.0, seed: int = 0) -> LocationAttention:
    """Objectness and lesion rise with the brightness of a cell of the grid, and nothing else.

    The V-Net's convolutions are 0, so that its stages pass their input on; its two first ways down
    are means, so that the quarter-size maps hold the mean over 4 x 4 x 4 cells; objectness is that
    of 12 x 12 x 12. Only the anchor
    with edges of `anchor_mm` is ever proposed, as it stands. The classifier is drawn from `seed`.
    """
    torch.manual_seed(seed)
    network = LocationAttention(width=WIDTH)
    segmenter = network.segmenter
    with torch.no_grad():
        for parameter in segmenter.parameters():
            parameter.zero_()
        for down in (segmenter.vnet.left2.down, segmenter.vnet.left3.down):
            down.weight.fill_(1 / (8 * down.in_channels))
        bright = STEEPNESS / (2 * WIDTH)
        segmenter.voxel.weight[1, -WIDTH:] = 2 * bright  # the last half is the image itself
        segmenter.voxel.bias[1] = -STEEPNESS * THRESHOLD  # type: ignore[index]
        segmenter.shared.weight[0, -1] = 1 / 27  # highest at the middle of what is bright
        chosen = ANCHOR_EDGES_MM.index(anchor_mm)
        segmenter.objectness.weight[chosen, 0] = STEEPNESS
        segmenter.objectness.bias.fill_(-STEEPNESS)  # type: ignore[union-attr]
        segmenter.objectness.bias[chosen] = -STEEPNESS * THRESHOLD  # type: ignore[index]
    return network
