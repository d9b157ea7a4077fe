"""A start and a restart of a whole node: until when peers are refused, and analysis begins again.

`python tests/benchmarks/restart.py --source CHECKOUT` measures another checkout of the node, as one
before a change; `--held` with a socket that somebody holds over the restart, as systemd does. What
is printed, in seconds: from the start to an open port, to an answered C-ECHO, to the first analysis
(of a series that is sent at once); of a restart while DCMTK sends, how long the port was closed,
and the longest wait of a sender from one series to the next.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

QUICK = "[completeness]\nquiet_seconds = 0.5\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=Path(__file__).parents[2])
    parser.add_argument("--held", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print("| port open | C-ECHO | first analysis | stopped in | port closed | longest wait |")
    print("|---|---|---|---|---|---|")
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), asked.source.absolute(), asked.held)
            print("| " + " | ".join(f"{each:.1f}" for each in found) + " |", flush=True)


def measure(folder: Path, source: Path, held: bool) -> tuple[float, ...]:
    from dicomnode.network.associations import echo
    from dicomnode.offline.demo import listens
    from support.node import Node
    from support.phantom import write_series
    from support.restarts import HeldNode, restarted, run_from
    from support.wait import wait_for

    node = HeldNode(folder / "node", QUICK) if held else Node(folder / "node", toml=QUICK)
    files = write_series(folder / "series", 20)
    try:
        with run_from(source):
            began = time.monotonic()
            with (node.folder / "node.log").open("a") as log:
                node.process = node.begin(log)
            wait_for(lambda: listens(node.port), "the port is open")
            opened = time.monotonic() - began
            echo(node.peer, "TESTER", timeout=60)
            answered = time.monotonic() - began
            node.send(files)
            wait_for(lambda: "analysis, attempt 1" in node.log, "an analysis begins")
            analysing = time.monotonic() - began
            began = time.monotonic()
            node.stop()
            stopped = time.monotonic() - began
            node.start()
            loop, watch = restarted(node, folder / "sent")
    finally:
        node.close()
    return opened, answered, analysing, stopped, watch.closed_seconds, loop.longest_seconds


if __name__ == "__main__":
    main()
