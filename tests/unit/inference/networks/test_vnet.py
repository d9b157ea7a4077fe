from __future__ import annotations

import pytest
import torch
from torch import Tensor

from inference.networks.vnet import FINE_REACH, VNet

TABLE_1 = (5, 22, 72, 172, 372)
"""Receptive fields of the left stages (Milletari et al. 2016, table 1), along one axis."""


@pytest.fixture(scope="module")
def positive() -> VNet:
    """Weights without a sign: no path from input to output is cancelled by another."""
    torch.manual_seed(0)
    made = VNet(width=1).double().eval()
    for parameter in made.parameters():
        parameter.data = parameter.data.abs() + 0.01
    return made


def _extent(of: Tensor, seen_from: Tensor) -> int:
    (gradient,) = torch.autograd.grad(of, seen_from, retain_graph=True)
    touched = gradient.abs().sum(dim=(0, 1, 2, 3)).nonzero()
    return int(touched[-1] - touched[0]) + 1


def test_left_stages_see_what_the_paper_says(positive: VNet) -> None:
    x = torch.rand(1, 1, 16, 16, 640, dtype=torch.float64, requires_grad=True)
    found = []
    for maps in positive.left_maps(x):
        found.append(_extent(maps[0, 0, 0, 0, maps.shape[4] // 2], x))
    assert tuple(found) == TABLE_1


def test_the_last_maps_see_no_further_than_the_paper_says(positive: VNet) -> None:
    x = torch.rand(1, 1, 16, 16, 640, dtype=torch.float64, requires_grad=True)
    seen = _extent(positive(x).fine[0, 0, 8, 8, 320], x)
    assert TABLE_1[-1] < seen <= 551


def test_shapes_of_the_maps_with_the_papers_width() -> None:
    with torch.device("meta"):
        fine, quarter = VNet()(torch.empty(2, 1, 64, 128, 128))
    assert tuple(fine.shape) == (2, 32, 64, 128, 128)
    assert tuple(quarter.shape) == (2, 128, 16, 32, 32)


def test_left_maps_halve_and_double() -> None:
    with torch.device("meta"):
        shapes = [
            tuple(maps.shape[1:3]) for maps in VNet().left_maps(torch.empty(1, 1, 32, 32, 32))
        ]
    assert shapes == [(16, 32), (32, 16), (64, 8), (128, 4), (256, 2)]


def test_convolutions_by_stage_are_the_papers() -> None:
    with torch.device("meta"):
        made = VNet()
    kernels = {name: p.shape[-1] for name, p in made.named_parameters() if p.ndim == 5}
    fives = [name.partition(".")[0] for name, size in kernels.items() if size == 5]
    counted = [fives.count(stage) for stage, _ in made.named_children()]
    assert counted == [1, 2, 3, 3, 3, 3, 3, 2, 1]
    assert sum(size == 2 for size in kernels.values()) == 8


def test_without_convolutions_a_stage_passes_its_input_on() -> None:
    """The residual: all branches 0, and the image comes through the skip connection."""
    made = VNet(width=1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.zero_()
    x = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        fine = made(x).fine
    assert torch.equal(fine[0, 1], x[0, 0])
    assert not fine[0, 0].any()


def test_the_last_maps_in_two_steps_are_those_in_one(positive: VNet) -> None:
    x = torch.rand(1, 1, 16, 32, 48, dtype=torch.float64)
    whole = positive(x)
    half, quarter = positive.context(x)
    assert torch.equal(quarter, whole.quarter)
    assert torch.allclose(positive.fine(x, half, quarter), whole.fine, rtol=1e-12)


@pytest.mark.parametrize("reach", [FINE_REACH, FINE_REACH - 4])
def test_a_part_of_the_last_maps_is_right_from_the_reach_on(positive: VNet, reach: int) -> None:
    """And no nearer to the cut: a reach of one step less is not enough."""
    x = torch.rand(1, 1, 16, 16, 64, dtype=torch.float64)
    half, quarter = positive.context(x)
    start = 24
    part = positive.fine(x[..., start:], half[..., start // 2 :], quarter[..., start // 4 :])
    whole = positive.fine(x, half, quarter)
    found = torch.isclose(part[..., reach:], whole[..., start + reach :], rtol=1e-12).all()
    assert bool(found) == (reach == FINE_REACH)
