"""A Ray cluster of several hosts on this machine (`ray.cluster_utils`), in a process of its own.

Ray warns, starts threads, and reads its environment once: none of it is for the process of a test.
Who runs this file gives one command a line and gets one line of JSON: `head PORT`, `host CPUS`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support.processes import family
from support.sources import ROOT

TOKEN = "a-token-of-the-tests-that-is-long-enough-0123456789"  # noqa: S105 - of no real cluster

ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": TOKEN,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


def serve() -> None:
    """What is said above, in a process of its own."""
    from ray.cluster_utils import Cluster

    clusters: list[Any] = []
    for line in sys.stdin:
        what, number = line.split()
        if what == "head":
            arguments = {"gcs_server_port": int(number), "num_cpus": 0, "include_dashboard": False}
            clusters.append(Cluster(initialize_head=True, head_node_args=arguments))
            node = clusters[-1].head_node
        else:
            node = clusters[-1].add_node(num_cpus=int(number))
        found = node.all_processes.items()
        pids = {name: [each.process.pid for each in some] for name, some in found}
        print(json.dumps({"address": clusters[-1].address, "processes": pids}), flush=True)


class RayTestCluster:
    """`processes` of a host: process ids by what they are ("raylet", "gcs_server", …)."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.port, self._process = port, process
        self.address = f"127.0.0.1:{port}"  # and where Ray says, once there is a head

    def analysing(self) -> set[str]:
        """Process ids of those that analyse, on all hosts."""
        found = set()
        for pid in family(self._process.pid):
            with suppress(OSError):
                if b"\0role\0worker-1\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.add(str(pid))
        return found

    def head(self) -> dict[str, list[int]]:
        return self._ask(f"head {self.port}")

    def host(self, cpus: int) -> dict[str, list[int]]:
        return self._ask(f"host {cpus}")

    def _ask(self, line: str) -> dict[str, list[int]]:
        assert self._process.stdin
        assert self._process.stdout
        print(line, file=self._process.stdin, flush=True)
        told = json.loads(self._process.stdout.readline())
        self.address = told["address"]
        return dict(told["processes"])


def kill(processes: dict[str, list[int]]) -> None:
    """A host loses its power: all of Ray that runs on it."""
    for pid in [each for some in processes.values() for each in some]:
        for member in reversed(family(pid)):
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)


@contextmanager
def ray_test_cluster(log: Path) -> Iterator[RayTestCluster]:
    """No host yet; Ray's settings are those of the environment of this process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "support.ray_cluster"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
        )
    try:
        yield RayTestCluster(port, process)
    finally:
        ended = family(process.pid)
        process.kill()
        process.communicate()
        for pid in ended[1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
