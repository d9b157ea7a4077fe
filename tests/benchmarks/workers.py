"""Series an hour with 1, 2 and 4 hosts of workers, each as on a machine of its own.

    python tests/benchmarks/workers.py --seconds 10 --series 20

A node without workers receives all series and seals them in the object store (a folder), with
PostgreSQL; then so many `dicomnode worker` are started, with a process each, that bring them from
there and leave results there. The engine is a stub that sleeps for so many seconds in the place of
a GPU, as two cores are the limit here; all else is real. Counted is from the end of the first to
the end of the last for which each worker still had another one to take.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

TREE = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(TREE), str(TREE / "tests")]

if TYPE_CHECKING:
    from support.node import Node

_LOOK_SECONDS = 0.5
_LIMIT_SECONDS = 3600.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="that the stub takes")
    parser.add_argument("--series", type=int, default=20, help="for each row")
    parser.add_argument("--slices", type=int, default=70, help="at least 70")
    parser.add_argument("--edge", type=int, default=128, help="rows and columns of a slice")
    parser.add_argument("--hosts", type=_numbers, default=[1, 2, 4])
    given = parser.parse_args(arguments)
    print(f"a stub of {given.seconds:g} s, {given.slices} slices of {given.edge} x {given.edge}")
    print("| hosts | series/h | times | a series on one worker, s | load |")
    print("|---|---|---|---|---|")
    one = 0.0
    for hosts in given.hosts:
        with tempfile.TemporaryDirectory(prefix="workers-") as folder:
            ends = _measure(Path(folder), hosts, given)
        counted = ends[: len(ends) - hosts + 1]
        an_hour = 3600 * (len(counted) - 1) / (counted[-1] - counted[0]).total_seconds()
        one = one or an_hour / hosts
        of_one = 3600 * hosts / an_hour
        load = f"{os.getloadavg()[0]:.1f}"
        cells = (str(hosts), f"{an_hour:.0f}", f"{an_hour / one:.2f}", f"{of_one:.1f}", load)
        print(f"| {' | '.join(cells)} |", flush=True)


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _measure(folder: Path, hosts: int, given: argparse.Namespace) -> list[datetime]:
    from inference.bundles.tasks import TASKS
    from support import slow_method, texture_method
    from support.node import Node
    from support.postgresql import postgresql_server
    from support.worker_host import WorkerHost

    TASKS[slow_method.TASK.name] = slow_method.TASK
    bundle = texture_method.make_texture_bundle(folder / "bundle")
    with ExitStack() as stack:
        server = stack.enter_context(postgresql_server())
        os.environ["DICOMNODE_NODE__DATABASE_URL"] = stack.enter_context(server.empty_database())
        os.environ["DICOMNODE_NODE__SHARES_DATABASE"] = "true"
        (folder / "store").mkdir()
        os.environ["DICOMNODE_OBJECT_STORE__URL"] = (folder / "store").as_uri()
        os.environ["DICOMNODE_OBJECT_STORE__SEAL_AFTER_SECONDS"] = "1.0"
        os.environ["PYTHONPATH"] = slow_method.on_path(folder / "path")
        os.environ[slow_method.SECONDS] = str(given.seconds)
        node = Node(folder / "node", toml="[inference]\nworkers = 0\n", models=bundle)
        stack.callback(node.close)
        node.start()
        _send(node, folder, given)
        several = [WorkerHost(folder / f"host-{n}", node.config) for n in range(hosts)]
        for each in several:
            stack.callback(each.close)
            each.start()
        ends = _until_ended(node, given.series)
        for each in several:
            each.stop()
        return ends


def _send(node: Node, folder: Path, given: argparse.Namespace) -> None:
    """Until all wait for a worker, and are sealed."""
    from sqlalchemy import func, select

    from benchmarks.series import write_drawn_chest
    from storage.models import InstanceRow, JobRow
    from support.wait import wait_for

    for number in range(given.series):
        write_drawn_chest(folder / f"ct{number}", given.slices, given.edge, number)
        node.send(sorted((folder / f"ct{number}").iterdir()))
    unsealed = (
        select(func.count()).select_from(InstanceRow).where(InstanceRow.object_name.is_(None))
    )
    queued = select(func.count()).select_from(JobRow).where(JobRow.kind == "analyse")

    def all_wait() -> bool:
        with node.open_database().read() as session:
            return session.scalar(unsealed) == 0 and session.scalar(queued) == given.series

    wait_for(all_wait, "all are sealed, and wait", _LIMIT_SECONDS)


def _until_ended(node: Node, series: int) -> list[datetime]:
    from benchmarks.full_queue import _ends

    until = time.monotonic() + _LIMIT_SECONDS
    while len(ends := _ends(node)) < series:
        if time.monotonic() > until:
            raise SystemExit(f"{len(ends)} of {series} series in {_LIMIT_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)
    return ends


if __name__ == "__main__":
    main()
