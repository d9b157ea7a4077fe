"""What was looked at: plain values of processes, database, file system, configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dicomnode.decisions.arrival.disk import DiskSpace
from dicomnode.decisions.operating.processes import NodeState


@dataclass(frozen=True)
class Blind:
    """What could not be looked at, and why, without values of patients."""

    what: str
    why: str


@dataclass(frozen=True)
class Facts:
    """A node at one moment. What could not be looked at is empty, and named in `blind`.

    `node`: None where no supervisor has written anything. `running`: whether a node holds the data
    directory; None where that cannot be told. `database_fault`: why it does not answer, or None.
    """

    at: datetime
    node: NodeState | None = None
    running: bool | None = None
    database_fault: str | None = None
    disk: DiskSpace | None = None
    blind: tuple[Blind, ...] = ()
