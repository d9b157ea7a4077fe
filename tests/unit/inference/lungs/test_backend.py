"""The U-net on OpenVINO gives what PyTorch gives in float64, on one thread as on two."""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inference.bundles.bundle import load_bundle
from inference.demonstration import shipped_bundles
from inference.lungs.lung_input import LungInput
from inference.lungs.lung_slices import SliceImages, slice_image
from inference.lungs.openvino_backend import TOLERANCE, OpenvinoUnet
from inference.lungs.torch_backend import TorchUnet
from inference.networks.unet import Unet
from inference.progress import no_progress
from support.chest_volume import chest

Hu = NDArray[np.int16]
CPU = torch.device("cpu")
SETTINGS = LungInput(size=64)


def _random() -> Unet:
    """With BatchNorms that do something."""
    torch.manual_seed(5)
    made = Unet(3, width=4)
    for name, value in made.state_dict().items():
        if "running_mean" in name:
            value.normal_(0, 0.1)
        elif "running_var" in name:
            value.uniform_(0.5, 1.0)
    return made


def _demonstration() -> Unet:
    return cast("Unet", load_bundle(shipped_bundles()["lungs"]).network())


@pytest.fixture(scope="module", params=[_random, _demonstration], ids=["random", "demonstration"])
def network(request: pytest.FixtureRequest) -> Unet:
    made: Unet = request.param()
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def hu() -> Hu:
    return chest((30.0, 5.0, 5.0)).hu[2:7]


def _folded(network: Unet) -> Unet:
    made = deepcopy(network)
    made.fold()
    return made


def _on_openvino(network: Unet, hu: Hu, threads: int) -> NDArray[np.float32]:
    backend = OpenvinoUnet(_folded(network), SETTINGS, threads)
    return np.stack([each.copy() for each in backend.logits(list(hu), no_progress)])


def _on_torch(network: Unet, hu: Hu) -> NDArray[np.float32]:
    backend = TorchUnet(_folded(network), CPU, SETTINGS)
    return np.stack([each.copy() for each in backend.logits(list(hu), no_progress)])


def test_logits_are_those_of_torch_in_float64(network: Unet, hu: Hu) -> None:
    images = torch.cat([slice_image(each, SETTINGS) for each in hu]).double()
    wanted = deepcopy(network).double()(images).numpy()
    least = TOLERANCE * abs(wanted).max()
    assert wanted.max() - wanted.min() > 100 * least  # it has something to tell apart
    for found in (_on_openvino(network, hu, 2), _on_torch(network, hu)):
        assert found.shape == wanted.shape
        assert abs(found - wanted).max() < least


def test_in_bf16_the_logits_are_near_those_of_the_reference(network: Unet, hu: Hu) -> None:
    """As on a GPU; PyTorch emulates it on a CPU."""
    backend = TorchUnet(_folded(network), CPU, SETTINGS, "bf16")
    found = np.stack([each.copy() for each in backend.logits(list(hu), no_progress)])
    wanted = _on_torch(network, hu)
    assert found.dtype == np.float32
    assert 0 < abs(found - wanted).max() < 0.05 * abs(wanted).max()


def test_no_number_of_threads_changes_a_bit(network: Unet, hu: Hu) -> None:
    one, two, three = (_on_openvino(network, hu, threads) for threads in (1, 2, 3))
    assert (one == two).all()
    assert (one == three).all()


def test_fewer_slices_than_threads_are_computed_too(network: Unet, hu: Hu) -> None:
    assert (_on_openvino(network, hu[:1], 3) == _on_openvino(network, hu, 1)[:1]).all()
    backend = OpenvinoUnet(_folded(network), SETTINGS, 2)
    assert list(backend.logits([], no_progress)) == []


@pytest.mark.parametrize("shape", [(512, 512), (300, 517), (64, 64), (33, 200)])
def test_numpy_makes_the_images_that_torch_makes(shape: tuple[int, int]) -> None:
    hu = np.random.default_rng(1).integers(-1024, 3000, shape).astype(np.int16)
    found = SliceImages(SETTINGS, *shape).of(hu)
    wanted = slice_image(hu, SETTINGS)[0, 0].numpy()
    assert abs(found - wanted).max() < 2e-6


def test_a_network_that_is_not_folded_is_refused() -> None:
    with pytest.raises(TypeError, match="not folded"):
        OpenvinoUnet(_random(), SETTINGS)
