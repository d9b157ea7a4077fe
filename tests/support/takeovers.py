"""How long it takes until another goes on with what a host had in hand when it was struck."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from support.machines import Machine
from support.standby import Pair, Server

_LOOK_SECONDS = 0.1
_HELD = (
    "SELECT job_id, kind, owner, node_id IS NOT NULL FROM job"
    " WHERE state = 'running' AND kind IN ('assess', 'analyse')"
)


@dataclass
class _Held:
    """A job that a struck host held. `bound`: no other can read its series."""

    kind: str
    owner: str
    since: float
    bound: bool


@dataclass(frozen=True)
class Takeover:
    kind: str
    seconds: float
    bound: bool
    by_another: bool


class Takeovers:
    """Watches the jobs through the primary's own socket, whatever the network does."""

    def __init__(self, database: Pair, undisturbed: Callable[[], bool]) -> None:
        """`undisturbed`: whether the database is in order now; else nothing is measured."""
        self._database, self._undisturbed = database, undisturbed
        self._running: dict[int, tuple[str, str, bool]] = {}
        self._held: dict[int, _Held] = {}
        self._connection: tuple[Server, psycopg.Connection] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: list[Takeover] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
        self._connection = None

    def struck(self, machine: Machine) -> None:
        """A host is about to be."""
        node_id = machine.node_id
        with self._lock:
            for job_id, (kind, owner, bound) in self._running.items():
                if owner.startswith(f"{node_id}/"):
                    self._held[job_id] = _Held(kind, owner, time.monotonic(), bound)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            if not self._undisturbed():
                with self._lock:
                    self._held.clear()
                continue
            try:
                self._look()
            except psycopg.Error:
                self._disconnect()

    def _look(self) -> None:
        primary = self._database.primary
        if self._connection is not None and self._connection[0] is not primary:
            self._disconnect()
        if self._connection is None:
            self._connection = primary, psycopg.connect(primary.url, autocommit=True)
        rows = self._connection[1].execute(_HELD).fetchall()
        now = time.monotonic()
        with self._lock:
            self._running = {job_id: (kind, owner, bound) for job_id, kind, owner, bound in rows}
            for job_id, (_, owner, _) in self._running.items():
                held = self._held.get(job_id)
                if held is not None and held.owner != owner:
                    node_id = held.owner.partition("/")[0]
                    by_another = not owner.startswith(f"{node_id}/")
                    took = Takeover(held.kind, now - held.since, held.bound, by_another)
                    self.seen.append(took)
                    del self._held[job_id]
