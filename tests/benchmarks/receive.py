"""How fast instances are received: this node beside pynetdicom, storescp, Orthanc and dcmjs-dimse.

    python tests/benchmarks/receive.py --instances 3000 --associations 1,4,16

One run, one set of real CT slices of 512 KiB, the receivers in turn, the machine's own limits
beside them; a table on standard output in Markdown, as it stands in RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[up]) for up in (1, 2)]

if TYPE_CHECKING:
    from benchmarks.comparison import Figures
    from benchmarks.receivers import Start

NAMES = ("ours", "ours-nosync", "pynetdicom", "storescp", "orthanc", "dcmjs-dimse")
_HEADING = (
    "| associations | receiver | instances/s (slowest to quickest) | of storescp | of pynetdicom "
    "| CPU ms an instance | peak MiB | still to be written, s |\n|---|---|---|---|---|---|---|---|"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the tables."""
    from benchmarks.comparison import compare, write_instances
    from support.stamped import real_slices

    asked = _asked(arguments)
    with tempfile.TemporaryDirectory(prefix="receive-", dir=asked.folder) as name:
        folder = Path(name)
        files = write_instances(folder / "instances", real_slices(), asked.instances)
        print(_machine(files, folder, asked.instances), flush=True)
        print(_HEADING, flush=True)
        for associations in asked.associations:
            starts = _starts(asked.receivers, asked.processes)
            figures = compare(starts, files, associations, asked.rounds, folder)
            for each in asked.receivers:
                print(_row(associations, each, figures), flush=True)


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--instances", type=int, default=3000)
    parser.add_argument("--associations", type=_numbers, default=[1, 4, 16])
    parser.add_argument("--receivers", type=_names, default=list(NAMES), help=",".join(NAMES))
    parser.add_argument("--rounds", type=int, default=3, help="the median is told")
    parser.add_argument("--processes", type=int, default=2, help="receiver processes of ours")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    parser.add_argument("--quick", action="store_true", help="300 instances, one round, 4 at once")
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.instances, asked.rounds, asked.associations = 300, 1, [4]
    return asked


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(NAMES):
        raise argparse.ArgumentTypeError(f"no such receivers: {', '.join(sorted(unknown))}")
    return names


def _starts(names: Sequence[str], processes: int) -> dict[str, Start]:
    from benchmarks import receivers

    known = {
        "ours": receivers.ours(processes),
        "ours-nosync": receivers.ours_without_sync(processes),
        "pynetdicom": receivers.plain_pynetdicom,
        "storescp": receivers.dcmtk_storescp,
        "orthanc": receivers.orthanc,
        "dcmjs-dimse": receivers.dcmjs_dimse,
    }
    return {name: known[name] for name in names}


def _machine(files: Sequence[Path], folder: Path, count: int) -> str:
    from benchmarks.machine import durable_writes, loopback_bytes_per_second

    contents = [file.read_bytes() for file in files[:64]]
    one = durable_writes(contents, min(count, 1000), folder / "written-1", 1)
    many = durable_writes(contents, min(count, 1000), folder / "written-16", 16)
    copied = loopback_bytes_per_second(1 << 30) / 1e6
    size = len(contents[0]) / 1024
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load before "
        f"{os.getloadavg()[0]:.1f}; {count} instances of {size:.0f} KiB. The machine's own limits: "
        f"durable files of that size {one:.0f}/s from one thread, {many:.0f}/s from 16; "
        f"loopback TCP {copied:.0f} MB/s ({copied * 1e6 / len(contents[0]):.0f} instances/s).\n"
    )


def _row(associations: int, name: str, figures: dict[str, Figures]) -> str:
    own = figures[name]
    ratios = [
        f"{own.instances_per_second / figures[other].instances_per_second:.2f}"
        if other in figures
        else ""
        for other in ("storescp", "pynetdicom")
    ]
    rate = f"{own.instances_per_second:.0f} ({own.slowest:.0f} to {own.quickest:.0f})"
    cells = [str(associations), name, rate, *ratios, f"{own.cpu_milliseconds:.1f}"]
    cells += [f"{own.peak_mebibytes:.0f}", f"{own.owed_seconds:.1f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
