"""ResNet-50 (He et al. 2015, "Deep Residual Learning for Image Recognition", table 1).

The stride of a stage is in the 3x3 convolution of its first block, as in the "v1.5" of most
public weights, not in the 1x1 before it as in the paper. Parameters bear the names of
torchvision's model, so that public ResNet-50 checkpoints load strictly.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

EXPANSION = 4
FEATURES = 2048
"""Channels of the last feature maps."""
STRIDE = 32
"""Pixels of the input for one of the last feature maps, in rows and in columns."""


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up by 4, added to the shortcut (He et al. 2015, figure 5, right)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3: nn.Module = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += shortcut
        return cast("Tensor", self.relu(out))

    def fold(self) -> None:
        """Put each BatchNorm into the convolution before it."""
        self.conv1, self.bn1 = _folded(self.conv1, self.bn1)
        self.conv2, self.bn2 = _folded(self.conv2, self.bn2)
        self.conv3, self.bn3 = _folded(self.conv3, self.bn3)
        if self.downsample is not None:
            self.downsample = nn.Sequential(_folded(*self.downsample)[0])


class ResNet50(nn.Module):
    """Input float (n, 3, rows, columns), rows and columns multiples of 32; output (n, classes)."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(64, 64, blocks=3, stride=1)
        self.layer2 = _stage(256, 128, blocks=4, stride=2)
        self.layer3 = _stage(512, 256, blocks=6, stride=2)
        self.layer4 = _stage(1024, 512, blocks=3, stride=2)
        self.fc = nn.Linear(FEATURES, classes)

    def feature_maps(self, x: Tensor) -> Tensor:
        """The last feature maps, after the ReLU: (n, 2048, rows / 32, columns / 32)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return cast("Tensor", self.layer4(self.layer3(self.layer2(self.layer1(x)))))

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.fc(self.feature_maps(x).mean(dim=(2, 3))))

    def fold(self) -> None:
        """Put every BatchNorm into its convolution: in evaluation mode it is a fixed scale and
        shift, and applying it apart costs a pass over memory as long as a 1x1 convolution."""
        self.eval()
        self.conv1, self.bn1 = _folded(self.conv1, self.bn1)
        for block in self.modules():
            if isinstance(block, Bottleneck):
                block.fold()


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(inputs, width, stride)
    return nn.Sequential(
        first, *(Bottleneck(width * EXPANSION, width, 1) for _ in range(blocks - 1))
    )


def _folded(conv: nn.Module, norm: nn.Module) -> tuple[nn.Conv2d, nn.Module]:
    if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
        raise TypeError("the BatchNorms are folded already")
    with torch.no_grad():
        return fuse_conv_bn_eval(conv, norm), nn.Identity()
