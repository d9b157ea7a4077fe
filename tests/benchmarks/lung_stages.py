"""Where the time goes while lungs are found, of this build beside one of before, in turns.

`python tests/benchmarks/lung_stages.py` takes a synthetic chest, `--series` a folder of one DICOM
series. `--before` names the folder of another build (a worktree of git): each round is a process of
its own, and the builds take turns. Printed are medians over the rounds, after one that warms up,
and in how many voxels the masks differ. CPU seconds count what other work on the machine leaves
alone; wall seconds do not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parents[2]
Seconds = dict[str, tuple[float, float]]
"""Of each stage, wall and CPU."""
STAGES = ("lungs", "  network", "  cross-check", "classical alone")


def main() -> None:
    options = _options()
    if options.round:
        _round(*options.round)
        return
    with tempfile.TemporaryDirectory() as folder:
        volume = Path(folder) / "volume.npz"
        _write_volume(options.series, options.spacing, volume)
        builds = {"new": HERE, **({"old": options.before} if options.before else {})}
        rounds: dict[str, list[Seconds]] = {name: [] for name in builds}
        for _ in range(options.rounds):
            for name, root in builds.items():
                rounds[name].append(_in_turn(root, volume, Path(folder) / f"{name}.npz"))
        _print_table(rounds)
        if options.before:
            _print_masks(*(Path(folder) / f"{name}.npz" for name in ("new", "old")))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="folder of the build to compare with")
    parser.add_argument("--series", type=Path, help="folder of one DICOM series")
    parser.add_argument(
        "--spacing", type=float, nargs=3, default=(1.25, 0.7, 0.7), help="of the synthetic chest"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--round", nargs=3, help=argparse.SUPPRESS)  # root, volume, masks
    return parser.parse_args()


def _write_volume(series: Path | None, spacing: tuple[float, float, float], file: Path) -> None:
    sys.path[:0] = [str(HERE), str(HERE / "tests")]
    from dicomnode.weights.scans import read_ct
    from support.chest_volume import chest

    volume = read_ct(series) if series else chest((spacing[0], spacing[1], spacing[2])).volume()
    print(f"{volume.hu.shape} voxels of {np.round(volume.spacing_mm, 2).tolist()} mm, "
          f"{os.cpu_count()} cores")  # fmt: skip
    np.savez(file, hu=volume.hu, affine=volume.affine)


def _in_turn(root: Path, volume: Path, masks: Path) -> Seconds:
    command = [sys.executable, __file__, "--round", str(root.resolve()), str(volume), str(masks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: Seconds = json.loads(done.stdout.splitlines()[-1])
    return found


def _round(root: str, volume_file: str, masks_file: str) -> None:
    """In the process of a build: what both builds have is called, by the names it has in both."""
    sys.path[0] = root
    from inference.bundles.bundle import load_bundle
    from inference.demonstration import shipped_bundles
    from inference.lungs import finder
    from inference.lungs.network import LungNetwork
    from inference.volume import CtVolume

    with np.load(volume_file) as kept:
        volume = CtVolume(kept["hu"], kept["affine"])
    network = LungNetwork.load(load_bundle(shipped_bundles()["lungs"]), "cpu")
    seconds: Seconds = {}
    for owner, name, stage in (
        (LungNetwork, "_labels", "  network"),
        (finder, "_classical_dice", "  cross-check"),
    ):
        setattr(owner, name, _timed(getattr(owner, name), stage, seconds))
    ways = {
        "lungs": finder.LungFinder(network).find,
        "classical alone": finder.LungFinder().find,
    }
    for find in ways.values():
        find(volume)  # warms up
    found = {stage: _timed(find, stage, seconds)(volume) for stage, find in ways.items()}
    np.savez(masks_file, **{stage: each.mask for stage, each in found.items()},
             dice=found["lungs"].classical_dice)  # fmt: skip
    print(json.dumps(seconds))


def _timed(run: Callable[..., Any], stage: str, seconds: Seconds) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        wall, cpu = time.perf_counter(), _cpu()
        done = run(*arguments)
        seconds[stage] = time.perf_counter() - wall, _cpu() - cpu
        return done

    return timed


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _print_table(rounds: dict[str, list[Seconds]]) -> None:
    print("| stage | " + " | ".join(f"{name}, wall s | {name}, CPU s" for name in rounds)
          + " | wall, old / new | CPU, old / new |")  # fmt: skip
    print("|---" * (2 * len(rounds) + 3) + "|")
    for stage in STAGES:
        medians = [
            [statistics.median(each[stage][at] for each in done) for at in (0, 1)]
            for done in rounds.values()
        ]
        ratios = [old / new for new, old in zip(*medians, strict=True)] if len(medians) > 1 else ()
        cells = [f"{value:.2f}" for pair in medians for value in pair]
        print("| " + " | ".join([stage, *cells, *(f"{each:.1f}" for each in ratios)]) + " |")


def _print_masks(new: Path, old: Path) -> None:
    with np.load(new) as ours, np.load(old) as theirs:
        for stage in ("lungs", "classical alone"):
            one, other = ours[stage], theirs[stage]
            print(f"{stage}: {_apart(one, other)} of {np.count_nonzero(other)} voxels differ")
        print(f"Dice of the cross-check: new {ours['dice']:.6f}, old {theirs['dice']:.6f}")


def _apart(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(one != other))


if __name__ == "__main__":
    main()
