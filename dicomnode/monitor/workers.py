"""Beside the workers of a host that has nothing else of a node, in its first process.

It tells the others that it lives, clears copies, sends its audit trail on; and, if that is wished,
ends when nothing is left to analyse.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from socket import gethostname

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dicomnode.clock import clock_of
from dicomnode.config.settings import Settings
from dicomnode.data_directory.sealer import Sealer
from dicomnode.monitor.alive import Alive
from dicomnode.monitor.loops import END_SECONDS, Loop, Station, begin
from dicomnode.monitor.records import sending_trail
from storage import nodes, worker_queue
from storage.database import Database
from storage.errors import StorageError
from storage.jobs import hand_back_owned
from storage.overview_records import Node
from storage.statements import moment

log = logging.getLogger(__name__)

_ALIVE_SECONDS = 5.0
_CLEAR_SECONDS = 60.0
_EMPTY_SECONDS = 1.0
_SLACK_SECONDS = 2.0


class WorkersAlive(Alive):
    """As of a node; but a host of workers that is not heard of for long is struck off, and joins
    again where it goes on."""

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._own: Node | None = None
        self._workers = station.settings.inference.workers

    def _tell(self, session: Session, now: datetime) -> None:
        node_id = self._station.node_id
        known, own = nodes.tell_alive(session, node_id, now), self._own
        if not known and own is not None:  # else it has not joined yet, and may not
            nodes.join(session, node_id, gethostname(), True, now, self._workers, receives=False)
            if own.memory_bytes is not None:
                can = own.capabilities.split()
                nodes.tell_workers(session, node_id, can, own.memory_bytes)
        self._own = nodes.find(session, node_id)


class Emptiness:
    """Ends the process when nothing is left for its workers.

    What others hold may come back: whoever holds it is waited for as long as a lease lasts, after
    which it is claimed by somebody, or held by one who lives.
    """

    def __init__(self, station: Station) -> None:
        self._station = station
        self._patience = station.settings.inference.lease_seconds + _SLACK_SECONDS
        self._nothing_since: float | None = None

    def look(self) -> None:
        """
        Raises:
            DatabaseUnavailableError
        """
        station = self._station
        now, seconds = station.clock.now(), station.clock.seconds()
        with station.database.read() as session:
            node = nodes.find(session, station.node_id)
            if node is None or node.memory_bytes is None:
                return  # no worker has loaded its models yet
            can = {"", *node.capabilities.split()}
            left = worker_queue.left_to_analyse(
                session, station.node_id, now, can, node.memory_bytes
            )
        if left.own:
            self._nothing_since = None
            return
        if self._nothing_since is None:
            self._nothing_since = seconds
        if not left.others or seconds - self._nothing_since > self._patience:
            log.info("nothing is left to analyse here")
            station.stop.set()


class _Clearing:
    def __init__(self, station: Station) -> None:
        self._station = station
        self._sealer = Sealer(station.settings, station.database, station.node_id)

    def look(self) -> None:
        if gone := self._sealer.clear(self._station.clock.now()):
            log.info("%d MiB of copies removed", gone >> 20)


@contextmanager
def looked_after(
    settings: Settings, node_id: str, stop: threading.Event, *, until_empty: bool
) -> Iterator[None]:
    """Around the supervisor of these workers; the others are told when it has ended."""
    database = Database.open_later(settings.database_url)
    clock = clock_of(database, waits=False)
    station = Station(settings, f"{node_id}/host/0/", stop, database, clock)
    loops = [
        Loop("telling that these workers live", WorkersAlive(station).look, _ALIVE_SECONDS),
        Loop("clearing copies", _Clearing(station).look, _CLEAR_SECONDS),
        sending_trail(station),
    ]
    if until_empty:
        loops.append(Loop("seeing what is left", Emptiness(station).look, _EMPTY_SECONDS))
    threads = begin(loops, stop)
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(END_SECONDS)
        _leave(database, node_id)


def _leave(database: Database, node_id: str) -> None:
    """Where the database is away the others miss these workers, for a while."""
    with suppress(StorageError, SQLAlchemyError, OSError), database.write() as session:
        hand_back_owned(session, f"{node_id}/", moment(session))
        nodes.leave(session, node_id)
