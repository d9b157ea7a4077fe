"""The V-Net that is used does what the one with norms did that learned."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from inference.networks.vnet import VNet, VNetMaps
from inference.training.regions.volume_norms import add_norms, put_back, without_norms


@pytest.fixture
def image() -> Tensor:
    return torch.rand(2, 1, 16, 32, 32, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def learned(image: Tensor) -> VNet:
    """With norms that have seen images and have a scale and shift of their own."""
    torch.manual_seed(1)
    network = VNet(2)
    add_norms(network)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm3d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
    with torch.no_grad():
        for _ in range(3):
            network(image)
    return network.eval()


def _equal(one: VNetMaps, other: VNetMaps) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in pairs)


@torch.no_grad()
def test_the_plain_network_with_the_folded_weights_says_the_same(
    learned: VNet, image: Tensor
) -> None:
    plain = VNet(2).eval()
    plain.load_state_dict(without_norms(learned), strict=True)
    assert _equal(plain(image), learned(image))


@torch.no_grad()
def test_weights_that_are_put_back_say_the_same_and_fold_to_themselves(
    learned: VNet, image: Tensor
) -> None:
    other = VNet(2)
    add_norms(other)
    weights = without_norms(learned)
    put_back(other.eval(), weights)
    assert _equal(other(image), learned(image))
    again = without_norms(other)
    assert again.keys() == weights.keys()
    assert all(torch.allclose(again[name], value) for name, value in weights.items())


def test_every_convolution_has_its_norm(learned: VNet) -> None:
    convolutions = [m for m in learned.modules() if isinstance(m, nn.Conv3d | nn.ConvTranspose3d)]
    found = [m for m in learned.modules() if isinstance(m, nn.BatchNorm3d)]
    assert len(convolutions) == len(found) == len([k for k in VNet(2).state_dict() if "bias" in k])
