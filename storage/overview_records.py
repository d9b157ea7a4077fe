"""What is told of a node as a whole: how much waits where, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from storage.records import JobKind, Needs

ID_SHOWN = 8
"""Characters of the id of a node by which people see and name it."""


def node_of(owner: str) -> str:
    """The node whose process signs a lease so; `owner`: "NODE/ROLE/PID/"."""
    return owner.partition("/")[0]


@dataclass(frozen=True)
class OpenDeliveries:
    """What is on its way to one destination.

    `oldest_at`: since when its oldest object waits, of those that nobody has put on hold. `held`:
    so many wait because the destination is away as a whole. `error`: of the last attempt.
    """

    destination: str
    count: int
    oldest_at: datetime | None
    held: int
    error: str | None


@dataclass(frozen=True)
class ParkedDeliveries:
    """What is not sent to a destination again by itself. `kind`: of the results, as the report.

    `error`: of the newest, about the series `series_key`.
    """

    destination: str
    state: str  # refused or failed
    kind: str
    count: int
    error: str | None
    series_key: str


@dataclass(frozen=True)
class AwaitedPromises:
    """What a destination has, and has not promised to keep yet."""

    destination: str
    count: int
    oldest_stored_at: datetime


@dataclass(frozen=True)
class OpenJobs:
    """Jobs of one kind. `oldest_due_at`: since when the one that waits longest could be begun."""

    kind: JobKind
    queued: int
    running: int
    oldest_due_at: datetime | None


@dataclass(frozen=True)
class NeedsWaiting:
    """Analyses that could be begun and ask the same of a worker; the oldest could since then."""

    needs: Needs
    count: int
    oldest_due_at: datetime


@dataclass(frozen=True)
class Waiting:
    """Jobs that any worker may begin now: how many, and how long the oldest could have been."""

    count: int
    oldest_seconds: float


@dataclass(frozen=True)
class RunningJob:
    series_key: str
    kind: JobKind
    attempt: int
    started_at: datetime
    lease_until: datetime
    owner: str = ""  # who has it: node_id/role/pid/…


@dataclass(frozen=True)
class FailedSeries:
    """`rules`: those that it failed by."""

    series_key: str
    rules: tuple[str, ...]
    ended_at: datetime


@dataclass(frozen=True)
class Source:
    """Who sends series. `hours`: in which hours (their beginnings, in UTC) how many studies began
    to come, oldest first."""

    ae_title: str
    last_at: datetime
    hours: tuple[tuple[datetime, int], ...] = ()


@dataclass(frozen=True)
class Refused:
    """What a peer was refused, counted. `status`, `reason`: as the receiver has them."""

    kind: str  # association or instance
    calling_ae_title: str
    peer_address: str
    status: str
    reason: str
    count: int
    first_at: datetime
    last_at: datetime
    called_ae_title: str = ""


@dataclass(frozen=True)
class CanaryRun:
    """`passed`: None while it is under way."""

    occasion: str
    stage: str
    started_at: datetime
    ended_at: datetime | None
    passed: bool | None
    text: str


@dataclass(frozen=True)
class Node:
    """A node that works on the database; `left_at`: since when it is not heard of any more.

    `receives`: no host of workers alone. `workers`: how many; `capabilities`, parted by spaces, and
    `memory_bytes` are what each has; None: nobody has told yet. `mark`: which start of it is heard
    of. `twice_at`, `twice_on`: when another host wanted to be this node too, and its name.
    `equipment`: what it decides with, or its workers have, by part; and the digest of that.
    """

    node_id: str
    name: str
    joined_at: datetime
    heard_at: datetime
    left_at: datetime | None
    shares: bool
    receives: bool = True
    workers: int = 1
    capabilities: str = ""
    memory_bytes: int | None = None
    mark: str = ""
    twice_at: datetime | None = None
    twice_on: str = ""
    equipment: Mapping[str, str] | None = None
    equipment_digest: str = ""

    @property
    def forgotten(self) -> bool:
        """Lost, and nobody waits for it any more."""
        return self.left_at is not None and not self.shares


@dataclass(frozen=True)
class DeadRows:
    """Rows of a table that nobody sees any more, and that are not cleared away yet."""

    table: str
    dead: int
    live: int


@dataclass(frozen=True)
class Strain:
    """What makes the claims of a PostgreSQL slow. `transaction_seconds`: age of the oldest."""

    dead_rows: tuple[DeadRows, ...] = ()
    transaction_seconds: float = 0.0


@dataclass(frozen=True)
class DamagedObjects:
    """Objects of the store that are missing, or not what was written there.

    `lost`: of which nobody has a good copy, and which are asked of the archive. `found_count`: how
    often they were read in vain. `series_key`, `why`, `found_at`: of the first.
    """

    count: int
    lost: int
    found_count: int
    series_key: str
    why: str
    found_at: datetime


@dataclass(frozen=True)
class Unsealed:
    """Series that came to rest on one node and are in no object of the store yet, at one moment.

    `series`: so many, or more where `at_least`; `damaged` of them cannot be sealed at all.
    `oldest_due_at`: since when the oldest could be. `fault`: why the store takes nothing; `wrong`:
    it is not the one that the database knows.
    """

    at: datetime
    series: int = 0
    at_least: bool = False
    damaged: int = 0
    oldest_due_at: datetime | None = None
    fault: str = ""
    wrong: bool = False


@dataclass(frozen=True)
class TroubleRecord:
    """One trouble, and who was told of it.

    `since`: when it began, as far as is known. `told`, `told_over`: the ways by which somebody was
    told that it had begun, and that it was over. `over_at`: None while it lasts.
    """

    name: str
    severity: str
    text: str
    remedy: str
    since: datetime
    first_seen_at: datetime
    last_seen_at: datetime
    over_at: datetime | None = None
    told: frozenset[str] = frozenset()
    told_over: frozenset[str] = frozenset()
