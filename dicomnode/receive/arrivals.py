"""Brings what the receiver stored into the index, in order, many at a time.

Files are the truth: an instance is answered 0x0000 when its file is durable. The index follows
from one thread here, which asks for the database only when it has begun: the receiver's port does
not wait for it. While the database is away the thread waits and tries again; what a killed receiver
had not yet indexed is found again from the files (`dicomnode.receive.reconciliation`).

An event that the index cannot take for another reason holds up no other: it is told and passed
over. Its file stays, and is tried again at the next start.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Container
from functools import partial
from typing import TypeVar

from dicomnode.errors import ConfigurationError
from dicomnode.lifecycle import ends_process_on_fault
from dicomnode.metrics.counters import INSTANCES_NOT_INDEXED
from dicomnode.receive.events import AssociationEnded, Event, record
from dicomnode.receive.going_back import LOOK_SECONDS, GoingBack
from dicomnode.receive.reconciliation import Reconciler, reconcile
from storage.database import Database
from storage.errors import DatabaseUnavailableError, StorageError
from storage.records import Association, StoredInstance

__all__ = ["ArrivalIndexer", "AssociationEnded", "Reconciler", "reconcile"]

log = logging.getLogger(__name__)

_GATHER_SECONDS = 0.25
"""How long the first event waits for others: a transaction costs 3.4 ms of CPU for one instance,
0.13 ms an instance for 64 of them and 0.05 for 256."""

_MOST_LOOKS = 4
"""So often it waits while more and more comes; the end of an association waits once."""

_BATCH = 256
"""Most events of one transaction: a commit costs one disk flush, whatever it holds."""

_RETRY_SECONDS = 1.0

_PASSED_OVER = "%s is not indexed, and tried again at the next start: %s"

_MOST_TRIES = 60
"""A file that cannot be looked at (no descriptor free, a server of files that restarts) is tried so
often, a second apart; then it is a fault."""

_MOST_PASSED_OVER = 20
"""In a row: then it is not the single event that is at fault, and the process ends with it."""

MOST_WAITING = 20_000
"""Events held in memory (about 30 MB); instances beyond them are found again from their files."""


_Item = TypeVar("_Item")


class ArrivalIndexer:
    """A thread that writes events to the index in the order in which they were put.

    With a `reconciler` it first brings the index up to date with the files, a folder at a time,
    and what arrives meanwhile is written in between. `database` may be one that was opened later
    (`Database.open_later`) and is away.
    """

    def __init__(
        self,
        database: Database,
        reconciler: Reconciler | None = None,
        ready: Callable[[], None] | None = None,
        going_back: GoingBack | None = None,
    ) -> None:
        """`ready` is done first, again and again until it raises nothing: it sees to it that the
        database is this node's own. `going_back`: asked whether rows are missing again."""
        self._database = database
        self._going_back = going_back
        self._ready = ready
        self._reconciler = reconciler
        self._is_there = None if reconciler is None else reconciler.is_there
        self._own: set[str] | None = None if reconciler is None else set()
        self._left_to_files = False
        self.begun = False
        """Whether the database is known to be this node's own."""
        self._away = False
        self._passed_over = 0
        self._an_end_waits = False
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=ends_process_on_fault(self._run), name="arrival-indexer"
        )

    def start(self) -> None:
        self._thread.start()

    def put(self, event: Event) -> None:
        """Never waits: the C-STORE response does not depend on the database."""
        own = self._own
        if own is not None and isinstance(event, Association):
            own.add(event.association_id)  # before its first file is there
        if isinstance(event, StoredInstance) and self._events.qsize() >= MOST_WAITING:
            self._left_to_files = self._reconciler is not None
            if self._left_to_files:
                return
        self._events.put(event)
        self._an_end_waits |= isinstance(event, AssociationEnded)

    @property
    def caught_up(self) -> bool:
        """Whether the files that were there at the start are in the index."""
        return self._own is None

    def close(self, timeout: float) -> bool:
        """Write what was put and end. False when the database did not take it in time.

        Nothing is lost then either: the files are there, and the next start finds them.
        """
        self._closing.set()
        self._events.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        if self._ready is not None and not self._attempt(self._begin):
            return
        self.begun = True
        self._look_back()
        if self._reconciler is not None:
            self._attempt(self._reconciler.end_lost_associations)
            self._reconcile(self._reconciler, own=frozenset() if self._own is None else self._own)
            self._own = None
            self._catch_up()
        while (batch := self._next_batch()) is not None:
            if batch and not self._each_if_not_all(self._write, batch):
                log.error("the database is away: %d events stay in the files", len(batch))
                return
            self._look_back()
            self._catch_up()

    def _look_back(self) -> None:
        """Where the database has gone back in time, all files are looked through again."""
        gone_back: list[bool] = []
        asked, reconciler = self._going_back, self._reconciler
        if asked is None or reconciler is None:
            return
        if self._attempt(lambda: gone_back.append(asked.has_happened())) and gone_back[-1]:
            self._reconcile(reconciler, own=frozenset())

    def _catch_up(self) -> None:
        """Once memory is empty again, index what it had no room for."""
        while self._left_to_files and self._reconciler is not None and self._events.empty():
            self._left_to_files = False
            self._reconcile(self._reconciler, own=frozenset())

    def _begin(self) -> None:
        """What keeps the node from using this database is as good as an outage: the files stay."""
        try:
            if self._ready is not None:
                self._ready()
        except (ConfigurationError, StorageError) as error:
            raise DatabaseUnavailableError("not to be used", str(error)) from error

    def _reconcile(self, reconciler: Reconciler, own: Container[str]) -> None:
        """Own associations are open, and their events wait here: they are left to these."""
        for paths in reconciler.chunks():
            work = partial(reconciler.index, own=own)
            if not self._each_if_not_all(work, paths) or self._closing.is_set():
                return
            while not self._events.empty() and not self._closing.is_set():
                batch = self._next_batch()
                if batch is None or not self._each_if_not_all(self._write, batch):
                    return
        reconciler.tell()

    def _each_if_not_all(self, work: Callable[[list[_Item]], None], items: list[_Item]) -> bool:
        """Do it for all at once or, where that is at fault, for each: what is at fault by itself
        is told and passed over. False when asked to end instead."""
        try:
            return self._attempt(partial(work, items))
        except Exception:
            log.warning("%d together cannot be indexed", len(items), exc_info=True)
        return all(self._attempt(partial(self._or_pass_over, work, item)) for item in items)

    def _or_pass_over(self, work: Callable[[list[_Item]], None], item: _Item) -> None:
        try:
            work([item])
        except (DatabaseUnavailableError, MemoryError):
            raise
        except OSError as error:
            log.error(_PASSED_OVER, _named(item), error.strerror)
        except Exception as error:
            self._passed_over += 1
            if self._passed_over >= _MOST_PASSED_OVER:
                raise
            log.exception(_PASSED_OVER, _named(item), type(error).__name__)
        else:
            self._passed_over = 0

    def _attempt(self, work: Callable[[], object]) -> bool:
        """Do it, again and again while the database is away; False when asked to end instead.

        An outage is told once, and once its end. Faults are raised.
        """
        tries = 0
        while True:
            tries += 1
            try:
                work()
            except (DatabaseUnavailableError, OSError) as error:
                if isinstance(error, OSError) and tries >= _MOST_TRIES:
                    raise
                if not self._away:
                    log.warning("the index waits: %s", error)
                self._away = True
            else:
                if self._away:
                    log.info("the index is written again")
                self._away = False
                return True
            if self._closing.wait(_RETRY_SECONDS):
                return False

    def _next_batch(self) -> list[Event] | None:
        """The events that wait, none after a while without any; None after `close`."""
        try:
            first = self._events.get(timeout=None if self._going_back is None else LOOK_SECONDS)
        except queue.Empty:
            return []
        if first is None:
            return None
        self._gather(isinstance(first, AssociationEnded))
        batch = [first]
        while len(batch) < _BATCH and not self._events.empty():
            event = self._events.get()
            if event is None:
                self._events.put(None)
                break
            batch.append(event)
        return batch

    def _gather(self, ends: bool) -> None:
        """Wait for others: once, or until nothing more comes, an association ends or many wait."""
        seen = 0
        for _ in range(_MOST_LOOKS):
            self._closing.wait(_GATHER_SECONDS)
            waiting = self._events.qsize()
            if ends or self._an_end_waits or waiting == seen or waiting >= _BATCH:
                break
            seen = waiting
        self._an_end_waits = False

    def _write(self, batch: list[Event]) -> None:
        with self._database.write() as session:
            record(session, batch, self._is_there)
        if self._going_back is not None:
            self._going_back.note(batch)
        INSTANCES_NOT_INDEXED.set(self._events.qsize())


def _named(item: object) -> str:
    """Which event or file, without any value that a data set brought."""
    if isinstance(item, StoredInstance):
        return f"instance file {item.path}"
    if isinstance(item, (Association, AssociationEnded)):
        return f"association {item.association_id}"
    return f"instance file {item}"
