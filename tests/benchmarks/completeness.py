"""How long a series waits before its analysis: with a count of the PACS, and by silence alone.

    python tests/benchmarks/completeness.py --rounds 5

Orthanc pushes a series of 24 slices to a node as it is shipped (default policy); measured is the
time from the last slice (`last_received_at`) to the start of the analysis job. The node is the
same each time; what differs is whom it can ask. A table on standard output in Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[up]) for up in (1, 2)]

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from support.node import Node
    from support.orthanc import Orthanc

SLICES = 24
_QUERY = '[query]\npeer = {{ name = "{}", ae_title = "{}", address = "127.0.0.1", port = {} }}\n'


@dataclass(frozen=True)
class Case:
    """`asks`: "nobody", "orthanc", or "dead", a port where nobody listens."""

    name: str
    asks: str
    counted_in_headers: bool = False


CASES = (
    Case("quiet period alone", "nobody"),
    Case("C-FIND, Orthanc's count", "orthanc"),
    Case("Images in Acquisition in the headers", "nobody", counted_in_headers=True),
    Case("C-FIND configured, the PACS dead", "dead"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="series for each case")
    rounds = parser.parse_args(arguments).rounds
    print("| evidence | closed by | seconds from last slice to start of analysis |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="completeness-") as folder:
        for number, case in enumerate(CASES):
            print(_row(case, *measure(case, Path(folder) / str(number), rounds)), flush=True)


def measure(case: Case, folder: Path, rounds: int) -> tuple[list[float], set[str]]:
    """Seconds of each round, and what closed the series; a first one, in which the processes of the
    node are still starting, is not counted.
    """
    from dicomnode.config.destinations import Destination
    from support.node import Node, free_port
    from support.orthanc import running_orthanc

    port = free_port()
    as_peer = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=port)
    with running_orthanc(folder / "orthanc", as_peer) as orthanc:
        query = {
            "nobody": "",
            "orthanc": _QUERY.format("orthanc", "ORTHANC", orthanc.peer.port),
            "dead": _QUERY.format("dead", "DEAD", free_port()),
        }[case.asks]
        node = Node(folder / "node", (), query, port=port)
        try:
            node.start()
            found = [_one(case, node, orthanc, folder / f"ct{n}", n) for n in range(rounds + 1)]
        finally:
            node.close()
    return [seconds for seconds, _by in found[1:]], {by for _seconds, by in found[1:]}


def _one(case: Case, node: Node, orthanc: Orthanc, folder: Path, number: int) -> tuple[float, str]:
    from storage.records import JobKind
    from support.phantom import series_uid, write_series
    from support.storage_samples import noted

    files = write_series(folder, SLICES, seed=number, change=_change(case))
    known = set(orthanc.get("/series"))
    for file in files:
        orthanc.upload(file)
    (series,) = set(orthanc.get("/series")) - known
    orthanc.post("/modalities/node/store", series)
    detail = node.wait_until_ended(series_uid(files))
    (job,) = (each for each in detail.jobs if each.kind is JobKind.ANALYSE)
    assert job.started_at is not None
    waited = (job.started_at - detail.series.last_received_at).total_seconds()
    return waited, str(noted(detail.series).closed_by)


def _change(case: Case) -> Callable[[Dataset, int], None] | None:
    def announce(data_set: Dataset, _number: int) -> None:
        data_set.ImagesInAcquisition = SLICES

    return announce if case.counted_in_headers else None


def _row(case: Case, seconds: Sequence[float], closed_by: set[str]) -> str:
    ordered = sorted(seconds)
    told = f"{statistics.median(ordered):.2f} ({ordered[0]:.2f} to {ordered[-1]:.2f})"
    return f"| {case.name} | {', '.join(sorted(closed_by))} | {told} |"


if __name__ == "__main__":
    main()
