from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from inference.covnet.gradcam import activation_maps
from inference.covnet.network import CLASSES, Covnet, Evidence, gather
from inference.covnet.openvino_backend import TOLERANCE, OpenvinoBackend
from inference.progress import no_progress

SIZE = 96


def _network() -> Covnet:
    """With BatchNorms that do something."""
    torch.manual_seed(3)
    made = Covnet()
    for name, value in made.state_dict().items():
        if "running_mean" in name or ("bn" in name and name.endswith("bias")):
            value.normal_(0, 0.1)
        elif "running_var" in name or ("bn" in name and name.endswith("weight")):
            value.uniform_(0.5, 1.0)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def reference() -> Covnet:
    """Not folded, in float64."""
    return _network().double()


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Each brighter than the one before: alike, they would tie for a channel's maximum."""
    noise = torch.rand(5, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(4))
    return noise * torch.linspace(0.4, 1.0, 5)[:, None, None, None]


@pytest.fixture(scope="module")
def folded() -> Covnet:
    network = _network()
    network.fold()
    return network


@pytest.fixture(scope="module")
def found(folded: Covnet, images: Tensor) -> Evidence:
    return OpenvinoBackend(folded, SIZE, threads=2).evidence(images, no_progress)


@pytest.fixture(scope="module")
def wanted(reference: Covnet, images: Tensor) -> Evidence:
    return gather(reference, iter([images[:2].double(), images[2:].double()]))


def test_probabilities_are_those_of_torch_in_float64(
    reference: Covnet, found: Evidence, wanted: Evidence
) -> None:
    got = torch.softmax(reference.logits(found.features.double()), dim=0)
    right = torch.softmax(reference.logits(wanted.features), dim=0)
    assert float((got - right).abs().max()) < TOLERANCE
    assert float(right.max() - right.min()) > 10 * TOLERANCE  # it has something to tell apart


@pytest.mark.parametrize("wanted_class", range(len(CLASSES)))
def test_heatmaps_are_those_of_torch_in_float64(
    reference: Covnet, found: Evidence, wanted: Evidence, wanted_class: int
) -> None:
    same = found.peak_slice == wanted.peak_slice  # a channel may lie at the edge of a tie
    assert int((~same).sum()) <= len(same) // 200
    weights = reference.fc.weight[wanted_class] * same
    got, right = (
        activation_maps(
            Evidence(e.features.double(), e.peak_slice, e.peak_maps.double(), 5), weights
        )
        for e in (found, wanted)
    )
    assert float(right.max()) > 0
    assert float((got - right).abs().max() / right.max()) < TOLERANCE


def test_a_network_that_is_not_folded_is_refused() -> None:
    with pytest.raises(TypeError, match="not folded"):
        OpenvinoBackend(_network(), SIZE)


def test_nothing_is_reported_to_the_makers_of_openvino() -> None:
    """In a process of its own: another test may have imported the package before."""
    code = (
        "import sys; from inference.backends.choice import available; assert available(); "
        "print([m for m in sys.modules if m.startswith('openvino_telemetry.')])"
    )
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
