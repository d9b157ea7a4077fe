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
from dicomnode.errors import ConfigurationError
from dicomnode.monitor.alive import Alive
from dicomnode.monitor.loops import END_SECONDS, Loop, Station, begin
from dicomnode.monitor.records import sending_trail
from storage import incarnations, nodes, worker_queue
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
        node_id, mark = self._station.node_id, self._pulse.next()
        known, own = nodes.tell_alive(session, node_id, now, mark), self._own
        if not known and own is not None:  # else it has not joined yet, and may not
            nodes.join(session, node_id, gethostname(), True, now, self._workers, receives=False)
            if own.memory_bytes is not None:
                can = own.capabilities.split()
                nodes.tell_workers(session, node_id, can, own.memory_bytes)
                has, digest = own.equipment or {}, own.equipment_digest
                nodes.tell_equipment(session, node_id, has, digest, receives=False)
            incarnations.sign(session, node_id, mark)
        self._own = nodes.find(session, node_id)


class Emptiness:
    """Ends the process when nothing is left for its workers.

    What others hold may come back: whoever holds it is waited for as long as a lease lasts, after
    which it is claimed by somebody, or held by one who lives. What is still received, not decided
    yet or not sealed yet is waited for too, for `most_seconds` on end in which there is nothing to
    do here.
    """

    def __init__(self, station: Station, most_seconds: float) -> None:
        self._station, self._most = station, most_seconds
        self._patience = station.settings.inference.lease_seconds + _SLACK_SECONDS
        self._nothing_since: float | None = None
        self._waits = False

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
                session,
                station.node_id,
                now,
                can,
                node.memory_bytes,
                node.equipment_digest or None,
            )
        if left.own:
            self._nothing_since, self._waits = None, False
            return
        if self._nothing_since is None:
            self._nothing_since = seconds
        idle = seconds - self._nothing_since
        if left.coming and idle < self._most:
            self._tell_waiting()
        elif not left.others or idle > self._patience:
            why = ", though series are not decided yet" if left.coming else ""
            log.info("nothing is left to analyse here%s", why)
            station.stop.set()

    def _tell_waiting(self) -> None:
        if not self._waits:
            log.info("waits for series that are not decided yet, %.0f s at most", self._most)
        self._waits = True


class _Clearing:
    def __init__(self, station: Station) -> None:
        self._station = station
        self._sealer = Sealer(station.settings, station.database, station.node_id)

    def look(self) -> None:
        if gone := self._sealer.clear(self._station.clock.now()):
            log.info("%d MiB of copies removed", gone >> 20)


@contextmanager
def looked_after(
    settings: Settings, node_id: str, stop: threading.Event, until_empty: float | None
) -> Iterator[None]:
    """Around the supervisor of these workers; the others are told when it has ended. `until_empty`:
    they end when nothing is left, and what comes is waited for so many seconds; None: they do not.

    Raises:
        ConfigurationError: it had to, as another host is this one too.
    """
    database = Database.open_later(settings.database_url)
    clock = clock_of(database, waits=False)
    station = Station(settings, f"{node_id}/host/0/", stop, database, clock)
    loops = [
        Loop("telling that these workers live", WorkersAlive(station).look, _ALIVE_SECONDS),
        Loop("clearing copies", _Clearing(station).look, _CLEAR_SECONDS),
        sending_trail(station),
    ]
    if until_empty is not None:
        emptiness = Emptiness(station, until_empty)
        loops.append(Loop("seeing what is left", emptiness.look, _EMPTY_SECONDS))
    threads = begin(loops, stop)
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(END_SECONDS)
        if not station.outlook.must_end:
            _leave(database, node_id)
    if station.outlook.must_end:
        raise ConfigurationError(station.outlook.must_end)


def _leave(database: Database, node_id: str) -> None:
    """Where the database is away the others miss these workers, for a while."""
    with suppress(StorageError, SQLAlchemyError, OSError), database.write() as session:
        hand_back_owned(session, f"{node_id}/", moment(session))
        nodes.leave(session, node_id)
