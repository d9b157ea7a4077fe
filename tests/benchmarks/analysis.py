"""How near the inference is to what the machine can do, and where the time goes.

`python tests/benchmarks/analysis.py` prints two tables: COVNet on the same slices by the peer, by
ours on PyTorch and on OpenVINO, against the machine's limit; and the stages of a whole series
through what `dicomnode process` does. `--quick` takes fewer slices, `--slices` any number. Threads
are those of the machine unless `--threads` says otherwise. Nothing is kept.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from benchmarks import peer_covnet  # noqa: E402
from benchmarks.processor import matrix_product  # noqa: E402
from benchmarks.series import write_series  # noqa: E402
from dicomnode.config.settings import Settings  # noqa: E402
from dicomnode.offline.process import process_folder  # noqa: E402
from inference.bundles.bundle import Bundle, load_bundle  # noqa: E402
from inference.covnet.network import Covnet  # noqa: E402
from inference.covnet.openvino_backend import OpenvinoBackend  # noqa: E402
from inference.covnet.torch_backend import TorchBackend  # noqa: E402
from inference.progress import no_progress  # noqa: E402
from support.untrained import make_untrained_bundle  # noqa: E402

SIZE = 224
EDGE = 2048
"""Rows and columns of the matrices whose product is the machine's limit."""


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    slices = 8 if options.quick else options.slices
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        bundle = load_bundle(make_untrained_bundle(data / "models" / "covnet-untrained"))
        _networks(bundle, slices, options.threads)
        whole = 100 if options.quick else options.series
        _whole_series(data, whole, options.edge, options.threads)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="8 slices, a series of 100")
    parser.add_argument("--slices", type=int, default=48, help="slices for each network")
    parser.add_argument(
        "--series", type=int, default=300, help="slices of the whole series, at least 90"
    )
    parser.add_argument("--edge", type=int, default=512, help="rows and columns of the series")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def _networks(bundle: Bundle, slices: int, threads: int) -> None:
    """Time and rate of each way to compute the same slices."""
    images = torch.rand(slices, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    operations = _operations(_network(bundle), images[:1])
    limit = max(_torch_limit(), matrix_product(EDGE, threads))
    print(f"COVNet, {SIZE} x {SIZE}: {operations / 1e9:.2f} GFLOP a slice; {threads} threads")
    print(f"limit (product of {EDGE} x {EDGE} float32 matrices, the quicker of torch and "
          f"OpenVINO): {limit / 1e9:.0f} GFLOP/s")  # fmt: skip
    print("| way | ms a slice | GFLOP/s | time, of the limit's | speed, of the peer's |")
    print("|---|---|---|---|---|")
    peer = 0.0
    for name, run in _ways(bundle, images, threads):
        seconds = _best_of_two(run) / slices
        peer = peer or seconds
        rate = operations / seconds
        print(f"| {name} | {seconds * 1e3:.1f} | {rate / 1e9:.0f} | {limit / rate:.2f} | "
              f"{peer / seconds:.2f} |")  # fmt: skip


def _ways(
    bundle: Bundle, images: torch.Tensor, threads: int
) -> list[tuple[str, Callable[[], object]]]:
    """The peer first."""
    eager, folded = _network(bundle), _network(bundle)
    folded.fold()
    openvino = OpenvinoBackend(folded, SIZE, threads)
    ours = TorchBackend(folded, torch.device("cpu"), SIZE)
    return [
        ("eager PyTorch, Grad-CAM by autograd", lambda: peer_covnet.run(eager, images)),
        ("ours on PyTorch", lambda: ours.evidence(images, no_progress)),
        ("ours on OpenVINO", lambda: openvino.evidence(images, no_progress)),
    ]


def _network(bundle: Bundle) -> Covnet:
    network = Covnet(len(bundle.card.classes))
    network.load_state_dict(dict(bundle.weights))
    return network.eval().requires_grad_(False)


def _operations(network: Covnet, image: torch.Tensor) -> int:
    """Floating-point operations of one slice; an addition and a multiplication are two."""
    with FlopCounterMode(display=False) as counter:
        network(image)
    return int(counter.get_total_flops())


def _torch_limit() -> float:
    """Floating-point operations a second of a large matrix product in torch."""
    matrix = torch.rand(EDGE, EDGE)
    return 2 * EDGE**3 / _best_of_two(lambda: matrix @ matrix, warm=True)


def _best_of_two(run: Callable[[], object], warm: bool = False) -> float:
    """Seconds of the quicker of two runs."""
    if warm:
        run()
    return min(_seconds(run) for _ in range(2))


def _seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _whole_series(data: Path, slices: int, edge: int, threads: int) -> None:
    """The stages of one series of files, as the node and `dicomnode process` go through them."""
    write_series(data / "in", slices, edge)
    settings = Settings.model_validate(
        {"node": {"data_directory": data}, "inference": {"threads": threads}}
    )
    process_folder(data / "in", data / "warm", settings)  # imports, lazy tables
    begun = time.perf_counter()
    (outcome,) = process_folder(data / "in", data / "out", settings)
    whole = time.perf_counter() - begun
    print(f"\none series, {slices} slices of {edge} x {edge}: {outcome.state}")
    if outcome.state != "analysed":
        raise SystemExit("; ".join(map(str, outcome.reasons)))
    print("| stage | s | of the whole |")
    print("|---|---|---|")
    rest = whole - sum(outcome.seconds.values())
    for stage, seconds in (outcome.seconds | {"load the model, digests": rest}).items():
        print(f"| {stage} | {seconds:.2f} | {seconds / whole:.0%} |")
    floor = outcome.seconds["decode"] + outcome.seconds["network"]
    print(f"| whole | {whole:.2f} | {whole / floor:.2f} times decode + network |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, both tables: {peak:.0f} MiB")


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
