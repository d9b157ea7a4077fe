"""What COVNet is taught by: the scan's label and, where lesions are known, slices, places, heat.

COVNet's class activation map is linear in the weights of its last layer (`covnet.gradcam`), so
that the map can be taught directly where lesions are: the evidence W_c A_ij of class c in cell
(i, j) is to be above a fixed offset on lesions of the class, and below it everywhere else. The
heatmap of a whole scan has of each channel only the slice where it is strongest, and what is left
of the map without the other channels is taught by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import (
    avg_pool2d,
    binary_cross_entropy_with_logits,
    cross_entropy,
    interpolate,
    pad,
)

from inference.covnet.gradcam import activation_maps
from inference.covnet.network import join
from inference.training.covnet.data import NEGATIVE, UNSURE

MAP_OFFSET = 3.0
"""Evidence at which a cell is as likely lesion as not: without any, lesion is at 5 %."""
CELL_PRESENT, CELL_ABSENT = 0.15, 0.01
"""A cell shows a class from this part on, and none up to that; between is unsure."""
HARDEST_PART = 0.02
"""Of the cells without lesions, those that look most like one (Shrivastava et al. 2016)."""
LEAST_HEAT = 1e-3
"""Part of the heat on lesions below which more of it is not asked for: a logarithm has no end."""
_NORMAL_STRIDE = 4


@dataclass(frozen=True)
class MapTargets:
    """By class with pneumonia, bool (n, classes - 1, h, w): cells with its lesions, with other
    lesions only, with none. Unsure cells are in none of them."""

    own: Tensor
    other: Tensor
    none: Tensor


def bag_maxima(pooled: Tensor, slices: list[int]) -> Tensor:
    """`pooled`: (n, features), `slices`: how many of them each bag has; maxima (bags, features).

    The same as `Covnet.forward` for each scan, all of them in one pass through the network.
    """
    return torch.stack([part.amax(dim=0) for part in torch.split(pooled, slices)])


def scan_loss(logits: Tensor, labels: Tensor, usual_bags: float, smoothing: float) -> Tensor:
    """Cross-entropy (Li et al. 2020), summed over the bags and divided by their usual number, so
    that a bag weighs the same whether it comes with many others or alone."""
    total = cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
    return total / usual_bags


def slice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the slices whose own label is known: mean by class, so that the many
    slices without lesions do not outweigh the others. 0 when none is known."""
    each = cross_entropy(logits, labels, reduction="none", ignore_index=UNSURE)
    groups = [each[labels == label] for label in range(NEGATIVE + 1)]
    means = [group.mean() for group in groups if len(group)]
    return torch.stack(means).mean() if means else logits.sum() * 0.0


def map_loss(evidence: Tensor, targets: MapTargets) -> Tensor:
    """Mean, over the kinds of cells that are there, of each kind's mean cross-entropy.

    `evidence`: W_c A_ij of the classes with pneumonia, (n, classes - 1, h, w), without bias. The
    cells without lesions count twice, all of them and the HARDEST_PART that look most like one: a
    maximum over slices finds the one cell of a scan that deceives the network.
    """
    lesion = targets.own.to(evidence.dtype)
    each = binary_cross_entropy_with_logits(evidence - MAP_OFFSET, lesion, reduction="none")
    kinds = [targets.own, targets.other, targets.none]
    means = [each[kind].mean() for kind in kinds if bool(kind.any())]
    if targets.none.any():
        spread = each[targets.none]
        means.append(spread.topk(ceil(HARDEST_PART * len(spread))).values.mean())
    return torch.stack(means).mean() if means else evidence.sum() * 0.0


def heat_loss(
    maps: Sequence[Tensor], labels: Sequence[int], own: Sequence[Tensor], weights: Tensor
) -> Tensor:
    """Minus the logarithm of the part of a scan's heat that lies on lesions, the mean over scans.

    The heat is the Grad-CAM of the scan's own class, as in use. Of each scan `maps`: (slices,
    features, h, w); `labels`: its class; `own`: bool (slices, classes - 1, h, w), as in
    `MapTargets`; `weights`: (classes, features) of the last layer. Scans without a lesion of their
    class have no loss; 0 without any other.
    """
    losses = []
    for each, label, lesions in zip(maps, labels, own, strict=True):
        if label == NEGATIVE or not lesions[:, label].any():
            continue
        heat = activation_maps(join([each.float()]), weights[label])
        share = heat[lesions[:, label]].sum() / heat.sum().clamp(min=LEAST_HEAT)
        losses.append(-(share + LEAST_HEAT).log())
    return torch.stack(losses).mean() if losses else weights.sum() * 0.0


def map_targets(lesions: Tensor, known: Tensor, shape: Sequence[int]) -> MapTargets:
    """`lesions`: float (n, classes, rows, columns), parts of finer cells; `known`: bool (n,);
    `shape`: of the network's last maps."""
    parts = on_last_maps(lesions, shape)
    usable = known[:, None, None, None]
    total = parts.amax(dim=1, keepdim=True)
    infected = parts[:, :NEGATIVE]
    own = (infected >= CELL_PRESENT) & usable
    other = (infected <= CELL_ABSENT) & (total >= CELL_PRESENT) & usable
    none = (total <= CELL_ABSENT) & usable
    return MapTargets(own, other, none.expand_as(own))


def on_last_maps(lesions: Tensor, shape: Sequence[int]) -> Tensor:
    """Means of the finer cells about the place that each last cell sees.

    That place is the cell's corner, not its middle (`resnet.CENTRE_OFFSET`): the finer
    cells are moved by half a last cell before the mean.
    """
    finer = (shape[0] * _NORMAL_STRIDE, shape[1] * _NORMAL_STRIDE)
    if lesions.shape[-2:] != finer:
        lesions = interpolate(lesions, finer, mode="area")
    half = _NORMAL_STRIDE // 2
    moved = pad(lesions, (half, 0, half, 0))[..., : finer[0], : finer[1]]
    return avg_pool2d(moved, _NORMAL_STRIDE)
