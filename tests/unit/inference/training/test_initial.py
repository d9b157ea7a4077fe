"""Where a training starts from: weights, and BatchNorm's statistics."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from inference.errors import BundleError
from inference.networks.resnet import ResNet18
from inference.training.covnet.norms import estimate, freeze, norms
from inference.training.initial import he_initialise, load_initial


def test_weights_drawn_from_a_seed_have_the_deviation_of_he() -> None:
    one, same, other = (ResNet18(3) for _ in range(3))
    for network, seed in ((one, 4), (same, 4), (other, 5)):
        he_initialise(network, seed)
    deviation = (2.0 / (9 * 512)) ** 0.5
    weight = one.state_dict()["layer4.1.conv2.weight"]
    assert float(weight.std()) == pytest.approx(deviation, rel=0.01)
    assert torch.equal(weight, same.state_dict()["layer4.1.conv2.weight"])
    assert not torch.equal(weight, other.state_dict()["layer4.1.conv2.weight"])
    assert float(one.fc.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
    assert not one.fc.bias.any()


def test_initial_weights_are_all_put_in_but_the_head(tmp_path: Path) -> None:
    """The head has another number of classes; files of older frameworks lack the counters."""
    source, network = ResNet18(7), ResNet18(3)
    kept = {k: v for k, v in source.state_dict().items() if "num_batches" not in k}
    save_file(kept, tmp_path / "init.safetensors")
    head = network.fc.weight.clone()
    load_initial(network, tmp_path / "init.safetensors", without=("fc.weight", "fc.bias"))
    assert torch.equal(network.conv1.weight, source.conv1.weight)
    assert torch.equal(network.fc.weight, head)


def test_initial_weights_of_another_network_are_refused_with_every_difference(
    tmp_path: Path,
) -> None:
    kept = dict(ResNet18(3).state_dict())
    del kept["conv1.weight"]
    kept["layer1.0.conv1.weight"] = torch.zeros((1, 2, 3, 3))
    kept["stem.weight"] = torch.zeros(1)
    save_file(kept, tmp_path / "init.safetensors")
    with pytest.raises(BundleError) as caught:
        load_initial(ResNet18(3), tmp_path / "init.safetensors")
    assert caught.value.problems == (
        "parameter conv1.weight is missing",
        "parameter stem.weight is unknown",
        "layer1.0.conv1.weight is (1, 2, 3, 3), not (64, 64, 3, 3)",
    )


def test_a_file_that_is_no_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "init.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(BundleError, match="is no file of weights"):
        load_initial(ResNet18(3), tmp_path / "init.safetensors")


def test_statistics_are_the_mean_over_the_batches() -> None:
    norm = nn.BatchNorm2d(2)
    norm.running_mean = torch.full((2,), 50.0)
    batches = [torch.randn(4, 2, 3, 3) * 2 + shift for shift in (1.0, 3.0, 8.0)]
    estimate(norm, batches, norm)
    means = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    spreads = torch.stack([batch.var(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    assert norm.running_var is not None
    assert torch.allclose(norm.running_mean, means, atol=1e-5)
    assert torch.allclose(norm.running_var, spreads, atol=1e-4)
    assert norm.momentum == 0.1


def test_frozen_norms_keep_their_statistics_and_still_learn_scale_and_shift() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3))
    network.train()
    freeze(network)
    (norm,) = norms(network)
    network(torch.randn(4, 1, 5, 5) + 9).square().sum().backward()
    assert norm.running_mean is not None
    assert not norm.running_mean.any()
    assert norm.weight.grad is not None
    assert network.training
