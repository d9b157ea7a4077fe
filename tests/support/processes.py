"""What the processes of a program cost, as the kernel counts it (proc(5))."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Cost:
    """Sums over processes; `cpu_seconds` with those of children that have ended already."""

    cpu_seconds: float
    resident_bytes: int
    peak_bytes: int
    threads: int
    descriptors: int


def family(pid: int) -> list[int]:
    """A process and all its descendants that live."""
    members = [pid]
    for member in members:
        try:
            tasks = list(Path(f"/proc/{member}/task").iterdir())
            members += [int(c) for task in tasks for c in (task / "children").read_text().split()]
        except OSError:
            continue
    return members


def cost(pids: list[int]) -> Cost:
    """Of these processes and all their descendants."""
    each = [_cost(member) for pid in pids for member in family(pid)]
    return Cost(
        sum(one.cpu_seconds for one in each),
        sum(one.resident_bytes for one in each),
        sum(one.peak_bytes for one in each),
        sum(one.threads for one in each),
        sum(one.descriptors for one in each),
    )


def _cost(pid: int) -> Cost:
    try:
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:  # it ended just now
        return Cost(0.0, 0, 0, 0, 0)
    status = dict(line.partition(":")[::2] for line in lines)
    kibibytes = [int(status.get(key, "0 kB").split()[0]) for key in ("VmRSS", "VmHWM")]
    return Cost(
        sum(map(int, times)) / _TICKS,
        kibibytes[0] * 1024,
        kibibytes[1] * 1024,
        int(status["Threads"]),
        descriptors,
    )


class Peak:
    """The highest sum of peak memory seen at one moment."""

    def __init__(self) -> None:
        self.bytes = 0


@contextmanager
def watched_memory(pids: list[int]) -> Iterator[Peak]:
    """Sample the memory of processes that come and go, as those that serve one association do."""
    peak, ended = Peak(), threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            peak.bytes = max(peak.bytes, cost(pids).peak_bytes)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield peak
    finally:
        ended.set()
        watching.join()
        peak.bytes = max(peak.bytes, cost(pids).peak_bytes)
