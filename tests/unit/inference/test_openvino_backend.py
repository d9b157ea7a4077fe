from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from inference.covnet import CLASSES, Covnet, Evidence, gather
from inference.gradcam import activation_maps
from inference.openvino_backend import TOLERANCE, OpenvinoBackend
from inference.stages import tell_nobody

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
    return OpenvinoBackend(folded, SIZE, threads=2).evidence(images, tell_nobody)


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
    weights = reference.fc.weight[wanted_class]
    got, right = (
        activation_maps(
            Evidence(e.features.double(), e.peak_slice, e.peak_maps.double(), 5), weights
        )
        for e in (found, wanted)
    )
    assert float(right.max()) > 0
    assert float((got - right).abs().max() / right.max()) < TOLERANCE


def test_the_number_of_threads_does_not_change_the_evidence(
    folded: Covnet, images: Tensor, found: Evidence
) -> None:
    one = OpenvinoBackend(folded, SIZE, threads=1).evidence(images, tell_nobody)
    assert torch.equal(one.peak_slice, found.peak_slice)
    assert torch.allclose(one.features, found.features, rtol=1e-5)


def _start(cache: Path) -> None:
    code = f"""
import torch
from pathlib import Path
from inference.covnet import Covnet
from inference.openvino_backend import OpenvinoBackend
torch.manual_seed(0)
network = Covnet().requires_grad_(False)
network.fold()
OpenvinoBackend(network, 32, 1, Path({str(cache)!r}))
"""
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_what_is_compiled_is_kept_for_the_next_start(tmp_path: Path) -> None:
    _start(tmp_path)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    _start(tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept
    assert len(kept) == 1


def test_other_weights_are_not_taken_from_the_cache(
    folded: Covnet, images: Tensor, found: Evidence, tmp_path: Path
) -> None:
    OpenvinoBackend(folded, SIZE, threads=2, cache=tmp_path)
    other = _network()
    other.fold()
    assert other.conv1.bias is not None
    other.conv1.bias += 0.5
    changed = OpenvinoBackend(other, SIZE, threads=2, cache=tmp_path).evidence(images, tell_nobody)
    assert not torch.allclose(changed.features, found.features)


def test_a_network_that_is_not_folded_is_refused() -> None:
    with pytest.raises(TypeError, match="not folded"):
        OpenvinoBackend(_network(), SIZE)


def test_nothing_is_reported_to_the_makers_of_openvino() -> None:
    """In a process of its own: another test may have imported the package before."""
    code = (
        "import sys; from inference.openvino_backend import available; assert available(); "
        "print([m for m in sys.modules if m.startswith('openvino_telemetry.')])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
