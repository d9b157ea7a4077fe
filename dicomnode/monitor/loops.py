"""What the loops of the monitor share, and what one is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.troubles import Trouble
from dicomnode.lifecycle import Outage, ends_process_on_fault, keep_looking
from storage.database import Database
from storage.overview_records import node_of

END_SECONDS = 5.0
"""So long the end of a loop is waited for."""

_FAULT_SECONDS = 5.0


@dataclass(frozen=True)
class Seen:
    """One look at the node, and what troubles it. `told`: of that, what this node is to tell: None
    where that is all."""

    facts: Facts
    troubles: tuple[Trouble, ...] = ()
    told: tuple[Trouble, ...] | None = None


@dataclass(frozen=True)
class Readiness:
    """Why the node is not ready, if it is not; as seen at `at`, in the seconds of the clock."""

    reasons: tuple[str, ...]
    at: float


class Outlook:
    """The last look at the node; for all threads."""

    def __init__(self) -> None:
        self.readiness: Readiness | None = None
        self.seen: Seen | None = None  # put by one assignment: who reads has the one or the other
        self.http_fault = ""
        self.must_end = ""


@dataclass(frozen=True)
class Station:
    """What the loops share. `owner`: how this process signs leases, "node_id/monitor/pid/"."""

    settings: Settings
    owner: str
    stop: threading.Event
    database: Database
    clock: Clock = field(default_factory=Clock)
    outlook: Outlook = field(default_factory=Outlook)

    @property
    def node_id(self) -> str:
        return node_of(self.owner)

    def end(self, why: str) -> None:
        """This host must not go on as this node; told by who waits for `stop`."""
        self.outlook.must_end = why
        self.stop.set()


@dataclass(frozen=True)
class Loop:
    """Something that is done again and again until the node stops.

    `work`: as a gerund, for the log ("watching"). `look` is called again at once while it returns
    something true, else after `look_seconds`; it may as well stay until `Station.stop` is set.
    """

    work: str
    look: Callable[[], object]
    look_seconds: float


def begin(loops: Iterable[Loop], stop: threading.Event) -> list[threading.Thread]:
    """Each in a thread of its own, until `stop`."""
    threads = [
        threading.Thread(target=_run, args=(loop, stop), name=loop.work, daemon=True)
        for loop in loops
    ]
    for thread in threads:
        thread.start()
    return threads


@ends_process_on_fault
def _run(loop: Loop, stop: threading.Event) -> None:
    on_fault = f"{loop.work} goes on in a while"
    keep_looking(loop.look, stop, Outage(loop.work), on_fault, loop.look_seconds, _FAULT_SECONDS)
