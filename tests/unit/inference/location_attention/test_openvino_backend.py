from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inference.errors import DeviceError
from inference.findings import Findings, ModelIdentity, Training
from inference.location_attention.engine import RegionEngine
from inference.location_attention.network import CLASSES, LocationAttention, Proposals
from inference.location_attention.openvino_backend import BATCH, TOLERANCE, OpenvinoRegions
from inference.location_attention.preprocess import RegionPreprocessing
from inference.networks.resnet import ResNet18
from inference.training.regions.initial import draw_like
from support.chest_volume import chest

SHAPES = ((32, 48, 64), (48, 32, 32))
IDENTITY = ModelIdentity("test", "1", "0" * 64, Training.UNTRAINED)
EASY = RegionPreprocessing(patch_size=32, grid_pixel_mm=3.0, score_threshold=0.05)


def _network() -> LocationAttention:
    """With biases, slopes and BatchNorms that do something."""
    made = LocationAttention(width=2)
    made.load_state_dict(draw_like(made, 0))
    torch.manual_seed(5)
    for name, value in made.state_dict().items():
        if value.ndim == 1 and value.is_floating_point():
            low, high = (0.5, 1.0) if "var" in name or ".bn" in name else (-0.2, 0.4)
            value.uniform_(low, high)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def reference() -> LocationAttention:
    """Not folded, in float64."""
    return _network().double()


@pytest.fixture(scope="module")
def backend() -> OpenvinoRegions:
    network = _network()
    network.fold()
    return OpenvinoRegions(network, threads=2)


def _values(shape: tuple[int, ...]) -> Tensor:
    return torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(6))


def _apart(got: Tensor, wanted: Tensor) -> float:
    """Largest difference of the probabilities of log-odds; they must have something to tell."""
    right = torch.sigmoid(wanted)
    assert float(right.max() - right.min()) > 10 * TOLERANCE
    return float((torch.sigmoid(got.double()) - right).abs().max())


@pytest.mark.parametrize("shape", SHAPES)
def test_maps_are_those_of_torch_in_float64_for_any_size(
    reference: LocationAttention, backend: OpenvinoRegions, shape: tuple[int, int, int]
) -> None:
    values = _values(shape)
    wanted: Proposals = reference.segmenter(values.double())
    context = backend.context(values)
    assert context.offsets.shape == wanted.offsets.shape
    assert _apart(context.objectness, wanted.objectness) < TOLERANCE
    assert float((context.offsets.double() - wanted.offsets).abs().max()) < TOLERANCE
    lesion = backend.lesion(values, context.half.clone(), context.quarter.clone())
    assert _apart(lesion, wanted.lesion) < TOLERANCE


def test_classes_are_those_of_torch_in_float64_in_more_than_one_batch(
    reference: LocationAttention, backend: OpenvinoRegions
) -> None:
    number = BATCH + 5
    images = torch.rand(number, 1, 64, 64, generator=torch.Generator().manual_seed(7))
    images *= torch.linspace(0.1, 1.0, number)[:, None, None, None]
    distances = torch.linspace(0.0, 3.0, number)
    wanted = reference.classifier(images.double(), distances.double())
    right = torch.softmax(wanted, dim=1)
    told: list[tuple[str, int, int]] = []
    got = backend.logits(images, distances, lambda *step: told.append(step))
    found = torch.softmax(got.double(), dim=1)
    assert float((found - right).abs().max()) < TOLERANCE
    assert float((right.amax(dim=0) - right.amin(dim=0)).max()) > 10 * TOLERANCE
    assert told == [("classes", 0, 17), ("classes", 12, 17), ("classes", 17, 17)]


def test_memory_given_back_changes_nothing(backend: OpenvinoRegions) -> None:
    values = _values(SHAPES[0])
    before = backend.context(values).objectness.clone()
    backend.release()
    assert torch.equal(backend.context(values).objectness, before)


def test_the_network_is_not_changed() -> None:
    network = _network()
    network.fold()
    before = copy.deepcopy(network.state_dict())
    OpenvinoRegions(network, threads=1)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_network_that_is_not_folded_is_refused() -> None:
    with pytest.raises(TypeError, match="not folded"):
        OpenvinoRegions(_network())


def test_a_block_of_another_network_is_refused() -> None:
    network = _network()
    network.fold()
    resnet: ResNet18 = network.classifier.resnet
    resnet.layer1[0] = nn.Identity()
    with pytest.raises(TypeError, match="Identity is no block"):
        OpenvinoRegions(network)


@pytest.fixture(scope="module")
def found() -> dict[str, Findings]:
    """By OpenVINO and by torch: the same untrained network on the same chest."""
    drawn = chest((6.0, 3.0, 3.0))
    engines = {
        name: RegionEngine.load(_network(), IDENTITY, CLASSES, EASY, "cpu", backend=name)
        for name in ("openvino", "torch")
    }
    assert {name: each.backend for name, each in engines.items()} == {n: n for n in engines}
    return {name: each.analyse(drawn.volume(), drawn.lungs) for name, each in engines.items()}


def test_the_same_findings_as_torch(found: dict[str, Findings]) -> None:
    one, other = found["openvino"], found["torch"]
    assert len(one.candidates) == len(other.candidates) > 1
    assert one.answer.outcome == other.answer.outcome
    for got, wanted in zip(one.candidates, other.candidates, strict=True):
        assert got.box == wanted.box
        assert got.score == pytest.approx(wanted.score, abs=TOLERANCE)
        assert got.centre_lps_mm == pytest.approx(wanted.centre_lps_mm, abs=0.1)
        assert got.lesion_ml == pytest.approx(wanted.lesion_ml, abs=0.2)
        for patch, right in zip(got.patches, wanted.patches, strict=True):
            assert patch.probabilities == pytest.approx(right.probabilities, abs=TOLERANCE)


def test_noisy_or_is_that_of_torch(found: dict[str, Findings]) -> None:
    one, other = (found[name].answer.scores for name in ("openvino", "torch"))
    assert np.allclose(one, other, atol=len(found["torch"].candidates) * TOLERANCE)


def test_openvino_is_taken_on_a_processor() -> None:
    engine = RegionEngine.load(_network(), IDENTITY, CLASSES, replace(EASY), "cpu")
    assert (engine.backend, engine.device) == ("openvino", "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_openvino_on_a_gpu_is_refused() -> None:
    with pytest.raises(DeviceError, match="runs on the CPU"):
        RegionEngine.load(_network(), IDENTITY, CLASSES, EASY, "cuda", backend="openvino")
