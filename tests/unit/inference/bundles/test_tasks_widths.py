"""Networks narrower than their papers': the width is read from the weights, for all of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from inference.bundles.bundle import weights_problems
from inference.bundles.tasks import TASKS, WIDEST
from inference.location_attention.network import Classifier, LocationAttention
from inference.networks.resnet import ResNet18
from inference.networks.unet import Unet


def _weights(network: torch.nn.Module) -> dict[str, Tensor]:
    return dict(network.state_dict())


@pytest.mark.parametrize("width", [1, 8, 16])
def test_a_unet_is_as_wide_as_its_weights(width: int) -> None:
    weights = _weights(Unet(3, width))
    assert weights_problems(weights, 3, "lungs") == ()
    with torch.device("meta"):
        built = TASKS["lungs"].build(3, weights)
    assert {k: v.shape for k, v in built.state_dict().items()} == {
        k: v.shape for k, v in weights.items()
    }


@pytest.mark.parametrize(("width", "patch_width"), [(1, 4), (2, 1), (1, 64)])
def test_location_attention_has_a_width_for_each_network(width: int, patch_width: int) -> None:
    weights = _weights(LocationAttention(3, width, patch_width))
    assert weights_problems(weights, 3, "regions") == ()
    assert weights["classifier.resnet.conv1.weight"].shape == (patch_width, 3, 7, 7)
    assert weights["segmenter.vnet.left1.activation.weight"].shape == (width,)


def test_one_layer_of_another_width_is_told_by_name() -> None:
    weights = _weights(LocationAttention(3, 1, 4))
    weights["classifier.resnet.conv1.weight"] = torch.zeros(8, 3, 7, 7)
    assert weights_problems(weights, 3, "regions") == (
        "classifier.resnet.conv1.weight is (8, 3, 7, 7), not (4, 3, 7, 7)",
    )
    unet = _weights(Unet(3, 2))
    unet["last.weight"] = torch.zeros(3, 4, 1, 1)
    assert weights_problems(unet, 3, "lungs") == ("last.weight is (3, 4, 1, 1), not (3, 2, 1, 1)",)


@pytest.mark.parametrize("odd", [None, torch.zeros(0), torch.zeros(WIDEST + 1), torch.zeros(2, 2)])
def test_weights_that_tell_no_width_are_measured_against_the_usual_one(odd: Tensor | None) -> None:
    given = {} if odd is None else {"down.0.1.weight": odd, "classifier.resnet.bn1.weight": odd}
    with torch.device("meta"):
        unet = TASKS["lungs"].build(2, given).state_dict()
        regions = TASKS["regions"].build(3, given).state_dict()
    assert len(unet["down.0.1.weight"]) == 16
    assert len(regions["classifier.resnet.bn1.weight"]) == 64


def test_a_narrow_resnet_halves_every_stage() -> None:
    narrow, usual = (dict(ResNet18(7, width).named_parameters()) for width in (32, 64))
    assert set(narrow) == set(usual)
    for name, value in usual.items():
        wanted = [
            size
            if (name, axis) in {("conv1.weight", 1), ("fc.weight", 0), ("fc.bias", 0)}
            else size // 2
            if axis < 2
            else size
            for axis, size in enumerate(value.shape)
        ]
        assert list(narrow[name].shape) == wanted, name


def test_a_narrow_classifier_still_folds_and_tells_classes_by_distance() -> None:
    torch.manual_seed(0)
    plain = Classifier(3, width=4).double().eval()
    folded = Classifier(3, width=4).double()
    folded.load_state_dict(plain.state_dict())
    folded.eval()
    folded.resnet.fold()
    patches = torch.rand(2, 1, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        near, far = (torch.full((2,), at, dtype=torch.float64) for at in (0.0, 2.0))
        assert torch.allclose(folded(patches, near), plain(patches, near))
        assert not torch.allclose(plain(patches, near), plain(patches, far))
