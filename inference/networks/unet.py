"""U-net (Ronneberger et al. 2015, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", figure 1), in two dimensions, for one slice at a time.

As in the paper: two 3x3 convolutions at each of five levels, 2x2 maximum pooling down, 2x2
up-convolution, the maps of the same level joined to it, a 1x1 convolution to the classes. Our own
choice: padding, so that the output is as large as the input; BatchNorm after each convolution;
16 maps at the first level where the paper has 64, for which a slice of 256 x 256 takes 6 billion
floating-point operations instead of 96.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

WIDTH = 16
"""Maps at the first level; each level below has twice as many."""
LEVELS = 5
STRIDE = 2 ** (LEVELS - 1)
"""Rows and columns of the input are multiples of this."""


class DoubleConvolution(nn.Sequential):
    """3x3, BatchNorm, ReLU, twice."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(*_unit(inputs, outputs), *_unit(outputs, outputs))

    def fold(self) -> None:
        """Put both BatchNorms into the convolutions before them."""
        for at in (0, 3):
            convolution, norm = self[at], self[at + 1]
            if not (isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
                raise TypeError("the BatchNorms are folded already")
            with torch.no_grad():
                self[at], self[at + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()


class Unet(nn.Module):
    """Input float (n, 1, rows, columns), multiples of 16; output logits (n, classes, …) of it."""

    def __init__(self, classes: int, width: int = WIDTH) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS)]
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(DoubleConvolution(a, b) for a, b in [(1, width), *pairs])
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in reversed(pairs))
        self.joined = nn.ModuleList(DoubleConvolution(b, a) for a, b in reversed(pairs))
        self.last = nn.Conv2d(width, classes, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        passed = []
        for level, block in enumerate(self.down):
            x = block(self.pool(x) if level else x)
            passed.append(x)
        passed.pop()
        for up, joined in zip(self.up, self.joined, strict=True):
            x = joined(torch.cat((passed.pop(), up(x)), dim=1))
        return cast("Tensor", self.last(x))

    def fold(self) -> None:
        """Put every BatchNorm into its convolution, for evaluation."""
        self.eval()
        for block in (*self.down, *self.joined):
            if isinstance(block, DoubleConvolution):
                block.fold()


def _unit(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
