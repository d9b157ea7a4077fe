"""A start of a whole node, and what it takes while it has nothing to do; commands besides.

`python tests/benchmarks/start.py --before CHECKOUT` runs another checkout, as that before a change,
in turns with this one. Medians are printed: seconds from the start to an open port, to an answered
C-ECHO, to the first analysis (of a series that is sent at once); processor seconds of all processes
until nothing more is done; memory of each (PSS: what several share is divided among them) then; and
processor seconds of commands.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

if TYPE_CHECKING:
    from support.node import Node

HERE = Path(__file__).parents[2]
QUICK = "[completeness]\nquiet_seconds = 0.5\n"
COMMANDS = ("--version", "--help", "queue list", "status")
_STILL_SECONDS = 3.0
_STILL_CPU_SECONDS = 0.4  # looks for work cost some

Figures = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    sources = [*([asked.before.absolute()] if asked.before else []), HERE]
    found: dict[Path, Figures] = {source: defaultdict(list) for source in sources}
    for _ in range(asked.rounds):
        for source in sources:
            measure(source, found[source])
    _tell([found[source] for source in sources])


def measure(source: Path, into: Figures) -> None:
    from support.node import Node
    from support.phantom import write_series
    from support.restarts import run_from
    from support.wait import wait_for

    with tempfile.TemporaryDirectory() as folder, run_from(source):
        node = Node(Path(folder) / "node", toml=QUICK)
        try:
            _start(node, into)
            wait_for(lambda: "model " in node.log, "the models are loaded")
            cpu, sizes = _still(node)
            into["processor seconds of a start"].append(cpu)
            for role, size in sizes.items():
                into[f"MiB: {role}"].append(size)
            into["MiB: all"].append(sum(sizes.values()))
            for command in COMMANDS:
                words = [
                    *command.split(),
                    *(["--config", str(node.config)] if "-" not in command else []),
                ]
                into[f"processor seconds: {command}"].append(_command(words))
            node.stop()
            files = write_series(Path(folder) / "series", 20)
            began = _start(node, into)
            node.send(files)
            wait_for(lambda: "analysis, attempt 1" in node.log, "an analysis begins")
            into["first analysis, s"].append(time.monotonic() - began)
        finally:
            node.close()


def _start(node: Node, into: Figures) -> float:
    from dicomnode.network.associations import echo
    from dicomnode.offline.demo import listens
    from support.wait import wait_for

    began = time.monotonic()
    with (node.folder / "node.log").open("a") as log:
        node.process = node.begin(log)
    wait_for(lambda: listens(node.port), "the port is open")
    into["port open, s"].append(time.monotonic() - began)
    echo(node.peer, "TESTER", timeout=60)
    into["C-ECHO answered, s"].append(time.monotonic() - began)
    return began


def _still(node: Node) -> tuple[float, dict[str, float]]:
    """When nothing more is done: processor seconds so far, and the memory of each process."""
    from support.processes import cost

    assert node.process is not None
    before = -1.0
    while (now := cost([node.process.pid]).cpu_seconds) - before > _STILL_CPU_SECONDS:
        before = now
        time.sleep(_STILL_SECONDS)
    state = json.loads((node.folder / "data" / "processes.json").read_text())
    pids = {"supervisor": node.process.pid} | {e["role"]: e["pid"] for e in state["processes"]}
    return now, {role: _pss(pid) for role, pid in pids.items()}


def _pss(pid: int) -> float:
    """MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _command(words: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "dicomnode", *words], stdout=subprocess.DEVNULL, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _tell(columns: list[Figures]) -> None:
    heads = ["before", "now", "ratio"] if len(columns) > 1 else ["now"]
    print("| | " + " | ".join(heads) + " |")
    print("|" + "---|" * (len(heads) + 1))
    for name in dict.fromkeys(each for column in columns for each in column):
        values = [median(column[name]) if column[name] else 0.0 for column in columns]
        cells = [f"{value:.0f}" if "MiB" in name else f"{value:.2f}" for value in values]
        if len(values) > 1 and values[0]:
            cells.append(f"{values[1] / values[0]:.2f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
