"""What bfloat16 changes against float32: each network of the demonstration, and all of them.

    python tests/benchmarks/precision.py --manifest simulated/manifest.csv SERIES...
    python tests/benchmarks/precision.py --emulate SERIES...

SERIES: folders of one CT series each, or NIfTI files in HU; `--manifest`: labelled scans, as
`dicomnode model simulate` makes them. Each network is taken alone, then both methods with lungs
that were found in bfloat16 too: another mask is another answer. Scores are those that results
report; heat is where COVNet looks.

Where the machine computes in bfloat16 itself the node's own engine is measured. Elsewhere only
`--emulate` gives figures: PyTorch in float32, its weights and values rounded to bfloat16. They are
called emulated, and are no proof.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1])]

from benchmarks.examination import processor  # noqa: E402
from dicomnode.config.settings import Settings  # noqa: E402
from dicomnode.errors import DataError  # noqa: E402
from dicomnode.methods.bundles import load_bundles, load_lung_finder, load_method  # noqa: E402
from dicomnode.weights.evaluation_bf16 import (  # noqa: E402
    Change,
    lung_change,
    method_change,
)
from dicomnode.weights.manifest import read_manifest  # noqa: E402
from dicomnode.weights.scans import read_ct  # noqa: E402
from inference.bundles.tasks import LUNGS  # noqa: E402
from inference.errors import DeviceError, InferenceError  # noqa: E402
from inference.findings import Method  # noqa: E402
from inference.lungs.network import LungNetwork  # noqa: E402
from inference.volume import CtVolume  # noqa: E402
from support.emulated_bf16 import emulate  # noqa: E402


@dataclass(frozen=True)
class Computing:
    """All networks in one precision."""

    lungs: LungNetwork
    methods: tuple[Method, ...]


def main() -> None:
    options = _options()
    reference, other = _loaded("f32", options.emulate), _loaded("bf16", options.emulate)
    scans = list(_scans(options))
    kind = "bfloat16 emulated by rounding: no proof" if options.emulate else "bfloat16"
    print(f"{kind}, against float32; {processor()}\n")
    print("| network | scan | largest change | class | heat moved, mm | heat correlation |")
    print("|---|---|---|---|---|---|")
    changes: dict[str, list[Change]] = {}
    for name, path in scans:
        began = time.perf_counter()
        try:
            found = list(_changes(read_ct(path), reference, other))
        except (DataError, InferenceError) as error:
            print(f"{name}: left out: {error}", file=sys.stderr, flush=True)
            continue
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        for network, change in found:
            changes.setdefault(network, []).append(change)
            print(_row(network, name, change), flush=True)
    _print_totals(changes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("series", nargs="*", type=Path, help="folders of one series each, or NIfTI")
    parser.add_argument("--manifest", type=Path, help="CSV that names labelled scans")
    parser.add_argument("--emulate", action="store_true", help="round values in PyTorch instead")
    return parser.parse_args()


def _scans(options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    if options.manifest:
        for row in read_manifest(options.manifest, "covnet").rows:
            yield row.scan, row.path
    for path in options.series:
        yield (path.name if path.is_dir() else path.parent.name), path


def _loaded(precision: str, emulated: bool) -> Computing:
    asked = {"precision": "f32", "engine": "torch", "device": "cpu"}
    inference = asked if emulated else {"precision": precision}
    settings = Settings.model_validate({"inference": inference})
    try:
        bundles = load_bundles(settings)
        network = load_lung_finder(settings, unproven=True).network
        methods = [
            load_method(b, settings, unproven=True) for t, b in bundles.items() if t != LUNGS
        ]
    except DeviceError as error:
        raise SystemExit(
            f"{error}\nNothing can be measured here but an emulation: --emulate"
        ) from None
    if network is None:
        raise SystemExit("the demonstration has no network for lungs")
    if emulated and precision == "bf16":
        for each in (network, *methods):
            emulate(each)
    return Computing(network, tuple(methods))


def _changes(
    volume: CtVolume, reference: Computing, other: Computing
) -> Iterator[tuple[str, Change]]:
    """Of each network alone, then of the methods with the other's lungs."""
    sides, others = reference.lungs.segment(volume), other.lungs.segment(volume)
    yield "lungs (1 - Dice)", lung_change(sides, lambda: others)
    mask, others_mask = sides > 0, others > 0
    for one, two in zip(reference.methods, other.methods, strict=True):
        found = one.analyse(volume, mask)
        for name, lungs in ((one.title.key, mask), (f"{one.title.key}, lungs too", others_mask)):
            yield _named(name), method_change(volume, found, partial(two.analyse, volume, lungs))


def _named(key: str) -> str:
    return key.replace("lungs", "COVNet", 1) if key.startswith("lungs") else key


def _row(network: str, scan: str, change: Change) -> str:
    told = "other" if change.other_class else "same"
    heat = f"{change.heat_moved_mm:.1f} | {change.heat_correlation:.4f}"
    return f"| {network} | {scan} | {change.score:.5f} | {told} | {heat} |"


def _print_totals(changes: dict[str, list[Change]]) -> None:
    print("\n| network | scans | largest change | mean | other class | heat moved at most, mm |")
    print("|---|---|---|---|---|---|")
    for network, found in changes.items():
        scores = [each.score for each in found]
        moved: Any = max(each.heat_moved_mm for each in found)
        mean, others = sum(scores) / len(scores), sum(each.other_class for each in found)
        told = f"{len(found)} | {max(scores):.5f} | {mean:.5f} | {others} | {moved:.1f}"
        print(f"| {network} | {told} |")


if __name__ == "__main__":
    main()
