from __future__ import annotations

import pytest
import torch
from torch import Tensor

from inference.location_attention.network import LocationAttention
from inference.location_attention.torch_backend import BATCH, HALF_TOLERANCE, TorchRegions
from inference.training.regions.initial import draw_like

NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
PATCHES = 2 * BATCH["cpu"] + 3


def _network() -> LocationAttention:
    made = LocationAttention(width=4)
    made.load_state_dict(draw_like(made, 0))
    return made.eval().requires_grad_(False)


def _backend(device: str) -> TorchRegions:
    network = _network()
    network.fold()
    return TorchRegions(network, torch.device(device), 32)


@pytest.fixture(scope="module")
def reference() -> LocationAttention:
    return _network().double()


@pytest.fixture(scope="module")
def values() -> Tensor:
    return torch.rand(1, 1, 32, 48, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def patches() -> tuple[Tensor, Tensor]:
    """Images and distances, each unlike the others."""
    images = torch.rand(PATCHES, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    return images * torch.linspace(0.1, 1.0, PATCHES)[:, None, None, None], torch.rand(PATCHES)


def _furthest(got: Tensor, wanted: Tensor) -> float:
    """Largest difference of two maps of log-odds, as probabilities."""
    return float((torch.sigmoid(got.cpu().double()) - torch.sigmoid(wanted)).abs().max())


@pytest.mark.parametrize(
    ("device", "tolerance"),
    [("cpu", 1e-5), pytest.param("cuda", HALF_TOLERANCE, marks=NO_GPU)],
)
class TestAgainstFloat64:
    def test_maps(
        self, reference: LocationAttention, values: Tensor, device: str, tolerance: float
    ) -> None:
        wanted = reference.segmenter(values.double())
        backend = _backend(device)
        context = backend.context(values)
        lesion = backend.lesion(values, context.half, context.quarter)
        backend.release()
        assert backend.device == context.half.device.type == device
        assert (lesion.device.type, lesion.dtype) == ("cpu", torch.float32)
        assert _furthest(context.objectness, wanted.objectness) < tolerance
        assert _furthest(lesion, wanted.lesion) < tolerance
        apart = (context.offsets.cpu().double() - wanted.offsets).abs().max()
        assert float(apart) < tolerance

    def test_classes(
        self,
        reference: LocationAttention,
        patches: tuple[Tensor, Tensor],
        device: str,
        tolerance: float,
    ) -> None:
        images, distances = patches
        wanted = torch.softmax(reference.classifier(images.double(), distances.double()), dim=1)
        got = _backend(device).logits(images, distances)
        assert (got.device.type, got.dtype) == ("cpu", torch.float32)
        assert float((torch.softmax(got.double(), dim=1) - wanted).abs().max()) < tolerance
        assert float((wanted.amax(dim=0) - wanted.amin(dim=0)).max()) > 1e-3


def test_the_precision_is_that_of_the_convolutions(values: Tensor) -> None:
    """As on a GPU; PyTorch emulates it on a CPU."""
    network = _network()
    network.fold()
    backend = TorchRegions(network, torch.device("cpu"), 32, "bf16")
    found, wanted = backend.context(values), _backend("cpu").context(values)
    assert {each.dtype for each in found} == {torch.bfloat16}
    assert 0 < _furthest(found.objectness, wanted.objectness.double()) < 0.05


@NO_GPU
def test_on_a_gpu_the_convolutions_are_in_half_precision(values: Tensor) -> None:
    found = _backend("cuda").context(values)
    assert {each.dtype for each in found} == {torch.float16}


def test_three_dimensional_weights_are_laid_out_channels_last() -> None:
    network = _network()
    network.fold()
    TorchRegions(network, torch.device("cpu"), 32)
    weight = network.segmenter.shared.weight
    assert weight.is_contiguous(memory_format=torch.channels_last_3d)


def test_progress_counts_patches(patches: tuple[Tensor, Tensor]) -> None:
    told: list[tuple[str, int, int]] = []
    _backend("cpu").logits(*patches, lambda *step: told.append(step))
    assert told == [("classes", done, PATCHES) for done in (0, 12, 24, 27)]
