"""How near location attention is to what the machine can do, and where its time goes.

`python tests/benchmarks/regions.py` prints two tables. The first: the grid of one chest and its
candidates by the peer (plain eager PyTorch, the V-Net over the whole grid, BatchNorms not folded),
by ours on PyTorch and on OpenVINO, in turns, as medians, against the limit that a large matrix
product measures in the same run. The second: the stages of whole volumes of `--slices` slices of
512 x 512, each in a process of its own for its peak memory. The chest is the phantom; the weights
are without training, so the best `--candidates` proposals are taken, whatever their score: by
default as many as the paper's cases had on average. Nothing is kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from benchmarks.processor import matrix_product  # noqa: E402
from inference.arrays.patient_axes import patient_view  # noqa: E402
from inference.findings import ModelIdentity, Training  # noqa: E402
from inference.location_attention.backend import RegionBackend  # noqa: E402
from inference.location_attention.engine import RegionEngine  # noqa: E402
from inference.location_attention.network import CLASSES, LocationAttention  # noqa: E402
from inference.location_attention.openvino_backend import OpenvinoRegions  # noqa: E402
from inference.location_attention.pieces import MOST_CELLS, pieces, with_lesions  # noqa: E402
from inference.location_attention.preprocess import RegionGrid, RegionPreprocessing, region_grid  # noqa: E402
from inference.location_attention.proposals import Boxes, propose  # noqa: E402
from inference.location_attention.tiles import grid_context  # noqa: E402
from inference.location_attention.torch_backend import TorchRegions  # noqa: E402
from inference.training.regions.initial import draw_like  # noqa: E402
from inference.volume import CtVolume  # noqa: E402
from support.chest_volume import HEIGHT_MM, chest  # noqa: E402

EDGE = 2048
"""Rows and columns of the matrices whose product is the machine's limit."""


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    if options.case:
        _one_volume(options)
        return
    _ways(options)
    print("\n| slices | way | grid | regions | patches | classes | lesions | whole, s | candidates "
          "| peak memory, MiB |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for slices in options.slices:
        for way in ("torch", "openvino"):
            given = [*sys.argv[1:], "--case", str(slices), way]
            subprocess.run([sys.executable, __file__, *given], check=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, nargs="*", default=[64, 300])
    parser.add_argument("--candidates", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def _network() -> LocationAttention:
    network = LocationAttention()
    network.load_state_dict(draw_like(network, 0))
    return network.eval().requires_grad_(False)


@dataclass(frozen=True)
class Work:
    """Floating-point operations; an addition and a multiplication are two."""

    whole: float
    context: float
    lesion: float
    patch: float

    @classmethod
    def of(cls, network: LocationAttention, size: int) -> Work:
        """By cell of the grid for the first three, by patch for the last."""
        x = torch.zeros(1, 1, 32, 32, 32)
        half, quarter = network.segmenter.vnet.context(x)
        segmenter, patch = network.segmenter, torch.zeros(1, 1, size, size)
        return cls(
            _operations(lambda: segmenter(x)) / x.numel(),
            _operations(lambda: segmenter.context(x)) / x.numel(),
            _operations(lambda: segmenter.lesion(x, half, quarter)) / x.numel(),
            _operations(lambda: network.classifier(patch, torch.zeros(1))),
        )


def _operations(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


@dataclass(frozen=True, eq=False)
class Way:
    name: str
    segmenter: Callable[[], object]
    classifier: Callable[[], object]
    operations: float


def _ways(options: argparse.Namespace) -> None:
    """Time and rate of each way to compute the same grid and patches."""
    network = _network()
    settings = RegionPreprocessing(score_threshold=0.0, most_regions=options.candidates)
    drawn = chest((5.0, 1.5, 1.5))
    grid = region_grid(patient_view(drawn.volume(), drawn.lungs), settings)
    folded = deepcopy(network)
    folded.fold()
    openvino = OpenvinoRegions(folded, options.threads)
    maps = grid_context(openvino, grid, settings.cell_mm, _tell).maps
    boxes = propose(maps, grid.lungs, settings).boxes
    images = torch.rand(3 * len(boxes), 1, settings.patch_size, settings.patch_size)
    work = Work.of(network, settings.patch_size)
    cells = _piece_cells(grid, boxes)
    print(f"grid {grid.values.shape}, {len(boxes)} candidates, {len(images)} patches; "
          f"{options.threads} threads; {options.rounds} rounds")  # fmt: skip
    print(f"V-Net whole {work.whole * grid.values.size / 1e9:.0f} GFLOP; ours "
          f"{work.context * grid.values.size / 1e9:.0f} for the proposals, "
          f"{work.lesion * cells / 1e9:.0f} for the lesions; patches "
          f"{work.patch * len(images) / 1e9:.0f}")  # fmt: skip
    ours = work.context * grid.values.size + work.lesion * cells
    plain = TorchRegions(folded, torch.device("cpu"), settings.patch_size)
    ways = [
        _peer(network, grid, images, work.whole * grid.values.size),
        _ours("ours on PyTorch", plain, grid, settings, boxes, images, ours),
        _ours("ours on OpenVINO", openvino, grid, settings, boxes, images, ours),
    ]
    _print_ways(ways, options, work.patch * len(images))


def _piece_cells(grid: RegionGrid, boxes: Boxes) -> int:
    """Cells that the lesions are computed on: as `with_lesions` cuts them."""
    margin = np.ceil(np.maximum(1.0, 1.0 / grid.step)) + 1.0
    cut = pieces(boxes + np.stack((-margin, margin)), grid.values.shape, MOST_CELLS)
    return sum(int(np.prod([span.stop - span.start for span in piece])) for piece in cut)


def _peer(network: LocationAttention, grid: RegionGrid, images: Tensor, work: float) -> Way:
    values = torch.from_numpy(grid.values)[None, None]

    def classify() -> None:
        for start in range(0, len(images), 32):
            batch = images[start : start + 32]
            network.classifier(batch, torch.zeros(len(batch)))

    return Way("eager PyTorch", lambda: network.segmenter(values), classify, work)


def _ours(
    name: str,
    backend: RegionBackend,
    grid: RegionGrid,
    settings: RegionPreprocessing,
    boxes: Boxes,
    images: Tensor,
    work: float,
) -> Way:
    def segment() -> None:
        context = grid_context(backend, grid, settings.cell_mm, _tell)
        with_lesions(backend, grid, context, boxes, _tell)
        backend.release()

    distances = torch.zeros(len(images))
    return Way(name, segment, lambda: backend.logits(images, distances, _tell_stage), work)


def _print_ways(ways: list[Way], options: argparse.Namespace, patch_work: float) -> None:
    """In turns, so that what else the machine does falls on all alike; limits in each round."""
    times: dict[str, list[tuple[float, float]]] = {way.name: [] for way in ways}
    limits = []
    with torch.inference_mode():
        for _ in range(options.rounds):
            limits.append(max(_torch_limit(), matrix_product(EDGE, options.threads)))
            for way in ways:
                times[way.name].append((_seconds(way.segmenter), _seconds(way.classifier)))
    limit = median(limits)
    print(f"limit (product of {EDGE} x {EDGE} float32 matrices, the quicker of torch and "
          f"OpenVINO): {limit / 1e9:.0f} GFLOP/s ({min(limits) / 1e9:.0f} to "
          f"{max(limits) / 1e9:.0f})")  # fmt: skip
    print("| way | segmenter, s | GFLOP/s | time, of the limit's | classifier, s | GFLOP/s | "
          "both, speed of the peer's |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    peer = [sum(each) for each in times[ways[0].name]]
    for way in ways:
        one, two = (median(column) for column in zip(*times[way.name], strict=True))
        ratio = median(p / sum(each) for p, each in zip(peer, times[way.name], strict=True))
        rate = way.operations / one
        print(f"| {way.name} | {one:.2f} | {rate / 1e9:.0f} | {limit / rate:.2f} | {two:.2f} | "
              f"{patch_work / two / 1e9:.0f} | {ratio:.2f} |")  # fmt: skip


def _torch_limit() -> float:
    matrix = torch.rand(EDGE, EDGE)
    return 2 * EDGE**3 / min(_seconds(lambda: matrix @ matrix) for _ in range(3))


def _one_volume(options: argparse.Namespace) -> None:
    """The stages of one volume and this process's peak memory, as a line of the second table."""
    slices, way = int(options.case[0]), options.case[1]
    volume, lungs = _chest_of_512(slices)
    identity = ModelIdentity("benchmark", "1", "0" * 64, Training.UNTRAINED)
    settings = RegionPreprocessing(score_threshold=0.0, most_regions=options.candidates)
    engine = RegionEngine.load(_network(), identity, CLASSES, settings, "cpu", options.threads, way)
    begun = time.perf_counter()
    found = engine.analyse(volume, lungs)
    whole = time.perf_counter() - begun
    stages = " | ".join(
        f"{found.seconds[name]:.2f}"
        for name in ("grid", "regions", "patches", "classes", "lesions")
    )
    count = len(found.candidates)
    print(f"| {slices} | {way} | {stages} | {whole:.2f} | {count} | {_peak_mib():.0f} |",
          flush=True)  # fmt: skip


def _peak_mib() -> float:
    """Of this process alone: `getrusage` counts that of its parent too, where it was forked."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _chest_of_512(slices: int) -> tuple[CtVolume, np.ndarray]:
    """The phantom in slices of 512 x 512 pixels; drawn coarse, then each voxel repeated."""
    drawn = chest((HEIGHT_MM / slices, 3.0, 3.0))
    affine = drawn.volume().affine.copy()
    part = tuple(np.arange(512) * length // 512 for length in drawn.hu.shape[1:])
    affine[:3, 1:3] *= np.array(drawn.hu.shape[1:]) / 512
    across = np.ix_(np.arange(len(drawn.hu)), *part)
    return CtVolume(drawn.hu[across], affine), drawn.lungs[across]


def _tell(_done: int, _total: int) -> None:
    """The progress that nobody follows."""


def _tell_stage(_stage: str, _done: int, _total: int) -> None:
    """The same, by stage."""


def _seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
