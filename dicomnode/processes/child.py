"""One process of a node, through its deaths and restarts."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

log = logging.getLogger(__name__)

_FIRST_BACKOFF_SECONDS = 0.5
_LAST_BACKOFF_SECONDS = 30.0
_STEADY_SECONDS = 60.0
"""A process that lived this long is restarted at once when it dies."""

RECEIVER = "receiver"
"""How the names of the roles begin that receive."""

WORKER = "worker"
"""How the names of the roles begin that analyse."""

MONITOR = "monitor"
"""The role that tells how the node fares."""


class Process(Protocol):
    """What is asked of one that runs; as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sent: int, /) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


@dataclass
class Child:
    """Its process, if it runs. Times are in the seconds of the clock."""

    role: str
    process: Process | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    backoff: float = _FIRST_BACKOFF_SECONDS
    was_ready: bool = False
    renewing: bool = False  # asked to end, and to begin again with other settings

    @property
    def receives(self) -> bool:
        return self.role.startswith(RECEIVER)

    @property
    def analyses(self) -> bool:
        return self.role.startswith(WORKER)

    def start(self, begin: Callable[[], Process], now: float) -> int | None:
        """Start it; its process id. None: it cannot be, and is tried again later."""
        self.started_at = now
        try:
            self.process = begin()
        except OSError as error:  # no memory, no process left: as if it had died at once
            log.error("%s cannot be started: %s", self.role, error.strerror)
            self.restart_at = now + self.backoff
            return None
        log.info("%s started as process %d", self.role, self.process.pid)
        return self.process.pid

    def tell(self, what: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(what)

    def renew(self, asked: signal.Signals) -> None:
        """It ends by this signal when it has done what it is at, and starts again at once."""
        self.renewing = self.process is not None
        self.tell(asked)

    def renewed(self) -> None:
        log.info("%s has ended to take over the changed configuration", self.role)
        self.process, self.restart_at, self.renewing = None, 0.0, False

    def died(self, status: int, cause: str, now: float) -> None:
        """It starts again, later each time. `cause`: what the status means."""
        if now - self.started_at >= _STEADY_SECONDS:
            self.backoff = _FIRST_BACKOFF_SECONDS
        told = "%s ended with status %d (%s); next in %.1f s"
        log.error(told, self.role, status, cause, self.backoff)
        self.process, self.restart_at, self.renewing = None, now + self.backoff, False
        self.backoff = min(self.backoff * 2, _LAST_BACKOFF_SECONDS)


def waits_for_database(role: str) -> bool:
    """Whether a role begins nothing before the database is known to be this node's own.

    Receivers need none, the monitor tells that it is away, and workers load meanwhile.
    """
    return not role.startswith((RECEIVER, MONITOR, WORKER))


def owner_name(node_id: str, role: str, pid: int) -> str:
    """How a process signs the leases it holds."""
    return f"{node_id}/{role}/{pid}/"
