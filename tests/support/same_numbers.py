"""What an engine gives must not turn on batches, threads or the processor's kernels.

Run as a program, so that the environment can choose the kernels before any library is loaded:
`python -m support.same_numbers` prints what is not as it must be, and fails when anything is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.backends.choice import available
from inference.covnet.network import Covnet, Evidence, gather
from inference.covnet.openvino_backend import OpenvinoBackend
from inference.covnet.torch_backend import TorchBackend
from inference.location_attention.backend import RegionBackend
from inference.location_attention.network import LocationAttention
from inference.location_attention.openvino_backend import OpenvinoRegions
from inference.location_attention.torch_backend import TorchRegions
from inference.lungs.backend import LungBackend
from inference.lungs.lung_input import LungInput
from inference.lungs.openvino_backend import OpenvinoUnet
from inference.lungs.torch_backend import TorchUnet
from inference.networks.unet import Unet
from inference.progress import no_progress
from inference.ties import TIE
from inference.training.regions.initial import draw_like

SIZE = 32
CPU = torch.device("cpu")
Evidences = Callable[[Tensor, int], Evidence]


def main() -> None:
    problems = list(_covnet())
    problems += [each for name, made in _region_backends() for each in _regions(name, made)]
    problems += _lungs()
    print("\n".join(problems))
    sys.exit(bool(problems))


def _engines(network: Covnet) -> Iterator[tuple[str, Evidences]]:
    torch_engine = TorchBackend(network, CPU, SIZE)

    def torch_run(images: Tensor, threads: int) -> Evidence:
        torch.set_num_threads(threads)
        return torch_engine.evidence(images, no_progress)

    yield "torch", torch_run
    if not available():
        return
    engines = {threads: OpenvinoBackend(network, SIZE, threads) for threads in (1, 2)}

    def openvino_run(images: Tensor, threads: int) -> Evidence:
        torch.set_num_threads(threads)
        return engines[threads].evidence(images, no_progress)

    yield "openvino", openvino_run


def _covnet() -> Iterator[str]:
    """Nine slices are a batch of eight and one that is left, of torch."""
    network = _covnet_network()
    images = torch.rand(9, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        exact = gather(deepcopy(network).double(), iter([images.double()]))
    for name, run in _engines(network):
        yield from _covnet_of(name, run, images, exact)


def _covnet_of(name: str, run: Evidences, images: Tensor, exact: Evidence) -> Iterator[str]:
    found = {threads: run(images, threads) for threads in (1, 2)}
    for threads, each in found.items():
        yield from _near(f"{name}, {threads} threads, float64", each.features, exact.features)
    if name == "openvino":
        yield from _equal("openvino, one and two threads", found[1].features, found[2].features)
    turned = run(images.flip(0), 2)
    yield from _equal(f"{name}, the other way round", turned.features, found[2].features)
    for index in (0, 8):
        alone = run(images[index : index + 1], 2)
        many = run(images[index].expand(11, -1, -1, -1).contiguous(), 2)
        yield from _equal(
            f"{name}, slice {index} alone and 11 times", alone.features, many.features
        )
        if int(many.peak_slice.max()) > 0:
            yield f"{name}: a later one of equal slices has a maximum"


def _region_backends() -> Iterator[tuple[str, Callable[[int], RegionBackend]]]:
    yield "torch", lambda _: TorchRegions(_region_network(), CPU, SIZE)
    if available():
        yield "openvino", lambda threads: OpenvinoRegions(_region_network(), threads)


def _regions(name: str, made: Callable[[int], RegionBackend]) -> Iterator[str]:
    draw = torch.Generator().manual_seed(2)
    grid = torch.rand(1, 1, 32, 32, 48, generator=draw)
    images, distances = torch.rand(15, 1, SIZE, SIZE, generator=draw), torch.rand(15)
    maps, classes = {}, {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        backend = made(threads)
        context = backend.context(grid)
        half, quarter = context.half.clone(), context.quarter.clone()
        maps[threads] = (context.objectness.clone(), backend.lesion(grid, half, quarter).clone())
        classes[threads] = backend.logits(images, distances, no_progress)
        for at in (3, 12, 15):
            part = backend.logits(images[:at], distances[:at], no_progress)
            yield from _equal(f"{name}, {at} patches", part, classes[threads][:at])
    for one, two in zip((*maps[1], classes[1]), (*maps[2], classes[2]), strict=True):
        yield from _near(f"{name}, regions, one and two threads", one, two)


def _lungs() -> Iterator[str]:
    hu = np.random.default_rng(3).integers(-1024, 600, (4, SIZE, SIZE)).astype(np.int16)
    found = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        backend: LungBackend = TorchUnet(_lung_network(), CPU, LungInput(size=SIZE))
        found[threads] = _lung_logits(backend, hu)
        yield from _equal("lungs, again", _lung_logits(backend, hu), found[threads])
    yield from _near("lungs, one and two threads", found[1], found[2])
    if available():
        for threads in (1, 2):
            backend = OpenvinoUnet(_lung_network(), LungInput(size=SIZE), threads)
            on_openvino = _lung_logits(backend, hu)
            yield from _near(f"lungs, openvino, {threads} threads", on_openvino, found[1])
            yield from _equal("lungs, openvino, again", _lung_logits(backend, hu), on_openvino)


def _lung_logits(backend: LungBackend, hu: NDArray[np.int16]) -> Tensor:
    return torch.stack([torch.tensor(each) for each in backend.logits(list(hu), no_progress)])


def _lung_network() -> Unet:
    torch.manual_seed(3)
    network = Unet(classes=3, width=4).eval().requires_grad_(False)
    network.fold()
    return network


def _equal(what: str, one: Tensor, other: Tensor) -> Iterator[str]:
    if not torch.equal(one, other):
        yield f"{what}: not equal, {_apart(one, other):.1e} apart"


def _near(what: str, one: Tensor, other: Tensor) -> Iterator[str]:
    if _apart(one, other) > TIE:
        yield f"{what}: {_apart(one, other):.1e} apart"


def _apart(one: Tensor, other: Tensor) -> float:
    """Relative to the larger of a value and the mean of all."""
    scale = other.abs().clamp(min=float(other.abs().mean())).double()
    return float(((one.double() - other.double()).abs() / scale).max())


def _covnet_network() -> Covnet:
    with torch.device("meta"):
        network = Covnet()
    draw = torch.Generator().manual_seed(0)
    network.load_state_dict(
        {name: _drawn(name, value, draw) for name, value in network.state_dict().items()},
        assign=True,
    )
    network.eval().requires_grad_(False)
    network.fold()
    return network


def _drawn(name: str, like: Tensor, draw: torch.Generator) -> Tensor:
    """He et al. 2015; BatchNorms that do something."""
    if like.ndim > 1:
        return torch.randn(like.shape, generator=draw) * math.sqrt(2 / like[0].numel())
    low, high = (0.5, 1.0) if name.endswith(("weight", "var")) else (-0.1, 0.1)
    return torch.empty(like.shape).uniform_(low, high, generator=draw)


def _region_network() -> LocationAttention:
    network = LocationAttention(width=4)
    network.load_state_dict(draw_like(network, 0))
    network.eval().requires_grad_(False)
    network.fold()
    return network


if __name__ == "__main__":
    main()
