"""Location attention (Xu et al. 2020, "Deep Learning System to Screen COVID-19", figure 4).

From the paper: candidate cubes by a V-Net with a region-proposal part (section 2.3); patches seen
by a ResNet-18, made into 256 features, then 16, joined with the relative distance-from-edge, and
three fully connected layers that end in the classes (section 2.5.2).

Our own choice, where the text is silent: the last feature maps are averaged before the layer of
256 (the pooling that the text names); the widths of the three layers; ReLU between all of them.
The V-Net and its two heads are described in `regions`.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from inference.bundles.tasks import IRRELEVANT
from inference.location_attention.proposals import ANCHOR_EDGES_MM
from inference.networks import resnet
from inference.networks.vnet import WIDTH, VNet

CLASSES = ("COVID-19", "influenza-A viral pneumonia", IRRELEVANT)
"""The paper's classes; the last one of any network of this task is the irrelevant one."""
PATCH_FEATURES = 256
NARROW_FEATURES = 16
HEAD_FEATURES = (64, 32)
"""Widths of the first two of the three fully connected layers."""


class Proposals(NamedTuple):
    """Output of the segmenter for n pieces of the grid; logits and offsets, not yet decoded.

    `lesion`: (n, slices, rows, columns), log-odds of lesion against background by voxel;
    `objectness`: (n, anchors, slices / 4, rows / 4, columns / 4), log-odds;
    `offsets`: (n, anchors, 6, slices / 4, rows / 4, columns / 4), as `proposals.decode` takes them.
    """

    lesion: Tensor
    objectness: Tensor
    offsets: Tensor


class Context(NamedTuple):
    """What the segmenter knows of n pieces of the grid before it looks at single voxels.

    `half` and `quarter`: maps of `VNet.context`; `objectness`, `offsets`: as in `Proposals`.
    """

    half: Tensor
    quarter: Tensor
    objectness: Tensor
    offsets: Tensor


class Segmenter(nn.Module):
    """V-Net with a voxel head on the finest maps and a proposal head on the quarter-size maps."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        anchors = len(ANCHOR_EDGES_MM)
        self.vnet = VNet(width)
        self.voxel = nn.Conv3d(2 * width, 2, 1)
        self.shared = nn.Conv3d(8 * width, 8 * width, 3, padding=1)
        self.objectness = nn.Conv3d(8 * width, anchors, 1)
        self.offsets = nn.Conv3d(8 * width, 6 * anchors, 1)

    def forward(self, x: Tensor) -> Proposals:
        """`x`: float (n, 1, slices, rows, columns), each a multiple of 16, from 0 to 1."""
        fine, quarter = self.vnet(x)
        return Proposals(self._lesion(fine), *self._heads(quarter))

    def context(self, x: Tensor) -> Context:
        """Proposals without lesions: all of `forward` that they need."""
        half, quarter = self.vnet.context(x)
        return Context(half, quarter, *self._heads(quarter))

    def lesion(self, x: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
        """`Proposals.lesion` of a part of the grid, as `VNet.fine` takes it."""
        return self._lesion(self.vnet.fine(x, half, quarter))

    def _lesion(self, fine: Tensor) -> Tensor:
        background, lesion = self.voxel(fine).unbind(1)  # softmax of two is the sigmoid of these
        return cast("Tensor", lesion - background)

    def _heads(self, quarter: Tensor) -> tuple[Tensor, Tensor]:
        """Objectness and offsets."""
        shared = torch.relu(self.shared(quarter))
        return self.objectness(shared), self.offsets(shared).unflatten(1, (-1, 6))


class Classifier(nn.Module):
    """ResNet-18 and the distance to a class for each patch.

    `width`: channels of the ResNet's first stage, 64 in He et al. 2015.
    """

    def __init__(self, classes: int = len(CLASSES), width: int = resnet.WIDTH) -> None:
        super().__init__()
        first, second = HEAD_FEATURES
        self.resnet = resnet.ResNet18(PATCH_FEATURES, width)
        self.narrow = nn.Linear(PATCH_FEATURES, NARROW_FEATURES)
        self.fc1 = nn.Linear(NARROW_FEATURES + 1, first)
        self.fc2 = nn.Linear(first, second)
        self.fc3 = nn.Linear(second, classes)

    def forward(self, patches: Tensor, distances: Tensor) -> Tensor:
        """Logits (n, classes).

        `patches`: float (n, 1 or 3, size, size) from 0 to 1, size a multiple of 32; `distances`:
        (n,), the relative distance-from-edge brought to the order of magnitude of 1.
        """
        return self.head(torch.relu(self.resnet(patches.expand(-1, 3, -1, -1))), distances)

    def head(self, features: Tensor, distances: Tensor) -> Tensor:
        """Logits (n, classes) of the patches' features (n, 256) and distances (n,)."""
        narrow = torch.relu(self.narrow(features))
        joined = torch.cat((narrow, distances[:, None]), dim=1)  # (n, 17)
        hidden = torch.relu(self.fc2(torch.relu(self.fc1(joined))))
        return cast("Tensor", self.fc3(hidden))


class LocationAttention(nn.Module):
    """Both networks under one roof, so that one file of weights holds them.

    `width`: of the V-Net; `patch_width`: of the ResNet-18.
    """

    def __init__(
        self,
        classes: int = len(CLASSES),
        width: int = WIDTH,
        patch_width: int = resnet.WIDTH,
    ) -> None:
        super().__init__()
        self.segmenter = Segmenter(width)
        self.classifier = Classifier(classes, patch_width)

    def fold(self) -> None:
        """Evaluation mode, the classifier's BatchNorms put into its convolutions."""
        self.eval()
        self.classifier.resnet.fold()


def location_attention_network(
    classes: int, width: int = WIDTH, patch_width: int = resnet.WIDTH
) -> LocationAttention:
    """The network whose parameters a bundle of the task `regions` holds."""
    return LocationAttention(classes, width, patch_width)
