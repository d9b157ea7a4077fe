"""How long a radiologist waits: from the last slice to the report in the PACS, and to its promise.

    python tests/benchmarks/first_report.py --before ../dicomnode-of-before --series 20
    python tests/benchmarks/first_report.py --in-turn --pace 10

DCMTK's storescu sends one series after the other to a node as it is shipped (the three
demonstration bundles, the default policy), whose destination is a real Orthanc that is asked for
storage commitment. The build of before and this one take turns, each with a node and an Orthanc of
its own; a first series of each, for which models are still loaded, is not counted.

`--in-turn` has this build take a turn as well with `begin_early = false`: what is begun early, and
at what cost to receiving, which is told in instances a second. `--pace`: slices a second, sent by
this product; a scanner gives about ten. `--counted`: each slice says how many there are (Images in
Acquisition), so that a second of silence will do; else it is five.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

TREE = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(TREE), str(TREE / "tests")]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from support.node import Node

LIMIT_SECONDS = 600.0
"""For one series."""

_IN_TURN = "now, nothing early"

_DESTINATION = """
[[destinations]]
name = "pacs"
ae_title = "ORTHANC"
address = "127.0.0.1"
port = {}
storage_commitment = true
"""


@dataclass(frozen=True)
class Wait:
    """Seconds from the last instance to each; `rate`: instances a second while they were sent."""

    rate: float
    analysed: float
    report_stored: float
    all_committed: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, help="an older checkout")
    parser.add_argument("--series", type=int, default=20, help="of each build")
    parser.add_argument("--slices", type=int, default=120, help="at least 70")
    parser.add_argument("--edge", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--pace", type=float, default=0.0, help="slices a second; 0: all it can")
    parser.add_argument("--in-turn", action="store_true", help="this build, nothing early, as well")
    parser.add_argument("--counted", action="store_true", help="headers tell how many slices")
    given = parser.parse_args(arguments)
    trees = ({"before": given.before.resolve()} if given.before else {}) | {"now": TREE}
    trees |= {_IN_TURN: TREE} if given.in_turn else {}
    waits: dict[str, list[Wait]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory(prefix="report-") as folder, ExitStack() as stack:
        nodes = {
            name: stack.enter_context(_node(Path(folder) / name, tree))
            for name, tree in trees.items()
        }
        for number in range(given.series + 1):
            files = _series(
                Path(folder) / f"ct{number}", number, given.slices, given.edge, given.counted
            )
            for name, node in nodes.items():
                waits[name].append(_wait(node, files, given.pace))
                print(f"{name}: {waits[name][-1]}", file=sys.stderr, flush=True)
    print(f"seconds from the last of {given.slices} slices, {given.series} series of each build")
    print("| build | instances/s | analysed | report stored | all committed |")
    print("|---|---|---|---|---|")
    for name, found in waits.items():
        print(_row(name, found[1:]))


@contextmanager
def _node(folder: Path, tree: Path) -> Iterator[Node]:
    from dicomnode.config.destinations import Destination
    from support.node import Node, free_port
    from support.orthanc import running_orthanc
    from support.restarts import run_from

    port = free_port()
    as_peer = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=port)
    with running_orthanc(folder / "orthanc", as_peer) as orthanc:
        toml = _DESTINATION.format(orthanc.peer.port)
        toml += "[inference]\nbegin_early = false\n" if folder.name == _IN_TURN else ""
        node = Node(folder / "node", toml=toml, port=port)
        with run_from(tree):
            node.start()
        try:
            yield node
        finally:
            node.close()


def _series(folder: Path, number: int, slices: int, edge: int, counted: bool) -> list[Path]:
    from benchmarks.series import write_drawn_chest

    write_drawn_chest(folder, slices, edge, number, counted)
    return sorted(folder.iterdir())


def _send(node: Node, files: Sequence[Path], pace: float) -> float:
    """Send a series, so many slices a second; instances a second that it came to."""
    from dicomnode.network.send import send_files
    from support.tools import needed

    began = time.monotonic()
    if pace:
        for number, _ in enumerate(send_files(files, node.peer, "SCANNER"), 1):
            time.sleep(max(0.0, began + number / pace - time.monotonic()))
    else:
        command = [needed("storescu", "dcmtk"), "-aec", "DICOMNODE", "127.0.0.1", str(node.port)]
        subprocess.run([*command, *map(str, files)], check=True, timeout=LIMIT_SECONDS)
    return len(files) / (time.monotonic() - began)


def _wait(node: Node, files: Sequence[Path], pace: float) -> Wait:
    """Send a series, and wait until all that came of it is promised to be kept."""
    from support.phantom import series_uid

    rate = _send(node, files, pace)
    detail = node.wait_until_ended(series_uid(list(files)), LIMIT_SECONDS)
    last, series = detail.series.last_received_at, detail.series
    if series.state.value != "analysed" or series.ended_at is None:
        raise SystemExit(f"{series.state}: {'; '.join(map(str, series.reasons))}")

    def seconds(moment: datetime | None) -> float:
        assert moment is not None
        return (moment - last).total_seconds()

    return Wait(
        rate,
        seconds(series.ended_at),
        max(seconds(each.stored_at) for each in detail.deliveries if each.result.kind == "sr"),
        max(seconds(each.committed_at) for each in detail.deliveries),
    )


def _row(name: str, waits: Sequence[Wait]) -> str:
    """Medians and 95th percentiles; of the rate the slowest."""
    rates = [each.rate for each in waits]
    cells = [f"{statistics.median(rates):.1f} (slowest: {min(rates):.1f})"]
    for field in ("analysed", "report_stored", "all_committed"):
        found = sorted(getattr(each, field) for each in waits)
        late = found[min(len(found) - 1, int(0.95 * len(found)))]
        cells.append(f"{statistics.median(found):.1f} (95 %: {late:.1f})")
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
