"""The processes of a node, as the supervisor writes down how they fare."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import datetime

KEPT_ENDS = 10

OUT_OF_MEMORY = "killed by the kernel: out of memory"
UNUSABLE_SETUP = 2
"""How a process ends that cannot use its configuration, or a bundle (`cli.main`)."""

_STATUS_WORDS = {
    0: "it ended by itself",
    1: "a fault: the log tells which",
    UNUSABLE_SETUP: "the configuration or a model bundle cannot be used: the log tells why",
    70: "longer than inference.deadline_seconds for one series",
    75: "it had lost the lease of its job",
}
"""70 and 75 are those of a worker (`analyse.held_job`)."""


@dataclass(frozen=True)
class ProcessEnd:
    """`status`: as `subprocess` has it: the exit status, or less than 0 for a signal."""

    at: datetime
    status: int
    cause: str


@dataclass(frozen=True)
class ProcessState:
    """One role's process. `pid`: None while there is none; `since`: when it began, or ended.

    `starts`: how often it was started since the node was, for a reload not counted. `ends`: the
    last ones, newest last.
    """

    role: str
    pid: int | None
    since: datetime
    starts: int = 1
    ends: tuple[ProcessEnd, ...] = ()

    @property
    def last_end(self) -> ProcessEnd | None:
        return self.ends[-1] if self.ends else None


@dataclass(frozen=True)
class NodeState:
    """A node since its last start. `pid`: of the supervisor. `stopped_at`: None while it runs, and
    after an end that nobody could write down."""

    version: str
    node_id: str
    pid: int
    started_at: datetime
    stopped_at: datetime | None = None
    processes: tuple[ProcessState, ...] = ()


def likely_cause(status: int, killed_for_memory: bool) -> str:
    """Why a process ended. `killed_for_memory`: the kernel did so to some process meanwhile."""
    if status >= 0:
        return _STATUS_WORDS.get(status, f"exit status {status}")
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    if status != -signal.SIGKILL:
        return f"ended by {name}"
    if killed_for_memory:
        return OUT_OF_MEMORY
    return "killed by SIGKILL: by a person, or by the kernel for want of memory"
