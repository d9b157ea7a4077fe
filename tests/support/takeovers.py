"""How long it takes until another goes on with what a host had in hand when it was struck.

Of each such job or delivery: how long until others might claim it, as its lease had run out or it
was handed back; and from then until somebody did: while a host that lives and reaches the database
had nothing else to do, and while none had.
"""

from __future__ import annotations

import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from support.machines import Machine
from support.standby import Pair, Server

_LOOK_SECONDS = 0.1
_SETTLED_SECONDS = 30.0
"""Who was connected with a primary that is gone may wait so long for it."""

_LOCKED_AFTER_SECONDS = 1.0

_WORK = """
    SELECT kind, id, owner, coalesce(lease_token, ''), attempt, begun, running, ended, mine, due
    FROM (
        SELECT kind, job_id AS id, owner, lease_token, attempt,
            coalesce(extract(epoch FROM started_at), 0)::float AS begun,
            state = 'running' AS running, state NOT IN ('queued', 'running') AS ended,
            job.node_id IS NOT NULL OR EXISTS (SELECT FROM instance i WHERE i.node_id <> ''
                AND i.series_key = job.series_key AND i.object_name IS NULL) AS mine,
            coalesce(lease_until, not_before) <= now() AS due
        FROM job
        UNION ALL
        SELECT 'deliver', delivery_id, owner, lease_token, attempt, 0, state = 'sending',
            state NOT IN ('waiting', 'sending'), node_id IS NOT NULL,
            coalesce(lease_until, not_before) <= now()
        FROM delivery
    ) AS work
    WHERE running OR (kind, id) IN (SELECT * FROM unnest(%s::text[], %s::bigint[]))
"""
_LOCKED = {
    True: "SELECT 1 FROM delivery WHERE delivery_id = %s FOR UPDATE SKIP LOCKED",
    False: "SELECT 1 FROM job WHERE job_id = %s FOR UPDATE SKIP LOCKED",
}
_LAST = "SELECT job_id, owner FROM job WHERE job_id = ANY(%s)"

Key = tuple[str, int]
"""Kind ("analyse", "deliver", …) and number of a job or a delivery."""


@dataclass(frozen=True)
class Row:
    """Of a job or a delivery. `begun`: when it was claimed last, in seconds; `mine`: no other than
    its node can read its files; `due`: if it has not ended, anybody might claim it."""

    owner: str | None
    token: str
    attempt: int
    begun: float
    running: bool
    ended: bool
    mine: bool
    due: bool

    @property
    def node_id(self) -> str:
        return (self.owner or "").partition("/")[0]


@dataclass
class Held:
    """What a struck host held. `strike`: how it was struck. `row`: as it was then.

    Seconds: `free_after`: from the strike until others might claim it; thereafter `at_hand` with a
    host at hand that had nothing else to do, of these `locked` where a transaction of one who is
    gone held its row; `busy` while none was at hand; `unsettled` while the primary had changed
    just before. `taken_by`: "another host", "the same host", or "" while it is not.
    """

    key: Key
    strike: str
    row: Row
    since: float
    free_after: float | None = None
    at_hand: float = 0.0
    locked: float = 0.0
    busy: float = 0.0
    unsettled: float = 0.0
    taken_by: str = ""
    taken_after: float = 0.0

    @property
    def kind(self) -> str:
        return self.key[0]


@dataclass(frozen=True)
class Site:
    """What a takeover depends on. `struck`: who is out of order now; `database_is_whole`."""

    machines: Sequence[Machine]
    database: Pair
    struck: Callable[[], set[str]]
    database_is_whole: Callable[[], bool]


@dataclass
class Takeovers:
    """Watches jobs and deliveries through the primary's own socket, whatever the network does.

    `seen`: what was taken up again. `kept`: how much its holder, which lived, went on with or
    ended. `unmeasured`: how much the database was struck besides.
    """

    site: Site
    seen: list[Held] = field(default_factory=list)
    kept: int = 0
    unmeasured: int = 0
    _running: dict[Key, Row] = field(default_factory=dict)
    _held: dict[Key, Held] = field(default_factory=dict)
    _connection: tuple[Server, psycopg.Connection] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _whole_since: float = float("-inf")
    _looked: float = 0.0

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ended_by_woken(self) -> tuple[int, int]:
        """Of the analyses that another took up from who was stopped or cut off: how many there
        are, and how many the former ended all the same. To be asked when all have ended."""
        lost = [
            each
            for each in self.seen
            if each.kind == "analyse"
            and each.strike in {"stop", "cut"}
            and each.taken_by == "another host"
        ]
        last = dict(self._ask(_LAST, [each.key[1] for each in lost]))
        self._disconnect()
        return len(lost), sum(last[each.key[1]] == each.row.owner for each in lost)

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._disconnect()

    def struck(self, machine: Machine, strike: str) -> None:
        """A host is about to be; what it held when it was struck before, and went on with, is
        measured from now on."""
        now, node_id = time.monotonic(), machine.node_id
        with self._lock:
            for key, row in self._running.items():
                if row.node_id == node_id:
                    self._held[key] = Held(key, strike, row, now)

    def analysing(self) -> set[str]:
        """Ids of the nodes that analyse now, for the first time: what kills its worker three times
        is given up, as it ought to be."""
        with self._lock:
            first = [row for row in self._running.values() if row.attempt == 1 and not row.due]
            return {row.node_id for row in first if "/worker" in (row.owner or "")}

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
        self._connection = None

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            if not self.site.database_is_whole():
                self._whole_since = time.monotonic()
                with self._lock:
                    self.unmeasured += len(self._held)
                    self._held.clear()
                continue
            try:
                self._look()
            except psycopg.Error:
                self._disconnect()

    def _ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        primary = self.site.database.primary
        if self._connection is not None and self._connection[0] is not primary:
            self._disconnect()
        if self._connection is None:
            self._connection = primary, psycopg.connect(primary.url, autocommit=True)
        return self._connection[1].execute(statement.encode(), values).fetchall()

    def _look(self) -> None:
        with self._lock:
            keys = list(self._held)
        found = self._ask(_WORK, [each[0] for each in keys], [each[1] for each in keys])
        rows = {(kind, number): Row(*rest) for kind, number, *rest in found}
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, 1.0), now
        with self._lock:
            self._running = {key: row for key, row in rows.items() if row.running}
            for key in keys:
                held, row = self._held.get(key), rows.get(key)
                if held is None:
                    continue
                if self._is_over(held, row, now):
                    del self._held[key]
                elif row is not None and row.due:
                    self._count(held, row, now, passed)

    def _is_over(self, held: Held, row: Row | None, now: float) -> bool:
        """Somebody has taken it up, or its holder has ended it."""
        was = held.row
        if row is None or (row.ended and (row.owner, row.begun) == (was.owner, was.begun)):
            self.kept += 1
            return True
        claimed = row.token not in {"", was.token}
        if not claimed and row.begun <= was.begun and row.attempt <= was.attempt:
            return False
        held.taken_after = now - held.since
        held.taken_by = "the same host" if row.node_id == was.node_id else "another host"
        if held.free_after is None:  # between two looks
            held.free_after = held.taken_after
        self.seen.append(held)
        return True

    def _count(self, held: Held, row: Row, now: float, passed: float) -> None:
        if held.free_after is None:
            held.free_after = now - held.since
            return
        if now - self._whole_since < _SETTLED_SECONDS:
            held.unsettled += passed
        elif not row.mine and self._at_hand(held.kind):
            held.at_hand += passed
            if held.at_hand > _LOCKED_AFTER_SECONDS and self._is_locked(held.key):
                held.locked += passed
        else:
            held.busy += passed

    def _at_hand(self, kind: str) -> bool:
        """Whether a host has nothing of the kind to do, and might."""
        busy = {row.node_id for key, row in self._running.items() if key[0] == kind and not row.due}
        away = self.site.struck() | busy
        return any(
            each.node_id not in away and (kind != "analyse" or _has_loaded(each))
            for each in self.site.machines
        )

    def _is_locked(self, key: Key) -> bool:
        return not self._ask(_LOCKED[key[0] == "deliver"], key[1])


def _has_loaded(machine: Machine) -> bool:
    """Whether the worker that was begun last has its models, by the log."""
    log = machine.log[-200_000:]
    loaded = [each.start() for each in re.finditer(r" has .*\d MiB", log)]
    begun = max(map(log.rfind, ("starts, configured by", "worker-1 started", "worker-1 ended")))
    return bool(loaded) and loaded[-1] > begun


def table(seen: Sequence[Held]) -> Iterator[str]:
    """Rows of Markdown, by kind and strike: median and longest, in seconds."""
    yield (
        "| job | strike | taken up by | jobs | until it was free | then, a host at hand |"
        " then, none at hand | just after another primary | in all |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    groups: dict[tuple[str, str, str], list[Held]] = {}
    for each in seen:
        who = each.taken_by + (", not sealed when struck" if each.row.mine else "")
        groups.setdefault((each.kind, each.strike, who), []).append(each)
    for names, some in sorted(groups.items()):
        columns = (
            [each.free_after or 0.0 for each in some],
            [each.at_hand for each in some],
            [each.busy for each in some],
            [each.unsettled for each in some],
            [each.taken_after for each in some],
        )
        told = (f"{statistics.median(each):.1f}, {max(each):.1f}" for each in columns)
        yield f"| {' | '.join(names)} | {len(some)} | {' | '.join(told)} |"
    locked = [each.locked for each in seen if each.locked]
    if locked:
        yield f"| of these, locked | | | {len(locked)} | | {max(locked):.1f} at most | | | |"
