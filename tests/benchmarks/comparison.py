"""Sends one set of instances to each receiver in turn, and takes the time and the cost."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.receivers import PDU_LENGTH, Running, Start
from support.processes import cost, watched_memory
from support.stamped import Template
from support.tools import needed
from support.wait import wait_for

_SERIES_LENGTH = 250
_SETTLED_SECONDS = 0.3
ROUND_LIMIT_SECONDS = 600.0


@dataclass(frozen=True)
class Round:
    """One receiver, once. `owed_seconds`: what the disk still had to write when all was sent."""

    instances_per_second: float
    cpu_seconds: float
    peak_bytes: int
    owed_seconds: float


@dataclass(frozen=True)
class Figures:
    """Medians over the rounds; CPU of the receiver alone, all its processes, an instance."""

    instances_per_second: float
    slowest: float
    quickest: float
    cpu_milliseconds: float
    peak_mebibytes: float
    owed_seconds: float


def write_instances(folder: Path, templates: Sequence[Template], count: int) -> list[Path]:
    """Distinct Part 10 files, in series of 250."""
    folder.mkdir()
    files = []
    for number in range(count):
        template = templates[number % len(templates)]
        files.append(folder / f"{number:06d}.dcm")
        template.instance(number, number // _SERIES_LENGTH).write(files[-1])
    return files


def one_round(start: Start, files: Sequence[Path], associations: int, folder: Path) -> Round:
    """Start the receiver, send all, and see that it has all."""
    folder.mkdir()
    try:
        with start(folder) as running, watched_memory(running.pids) as peak:
            _wait_until_settled(running)  # what it still does for its start is no receiving
            before = cost(running.pids).cpu_seconds
            seconds = send(files, associations, running.port, folder)
            owed = _seconds_of_sync()
            _wait_until_settled(running)
            cpu = cost(running.pids).cpu_seconds - before
            stored = running.files()
    finally:
        _leave(folder)
    if stored != len(files):
        raise RuntimeError(f"{len(files)} sent, {stored} stored")
    return Round(len(files) / seconds, cpu / len(files), peak.bytes, owed)


def _leave(folder: Path) -> None:
    """Leave what was received while there is room for it; the next one's time is its own.

    ext4 looks for minutes at inodes that were freed: a round behind a removal has slower files.
    """
    space = shutil.disk_usage(folder)
    if space.free < space.total / 8:
        shutil.rmtree(folder)
    os.sync()


def send(files: Sequence[Path], associations: int, port: int, folder: Path) -> float:
    """With DCMTK's storescu, as many at once as there are associations; the seconds it took.

    Raises RuntimeError when a sender reports a failure.
    """
    command = [needed("storescu", "dcmtk"), "--required", "--max-pdu", str(PDU_LENGTH)]
    command += ["-aec", "DICOMNODE", "127.0.0.1", str(port)]
    share = -(-len(files) // associations)
    parts = [files[at : at + share] for at in range(0, len(files), share)]
    environment = os.environ | {"TCP_NODELAY": "1"}
    began = time.monotonic()
    with (folder / "senders.log").open("wb") as log:
        senders = [
            subprocess.Popen([*command, *map(str, part)], stdout=log, stderr=log, env=environment)
            for part in parts
        ]
    statuses = [sender.wait(ROUND_LIMIT_SECONDS) for sender in senders]
    seconds = time.monotonic() - began
    if any(statuses):
        raise RuntimeError((folder / "senders.log").read_text()[-2000:])
    return seconds


def _seconds_of_sync() -> float:
    began = time.monotonic()
    os.sync()
    return time.monotonic() - began


def _wait_until_settled(running: Running) -> None:
    """What it does after the last answer (its index) counts as its cost too."""
    last = [cost(running.pids).cpu_seconds, time.monotonic()]

    def settled() -> bool:
        now = cost(running.pids).cpu_seconds
        if now > last[0] + 0.02:
            last[:] = [now, time.monotonic()]
        return time.monotonic() - last[1] > _SETTLED_SECONDS

    wait_for(settled, "the receiver is idle", 60)


def compare(
    receivers: dict[str, Start],
    files: Sequence[Path],
    associations: int,
    rounds: int,
    folder: Path,
) -> dict[str, Figures]:
    """All receivers in turn, as often as there are rounds; progress goes to standard error."""
    done: dict[str, list[Round]] = {name: [] for name in receivers}
    for number in range(rounds):
        for name, start in receivers.items():
            left = folder / f"{name}-{associations}-{number}"
            result = one_round(start, files, associations, left)
            done[name].append(result)
            told = f"{associations} associations, round {number + 1}/{rounds}, {name}: "
            print(f"{told}{result.instances_per_second:.0f}/s", file=sys.stderr, flush=True)
    return {name: _figures(results) for name, results in done.items()}


def _figures(rounds: Sequence[Round]) -> Figures:
    rates = [each.instances_per_second for each in rounds]
    return Figures(
        instances_per_second=statistics.median(rates),
        slowest=min(rates),
        quickest=max(rates),
        cpu_milliseconds=statistics.median(each.cpu_seconds for each in rounds) * 1e3,
        peak_mebibytes=statistics.median(each.peak_bytes for each in rounds) / 2**20,
        owed_seconds=statistics.median(each.owed_seconds for each in rounds),
    )
