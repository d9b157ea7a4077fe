"""What the loops of the monitor share, and what one is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from dicomnode.clock import Clock
from dicomnode.config.settings import Settings
from dicomnode.decisions.operating.facts import Facts
from storage.database import Database


class Outlook:
    """The last look at the node; for all threads."""

    def __init__(self) -> None:
        self._facts: Facts | None = None
        self.http_fault = ""

    @property
    def facts(self) -> Facts | None:
        """None before the first look."""
        return self._facts

    def put(self, facts: Facts) -> None:
        self._facts = facts  # one assignment: whoever reads has the one or the other


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
        return self.owner.partition("/")[0]


@dataclass(frozen=True)
class Loop:
    """Something that is done again and again until the node stops.

    `work`: as a gerund, for the log ("watching"). `look` is called again at once while it returns
    something true, else after `look_seconds`; it may as well stay until `Station.stop` is set.
    """

    work: str
    look: Callable[[], object]
    look_seconds: float
