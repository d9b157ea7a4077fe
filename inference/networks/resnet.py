"""ResNet-18 and ResNet-50 (He et al. 2015, "Deep Residual Learning", table 1).

The stride of a stage is in the first 3x3 convolution of its first block, as in the "v1.5" of most
public weights, not in the 1x1 before it as in the paper's ResNet-50. Parameters bear the names of
torchvision's models, so that public checkpoints load strictly.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

EXPANSION = 4
FEATURES = 2048
"""Channels of the last feature maps of a ResNet-50."""
STRIDE = 32
"""Pixels of the input for one of the last feature maps, in rows and in columns."""
WIDTH = 64
"""Channels of the first convolution and of the first stage in the paper."""
CENTRE_OFFSET = 0.5 - 0.5 / STRIDE
"""How far, in cells, the middle of what a cell of the last maps sees lies before the cell's own
middle: each stride of 2 is of an odd kernel padded alike on both sides, so cell i looks at pixel
32 i, not at the middle of pixels 32 i to 32 i + 31."""


class BasicBlock(nn.Module):
    """Two 3x3, added to the shortcut (He et al. 2015, figure 5, left)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += shortcut
        return cast("Tensor", self.relu(out))

    def fold(self) -> None:
        """Put each BatchNorm into the convolution before it."""
        self.conv1, self.bn1 = _folded(self.conv1, self.bn1)
        self.conv2, self.bn2 = _folded(self.conv2, self.bn2)
        if self.downsample is not None:
            self.downsample = nn.Sequential(_folded(*self.downsample)[0])


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
        self.downsample = _shortcut(inputs, outputs, stride)

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


class ResNet(nn.Module):
    """What the two depths share: one kind of block, so many of them in each of four stages.

    Input float (n, 3, rows, columns), rows and columns multiples of 32; output (n, classes).
    `width`: channels of the first stage, doubled in each later one; less than the paper's 64 is
    for small machines.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        blocks: tuple[int, int, int, int],
        classes: int,
        width: int = WIDTH,
    ) -> None:
        super().__init__()
        up = EXPANSION if block is Bottleneck else 1
        one, two, four, eight = (width * 2**stage for stage in range(4))
        self.conv1 = nn.Conv2d(3, one, 7, stride=2, padding=3, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(one)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(block, (one, one, one * up), blocks[0], stride=1)
        self.layer2 = _stage(block, (one * up, two, two * up), blocks[1], stride=2)
        self.layer3 = _stage(block, (two * up, four, four * up), blocks[2], stride=2)
        self.layer4 = _stage(block, (four * up, eight, eight * up), blocks[3], stride=2)
        self.fc = nn.Linear(eight * up, classes)

    def feature_maps(self, x: Tensor) -> Tensor:
        """The last maps, after the ReLU: (n, 512 or 2048, rows / 32, columns / 32).

        So many at the paper's width.
        """
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
            if isinstance(block, BasicBlock | Bottleneck):
                block.fold()


class ResNet18(ResNet):
    """Eight basic blocks; 8 `width` feature maps, 512 in the paper."""

    def __init__(self, classes: int = 1000, width: int = WIDTH) -> None:
        super().__init__(BasicBlock, (2, 2, 2, 2), classes, width)


class ResNet50(ResNet):
    """Sixteen bottlenecks; 2048 feature maps."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__(Bottleneck, (3, 4, 6, 3), classes)


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    channels: tuple[int, int, int],
    blocks: int,
    stride: int,
) -> nn.Sequential:
    """`channels`: in, within the blocks, out."""
    inputs, width, outputs = channels
    more = (block(outputs, width, 1) for _ in range(blocks - 1))
    return nn.Sequential(block(inputs, width, stride), *more)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """A projection where the shape changes (He et al. 2015, equation 2, option B)."""
    if stride == 1 and inputs == outputs:
        return None
    projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(projection, nn.BatchNorm2d(outputs))


def _folded(conv: nn.Module, norm: nn.Module) -> tuple[nn.Conv2d, nn.Module]:
    if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
        raise TypeError("the BatchNorms are folded already")
    with torch.no_grad():
        return fuse_conv_bn_eval(conv, norm), nn.Identity()
