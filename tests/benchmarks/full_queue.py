"""Examinations an hour while the queue is always full, and the memory that they take.

    python tests/benchmarks/full_queue.py --before ../dicomnode-of-before --workers 1,2
    python tests/benchmarks/full_queue.py --series 200 --slices 70 --edge 128 --workers 1

A node as it is shipped (the three demonstration bundles), without destinations, gets all series at
once by DCMTK's storescu. Counted is from the end of the first to the end of the last for which each
worker still had another one to take. Memory, PSS in MiB, of the workers: after the first tenth of
the series, at most (looked at after each), after the last; and the highest resident set that any
worker ever had. The build of before and this one are measured one after the other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

TREE = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(TREE), str(TREE / "tests")]

if TYPE_CHECKING:
    from support.node import Node

LIMIT_SECONDS = 7200.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Found:
    """`sizes`: PSS of all workers after each series, MiB; `peak`: of one worker, resident, MiB."""

    an_hour: float
    sizes: tuple[float, ...]
    peak: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, help="an older checkout")
    parser.add_argument("--series", type=int, default=8)
    parser.add_argument("--slices", type=int, default=120, help="at least 70")
    parser.add_argument("--edge", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--workers", type=_numbers, default=[1, 2])
    given = parser.parse_args(arguments)
    trees = ({"before": given.before.resolve()} if given.before else {}) | {"now": TREE}
    print(f"{given.series} series of {given.slices} slices of {given.edge} x {given.edge}")
    print(
        "| build | workers | examinations/h | MiB: a tenth | at most | at the end | peak of one |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="queue-") as folder:
        series = _write(Path(folder), given.series, given.slices, given.edge)
        for workers in given.workers:
            for name, tree in trees.items():
                place = Path(folder) / f"{name}{workers}"
                print(_row(name, workers, _measure(place, tree, series, workers)), flush=True)


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _write(folder: Path, series: int, slices: int, edge: int) -> list[Path]:
    from benchmarks.series import write_drawn_chest

    folders = [folder / f"ct{number}" for number in range(series)]
    for number, each in enumerate(folders):
        write_drawn_chest(each, slices, edge, number)
    return folders


def _measure(folder: Path, tree: Path, series: Sequence[Path], workers: int) -> Found:
    from support.node import Node
    from support.restarts import run_from
    from support.tools import needed

    node = Node(folder, toml=f"[inference]\nworkers = {workers}\n")
    try:
        with run_from(tree):
            node.start()
        for each in series:
            command = [needed("storescu", "dcmtk"), "-aec", "DICOMNODE", "+sd", "127.0.0.1"]
            command += [str(node.port), str(each)]
            subprocess.run(command, check=True, timeout=LIMIT_SECONDS)
        return _until_ended(node, len(series), workers)
    finally:
        node.close()


def _until_ended(node: Node, series: int, workers: int) -> Found:
    sizes: list[float] = []
    until = time.monotonic() + LIMIT_SECONDS
    while len(ends := _ends(node)) < series:
        if time.monotonic() > until:
            raise SystemExit(f"{len(ends)} of {series} series in {LIMIT_SECONDS:.0f} s")
        sizes += [sum(_pss(pid) for pid in _workers(node))] * (len(ends) - len(sizes))
        time.sleep(_LOOK_SECONDS)
    peak = max(_status(pid, "VmHWM") for pid in _workers(node))
    sizes.append(sum(_pss(pid) for pid in _workers(node)))
    counted = ends[: len(ends) - workers + 1]
    seconds = (counted[-1] - counted[0]).total_seconds()
    return Found(3600 * (len(counted) - 1) / seconds, tuple(sizes), peak)


def _ends(node: Node) -> list[datetime]:
    """Moments at which series were analysed, in order."""
    from sqlalchemy import select

    from storage.models import SeriesRow
    from storage.records import SeriesState

    statement = select(SeriesRow.ended_at, SeriesRow.state).where(SeriesRow.ended_at.is_not(None))
    with node.open_database().read() as session:
        found = session.execute(statement).all()
    others = {state.value for _, state in found if state is not SeriesState.ANALYSED}
    if others:
        raise SystemExit(f"not analysed: {', '.join(sorted(others))}")
    return sorted(ended for ended, _ in found if ended is not None)


def _workers(node: Node) -> list[int]:
    state = json.loads((node.folder / "data" / "processes.json").read_text())
    return [each["pid"] for each in state["processes"] if each["role"].startswith("worker")]


def _pss(pid: int) -> float:
    """0 of a process that another has taken the place of since it was told."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _status(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def _row(name: str, workers: int, found: Found) -> str:
    early = found.sizes[len(found.sizes) // 10]
    cells = (f"{found.an_hour:.0f}", f"{early:.0f}", f"{max(found.sizes):.0f}")
    more = (f"{found.sizes[-1]:.0f}", f"{found.peak:.0f}")
    return f"| {name} | {workers} | {' | '.join((*cells, *more))} |"


if __name__ == "__main__":
    main()
