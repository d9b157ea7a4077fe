"""Grad-CAM of COVNet in closed form, without a backward pass.

Selvaraju et al. 2017, equation 1: the weight of feature map A_k for class c is the mean of
dz_c / dA_k over its pixels; equation 2: the map is ReLU(sum_k alpha_k A_k). In COVNet, with s the
slice, (i, j) a pixel of the h x w grid, and w_ck, b_c the linear layer:

    f_k = max_s 1/(hw) sum_ij A_sk(i, j)        z_c = sum_k w_ck f_k + b_c

    dz_c / dA_sk(i, j) = w_ck / (hw)   if s is the slice where channel k has its maximum, else 0

which is the same for all pixels, hence its own mean: alpha_sk = w_ck / (hw) or 0. The map of
slice s so needs only the channels that have their maximum there:

    CAM_s = ReLU( sum over k with s = argmax of k:  w_ck / (hw) A_sk )

Where slices tie for a channel's maximum, the derivative of the maximum is not unique: here the
first slice has all of it (autograd's `amax` shares it equally). A channel that is 0 everywhere
ties everywhere, and adds 0 to any map.
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference.covnet.network import Evidence


def activation_maps(evidence: Evidence, class_weights: Tensor) -> Tensor:
    """Grad-CAM of every slice for one class: (slices, h, w), not negative, not yet normalised.

    `class_weights`: (2048,), the row w_c of the linear layer.
    """
    _, height, width = evidence.peak_maps.shape
    alpha = class_weights / (height * width)
    maps = evidence.peak_maps.new_zeros((evidence.slices, height, width))
    maps.index_add_(0, evidence.peak_slice, alpha[:, None, None] * evidence.peak_maps)
    return torch.relu(maps)


def slice_shares(evidence: Evidence, class_weights: Tensor) -> Tensor:
    """Each slice's part in the positive evidence for the class: (slices,), sums to 1.

    The evidence is w_ck f_k where positive, given to the slice that has the maximum of channel k.
    Without positive evidence the slices share equally.
    """
    positive = torch.relu(class_weights * evidence.features)
    shares = positive.new_zeros(evidence.slices).index_add_(0, evidence.peak_slice, positive)
    total = float(shares.sum())
    if total <= 0:
        return torch.full_like(shares, 1.0 / evidence.slices)
    return shares / total
