from __future__ import annotations

import pytest
import torch
from torch.nn.functional import linear

from inference.bundles.tasks import TASKS
from inference.location_attention.network import (
    CLASSES,
    Classifier,
    LocationAttention,
    Segmenter,
    location_attention_network,
)
from inference.training.regions.initial import draw_like
from support.untrained_regions import draw_regions


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier().double().eval()


def test_layers_are_the_papers() -> None:
    with torch.device("meta"):
        network = location_attention_network(3)
    classifier = network.classifier
    assert tuple(classifier.resnet.fc.weight.shape) == (256, 512)
    assert tuple(classifier.narrow.weight.shape) == (16, 256)
    assert classifier.fc1.in_features == 17
    assert classifier.fc3.out_features == 3


def test_the_registry_builds_it_with_the_papers_classes() -> None:
    task = TASKS["regions"]
    with torch.device("meta"):
        assert isinstance(task.build(3), LocationAttention)
    assert task.class_problems(CLASSES) == ()


def test_the_distance_is_joined_after_the_layer_of_16(classifier: Classifier) -> None:
    """The layers after the ResNet written out by hand."""
    patches = torch.rand(4, 1, 64, 64, dtype=torch.float64)
    distances = torch.tensor([0.0, 0.5, 1.0, 2.0], dtype=torch.float64)
    state = classifier.state_dict()
    with torch.no_grad():
        x = classifier.resnet(patches.expand(-1, 3, -1, -1)).relu()
        x = linear(x, state["narrow.weight"], state["narrow.bias"]).relu()
        x = torch.hstack((x, distances.reshape(4, 1)))
        x = linear(x, state["fc1.weight"], state["fc1.bias"]).relu()
        x = linear(x, state["fc2.weight"], state["fc2.bias"]).relu()
        wanted = linear(x, state["fc3.weight"], state["fc3.bias"])
        assert torch.allclose(classifier(patches, distances), wanted)


def test_the_same_patch_at_another_distance_is_another_answer(classifier: Classifier) -> None:
    patch = torch.rand(1, 1, 32, 32, dtype=torch.float64).expand(2, -1, -1, -1)
    distances = torch.tensor([0.0, 2.0], dtype=torch.float64)
    with torch.no_grad():
        near, far = classifier(patch, distances)
    assert not torch.allclose(near, far, rtol=1e-3)


def test_shapes_of_the_proposals() -> None:
    with torch.device("meta"):
        found = Segmenter(width=4)(torch.empty(2, 1, 32, 48, 64))
    assert tuple(found.lesion.shape) == (2, 32, 48, 64)
    assert tuple(found.objectness.shape) == (2, 3, 8, 12, 16)
    assert tuple(found.offsets.shape) == (2, 3, 6, 8, 12, 16)


def test_offsets_of_an_anchor_stay_together() -> None:
    """Six channels in turn for each anchor: a bias of 0 … 17 shows which."""
    torch.manual_seed(0)
    segmenter = Segmenter(width=1)
    with torch.no_grad():
        segmenter.offsets.weight.zero_()
        segmenter.offsets.bias.copy_(torch.arange(18.0))  # type: ignore[union-attr]
        offsets = segmenter(torch.rand(1, 1, 16, 16, 16)).offsets
    assert offsets[0, :, :, 0, 0, 0].tolist() == torch.arange(18.0).reshape(3, 6).tolist()


def test_folding_keeps_the_classes() -> None:
    torch.manual_seed(1)
    network = LocationAttention(width=1).double().eval()
    patches, distances = torch.rand(2, 1, 32, 32).double(), torch.rand(2).double()
    with torch.no_grad():
        wanted = network.classifier(patches, distances)
        network.train()
        network.fold()
        found = network.classifier(patches, distances)
    assert torch.allclose(found, wanted)
    assert not network.training


def test_drawn_weights_fit_the_papers_network() -> None:
    drawn = draw_regions(0)
    with torch.device("meta"):
        network = LocationAttention()
    network.load_state_dict(drawn, strict=True, assign=True)
    assert all(bool(torch.isfinite(value).all()) for value in drawn.values())
    name = "classifier.resnet.layer1.0.conv1.weight"
    deviation = float(drawn[name].std())
    assert deviation == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)


def test_drawn_weights_hang_on_the_seed_alone() -> None:
    with torch.device("meta"):
        network = LocationAttention(width=1)
    one, again, other = (draw_like(network, seed) for seed in (0, 0, 1))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["classifier.fc3.weight"], other["classifier.fc3.weight"])
