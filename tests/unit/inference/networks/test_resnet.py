from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, linear, max_pool2d

from inference.networks.resnet import FEATURES, STRIDE, ResNet50

Weights = dict[str, Tensor]


def _functional(weights: Weights, x: Tensor) -> Tensor:
    """ResNet-50 written from table 1 of the paper by functions alone; logits (n, classes)."""
    x = max_pool2d(_unit(weights, "conv1", "bn1", x, stride=2, padding=3).relu(), 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 1 else 1
            x = _block(weights, f"layer{stage}.{block}.", x, stride)
    return linear(x.mean(dim=(2, 3)), weights["fc.weight"], weights["fc.bias"])


def _block(weights: Weights, at: str, x: Tensor, stride: int) -> Tensor:
    out = _unit(weights, at + "conv1", at + "bn1", x).relu()
    out = _unit(weights, at + "conv2", at + "bn2", out, stride=stride, padding=1).relu()
    out = _unit(weights, at + "conv3", at + "bn3", out)
    if at + "downsample.0.weight" in weights:
        x = _unit(weights, at + "downsample.0", at + "downsample.1", x, stride=stride)
    return (out + x).relu()


def _unit(
    weights: Weights, conv: str, norm: str, x: Tensor, *, stride: int = 1, padding: int = 0
) -> Tensor:
    x = conv2d(x, weights[conv + ".weight"], None, stride, padding)
    mean, variance = weights[norm + ".running_mean"], weights[norm + ".running_var"]
    return batch_norm(x, mean, variance, weights[norm + ".weight"], weights[norm + ".bias"])


@pytest.fixture(scope="module")
def network() -> ResNet50:
    """In float64, with BatchNorms that do something."""
    torch.manual_seed(0)
    made = ResNet50(5)
    for name, value in made.state_dict().items():
        if "running_mean" in name or ("bn" in name and name.endswith("bias")):
            value.normal_(0, 0.1)
        elif "running_var" in name or ("bn" in name and name.endswith("weight")):
            value.uniform_(0.5, 1.0)
    return made.double().eval()


def test_parameters_of_the_paper_with_1000_classes() -> None:
    with torch.device("meta"):
        whole = ResNet50()
    assert sum(p.numel() for p in whole.parameters()) == 25_557_032


def test_names_and_shapes_are_those_of_public_checkpoints() -> None:
    with torch.device("meta"):
        state = ResNet50().state_dict()
    assert len(state) == 320
    assert tuple(state["conv1.weight"].shape) == (64, 3, 7, 7)
    assert tuple(state["layer1.0.downsample.0.weight"].shape) == (256, 64, 1, 1)
    assert tuple(state["layer3.5.conv2.weight"].shape) == (256, 256, 3, 3)
    assert tuple(state["layer4.2.bn3.running_var"].shape) == (2048,)
    assert "layer4.0.downsample.1.num_batches_tracked" in state
    assert tuple(state["fc.weight"].shape) == (1000, FEATURES)


def test_the_output_is_that_of_an_independent_writing(network: ResNet50) -> None:
    x = torch.rand(2, 3, 96, 64, dtype=torch.float64)
    with torch.no_grad():
        found, wanted = network(x), _functional(network.state_dict(), x)
    assert torch.allclose(found, wanted, rtol=1e-10)
    assert float(wanted.std()) > 1e-3


def test_feature_maps_have_a_cell_for_32_pixels(network: ResNet50) -> None:
    with torch.no_grad():
        maps = network.feature_maps(torch.rand(1, 3, 96, 64, dtype=torch.float64))
    assert tuple(maps.shape) == (1, FEATURES, 96 // STRIDE, 64 // STRIDE)
    assert float(maps.min()) >= 0.0


def test_folding_the_batchnorms_changes_nothing_and_happens_once() -> None:
    torch.manual_seed(1)
    plain = ResNet50(3).double().eval()
    folded = ResNet50(3).double()
    folded.load_state_dict(plain.state_dict())
    folded.fold()
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(folded(x), plain(x), rtol=1e-9)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    with pytest.raises(TypeError, match="folded already"):
        folded.fold()


def test_the_output_is_that_of_monai_with_the_same_weights(network: ResNet50) -> None:
    """An implementation by others; its first stride is 1 unless told, and its shortcuts "B"."""
    monai = pytest.importorskip("monai.networks.nets.resnet", reason="MONAI is not installed")
    theirs = monai.ResNet(
        block="bottleneck",
        layers=[3, 4, 6, 3],
        block_inplanes=[64, 128, 256, 512],
        spatial_dims=2,
        n_input_channels=3,
        num_classes=5,
        conv1_t_size=7,
        conv1_t_stride=2,
        shortcut_type="B",
        bias_downsample=False,
    )
    theirs = theirs.double().eval()
    theirs.load_state_dict(network.state_dict(), strict=True)
    x = torch.rand(2, 3, 96, 64, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(theirs(x), network(x), rtol=1e-10)
