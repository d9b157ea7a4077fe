"""The peer: COVNet as plain eager PyTorch with Grad-CAM by autograd, slices one by one.

All slices at once would need tens of gigabytes for the gradients; the maps are kept, and the
gradient is taken at the maps, as Grad-CAM's equation 1 asks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference.covnet.network import Covnet


def run(network: Covnet, images: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities (classes,) and the heatmaps (slices, h, w) of the most probable class."""
    with torch.no_grad():
        maps = torch.cat([network.feature_maps(image[None]) for image in images])
    maps.requires_grad_(True)
    logits = network.logits(maps.mean(dim=(2, 3)).amax(dim=0))
    (gradient,) = torch.autograd.grad(logits.max(), maps)
    alpha = gradient.mean(dim=(2, 3), keepdim=True)
    return torch.softmax(logits, dim=0).detach(), torch.relu((alpha * maps).sum(dim=1)).detach()
