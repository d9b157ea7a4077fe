from __future__ import annotations

from typing import Any

import pytest
import torch

from inference.networks.resnet import STRIDE, ResNet18


@pytest.fixture(scope="module")
def monai() -> Any:
    """MONAI's ResNet: an implementation that is not ours."""
    return pytest.importorskip("monai.networks.nets.resnet", reason="MONAI is not installed")


@pytest.fixture(scope="module")
def network() -> ResNet18:
    """In float64, with BatchNorms that do something."""
    torch.manual_seed(0)
    made = ResNet18(7)
    for name, value in made.state_dict().items():
        if "running_mean" in name or ("bn" in name and name.endswith("bias")):
            value.normal_(0, 0.1)
        elif "running_var" in name or ("bn" in name and name.endswith("weight")):
            value.uniform_(0.5, 1.0)
    return made.double().eval()


def test_parameters_of_public_checkpoints() -> None:
    with torch.device("meta"):
        whole = ResNet18()
    state = whole.state_dict()
    assert sum(p.numel() for p in whole.parameters()) == 11_689_512
    assert len(state) == 122
    assert tuple(state["layer2.0.downsample.0.weight"].shape) == (128, 64, 1, 1)
    assert tuple(state["layer4.1.conv2.weight"].shape) == (512, 512, 3, 3)
    assert "layer1.0.downsample.0.weight" not in state


def test_the_output_is_that_of_monai_with_the_same_weights(network: ResNet18, monai: Any) -> None:
    other = monai.ResNet(
        "basic",
        [2, 2, 2, 2],
        [64, 128, 256, 512],
        spatial_dims=2,
        n_input_channels=3,
        conv1_t_stride=2,  # its own first stride is 1, the paper's is 2
        num_classes=7,
        bias_downsample=False,
    ).double()
    other.load_state_dict(network.state_dict(), strict=True)
    other.eval()
    x = torch.rand(3, 3, 96, 64, dtype=torch.float64)
    with torch.no_grad():
        found, wanted = network(x), other(x)
    assert torch.allclose(found, wanted, rtol=1e-10, atol=1e-12)
    assert float(wanted.std()) > 1e-3


def test_feature_maps_have_a_cell_for_32_pixels(network: ResNet18) -> None:
    with torch.no_grad():
        maps = network.feature_maps(torch.rand(1, 3, 96, 64, dtype=torch.float64))
    assert tuple(maps.shape) == (1, 512, 96 // STRIDE, 64 // STRIDE)


def test_folding_changes_nothing(network: ResNet18) -> None:
    folded = ResNet18(7).double()
    folded.load_state_dict(network.state_dict())
    folded.fold()
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(folded(x), network(x), rtol=1e-9)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
