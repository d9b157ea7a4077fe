"""Which processes of a node run, in a file that any other process can read.

Written by the supervisor when one starts or ends. It tells the administrator, and decides nothing:
where it cannot be written the node goes on.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from dicomnode.clock import Clock
from dicomnode.data_directory.told_file import ToldFile, read_told
from dicomnode.decisions.operating.processes import (
    KEPT_ENDS,
    NodeState,
    ProcessEnd,
    ProcessState,
    likely_cause,
)
from dicomnode.version import VERSION

_FILE = "processes.json"
_STATE = TypeAdapter(NodeState)


class States:
    """What the supervisor knows of its processes, kept in the data directory."""

    def __init__(self, data_directory: Path, node_id: str, clock: Clock) -> None:
        self._file = ToldFile(data_directory / _FILE, _STATE)
        self._clock = clock
        self._state = NodeState(VERSION, node_id, os.getpid(), clock.now())
        self._killed: dict[str, int | None] = {}

    def started(self, role: str, pid: int) -> None:
        """Counted, but where no end was told: it has renewed itself for a changed configuration."""
        former = self._of(role)
        starts, ends = (former.starts + (former.pid is None), former.ends) if former else (1, ())
        self._killed[role] = killed_for_memory()
        self._put(ProcessState(role, pid, self._clock.now(), starts, ends))

    def ended(self, role: str, status: int) -> str:
        """The likely cause."""
        before, after = self._killed.get(role), killed_for_memory()
        cause = likely_cause(status, None not in (before, after) and before != after)
        former, now = self._of(role), self._clock.now()
        if former is not None:
            ends = (*former.ends, ProcessEnd(now, status, cause))[-KEPT_ENDS:]
            self._put(replace(former, pid=None, since=now, ends=ends))
        return cause

    def stopped(self) -> None:
        """All of them, as somebody wished."""
        now = self._clock.now()
        ended = (replace(each, pid=None, since=now) for each in self._state.processes)
        self._state = replace(self._state, stopped_at=now, processes=tuple(ended))
        self._file.write(self._state, indent=1)

    def _of(self, role: str) -> ProcessState | None:
        return next((each for each in self._state.processes if each.role == role), None)

    def _put(self, state: ProcessState) -> None:
        kept = {each.role: each for each in self._state.processes} | {state.role: state}
        self._state = replace(self._state, processes=tuple(kept.values()))
        self._file.write(self._state, indent=1)


def read_state(data_directory: Path) -> NodeState | None:
    """What the supervisor of a data directory wrote last; None where none ever ran.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds something else.
    """
    return read_told(data_directory / _FILE, _STATE)


def killed_for_memory(counters: Path = Path("/proc/vmstat")) -> int | None:
    """How many processes the kernel of this machine has killed since it started, for want of
    memory; None where it does not tell (before Linux 4.13)."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
