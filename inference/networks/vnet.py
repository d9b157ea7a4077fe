"""V-Net (Milletari, Navab, Ahmadi 2016, arXiv:1606.04797, section 2 and figure 2).

Left stages of 1, 2, 3, 3, 3 convolutions of 5x5x5 and right stages of 3, 3, 2, 1, each learning a
residual; 2x2x2 convolutions of stride 2 go down, 2x2x2 deconvolutions go up, PReLU throughout, no
BatchNorm. 16 channels at the top, 256 at the bottom. The convolutions are padded, so that every
map keeps its size. The network goes along (slices, rows, columns) alike.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

STRIDE = 16
"""The input's slices, rows and columns must be multiples of this: four halvings."""
WIDTH = 16
"""Channels of the first stage in the paper."""
FINE_REACH = 12
"""Cells that `VNet.fine` sees beyond a cell, up to a multiple of 4: two of its last convolution,
eight of the two before at half the size, and the grain of those sizes."""


class VNetMaps(NamedTuple):
    """`fine`: (n, 2 width, slices, rows, columns), the last right stage; `quarter`: (n, 8 width,
    slices / 4, rows / 4, columns / 4), the second right stage, where a cell has seen the most
    of its surroundings for its size."""

    fine: Tensor
    quarter: Tensor


class Stage(nn.Module):
    """So many convolutions of 5x5x5, added to what came in."""

    def __init__(self, inputs: int, channels: int, convolutions: int) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for number in range(convolutions):
            steps.append(nn.Conv3d(channels if number else inputs, channels, 5, padding=2))
            if number < convolutions - 1:
                steps.append(nn.PReLU(channels))
        self.branch = nn.Sequential(*steps)
        self.activation = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch(x)
        out += x  # one channel (the image) is added to all
        return cast("Tensor", self.activation(out))


class Down(nn.Module):
    """Half the size, twice the channels, then a stage."""

    def __init__(self, channels: int, convolutions: int) -> None:
        super().__init__()
        self.down = nn.Conv3d(channels, 2 * channels, 2, stride=2)
        self.activation = nn.PReLU(2 * channels)
        self.stage = Stage(2 * channels, 2 * channels, convolutions)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.down(x))
        return cast("Tensor", self.stage(x))


class Up(nn.Module):
    """Twice the size, joined with the left stage's maps of that size, then a stage.

    The residual is added to the deconvolved and the left maps together, as in figure 2.
    """

    def __init__(self, inputs: int, left: int, convolutions: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose3d(inputs, left, 2, stride=2)
        self.activation = nn.PReLU(left)
        self.stage = Stage(2 * left, 2 * left, convolutions)

    def forward(self, x: Tensor, left: Tensor) -> Tensor:
        joined = torch.cat((self.activation(self.up(x)), left), dim=1)
        return cast("Tensor", self.stage(joined))


class VNet(nn.Module):
    """Input float (n, 1, slices, rows, columns), each a multiple of 16.

    `width`: channels of the first stage; less than the paper's 16 is for tests and small machines.
    """

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.left1 = Stage(1, width, 1)
        self.left2 = Down(width, 2)
        self.left3 = Down(2 * width, 3)
        self.left4 = Down(4 * width, 3)
        self.bottom = Down(8 * width, 3)
        self.right4 = Up(16 * width, 8 * width, 3)
        self.right3 = Up(16 * width, 4 * width, 3)
        self.right2 = Up(8 * width, 2 * width, 2)
        self.right1 = Up(4 * width, width, 1)

    def left_maps(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Maps of the five left stages, (n, 1 … 16 width, …), halved in size each time."""
        one = self.left1(x)
        two = self.left2(one)
        three = self.left3(two)
        four = self.left4(three)
        return one, two, three, four, self.bottom(four)

    def forward(self, x: Tensor) -> VNetMaps:
        one, two, three, four, x = self.left_maps(x)
        quarter = self.right3(self.right4(x, four), three)
        del x, three, four
        return VNetMaps(self.right1(self.right2(quarter, two), one), quarter)

    def context(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the way down and half the way up make: less than half of the work.

        (n, 2 width, slices / 2, …), the second left stage, and (n, 8 width, slices / 4, …), as
        `VNetMaps.quarter`.
        """
        _, half, three, four, x = self.left_maps(x)
        return half, self.right3(self.right4(x, four), three)

    def fine(self, x: Tensor, half: Tensor, quarter: Tensor) -> Tensor:
        """`VNetMaps.fine` of any part of the input, from the same part of what `context` made.

        A part cut out of a larger one is right from FINE_REACH cells off its cuts.
        """
        return cast("Tensor", self.right1(self.right2(quarter, half), self.left1(x)))
