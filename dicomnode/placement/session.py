"""One connection with a Ray cluster, a process of its own; it ends when the cluster is gone.

Ray ends the process of who was connected when the head does not come back, or lets it wait for
minutes; and who was connected once cannot be connected anew. So this process ends as soon as the
head does not answer, and `sessions` begins another.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from dicomnode.clock import Clock, clock_of
from dicomnode.config.reading import load_settings
from dicomnode.decisions.placement import Bounds
from dicomnode.errors import ConfigurationError, PeerError
from dicomnode.lifecycle import (
    Outage,
    block_stop_signals,
    ends_process_on_fault,
    stop_on_request,
    tells_what_can_be_mended,
)
from dicomnode.logs import set_up_logging
from dicomnode.placement.authentication import check_authentication
from dicomnode.placement.host import Order
from dicomnode.placement.placer import Placer
from storage.database import Database
from storage.overview import waiting_analyses
from storage.overview_records import Waiting

log = logging.getLogger(__name__)

EXIT_GONE = 75
"""The cluster does not answer, or not any more: another session may find it again."""

_LOOK_SECONDS = 1.0
_MOST_COUNTED = 1000
_ASK_SECONDS = 2.0
_SILENT_SECONDS = 6.0
"""A head that is begun anew at once, with a memory of before, is not gone."""

_STUCK_SECONDS = 90.0
"""Of one look, or of connecting."""


@dataclass(frozen=True)
class Wish:
    """What is asked for. `address`: HOST:PORT of the cluster's head. `config`: path of the
    configuration, here and on the hosts. `open_cluster`: one without authentication will do."""

    address: str
    config: Path
    order: Order
    bounds: Bounds
    cpus: float
    gpus: float
    capabilities: tuple[str, ...]
    open_cluster: bool = False


WISH = TypeAdapter(Wish)


def main() -> None:
    """`python -m dicomnode.placement.session WISH`, as `sessions` calls it."""
    block_stop_signals()
    wish = WISH.validate_json(sys.argv[1])
    with tells_what_can_be_mended():
        settings = load_settings(wish.config)
        set_up_logging("workers", settings.log)
        stop = stop_on_request()
        with closing(Database.open_later(settings.database_url)) as database:
            hold(wish, database, stop)
    os._exit(0)  # Ray's own end may wait for a head that is gone


def hold(wish: Wish, database: Database, stop: threading.Event) -> None:
    """Place workers until `stop`; the process ends when the cluster is gone.

    Raises:
        ConfigurationError: the cluster lets anybody in.
    """
    alive = Alive(wish.address)
    alive.watch(stop)
    try:
        if not wish.open_cluster:
            check_authentication(wish.address)
        from dicomnode.placement.ray_cluster import RayCluster, identity_of

        cluster = RayCluster(wish.address, wish.order, wish.cpus, wish.gpus)
    except RuntimeError as error:  # a version that does not fit
        raise ConfigurationError(f"the Ray cluster at {wish.address}: {error}") from error
    except (ConnectionError, PeerError) as error:
        log.warning("no connection with the Ray cluster: %s", error)
        os._exit(EXIT_GONE)
    alive.connected(lambda: identity_of(wish.address))
    log.info("connected with the Ray cluster at %s", wish.address)
    placer = Placer(cluster, _reader(wish, database), wish.bounds)
    while not stop.wait(_LOOK_SECONDS):
        placer.look()
        alive.looked()
    cluster.stop()


def _reader(wish: Wish, database: Database) -> Callable[[], Waiting | None]:
    clock, outage = clock_of(database, waits=False), Outage("looking at the queue")

    def read() -> Waiting | None:
        found: list[Waiting] = []
        with outage.reported(), database.read() as session:
            now, most = clock.now(), _MOST_COUNTED
            found.append(waiting_analyses(session, wish.capabilities, now, most))
        return found[0] if found else None

    return read


class Alive:
    """Sees from outside of Ray whether the head is there, and this process gets on.

    Ray itself waits for a head that is gone, for up to minutes, in calls that do not return.
    """

    def __init__(self, address: str, clock: Clock | None = None) -> None:
        host, _, port = address.rpartition(":")
        self._place, self._clock = (host, int(port)), clock or Clock()
        self._answered = self._looked = self._clock.seconds()
        self._ask: Callable[[], str] = str
        self._identity = ""

    def connected(self, ask: Callable[[], str]) -> None:
        """From here on it is to be this cluster. `ask`: which one answers now."""
        self._identity, self._ask = ask(), ask
        self.looked()

    def looked(self) -> None:
        """The placer has had its look."""
        self._looked = self._clock.seconds()

    def watch(self, stop: threading.Event) -> None:
        """In a thread; it ends the process."""
        threading.Thread(target=ends_process_on_fault(self._run), args=(stop,), daemon=True).start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(_ASK_SECONDS):
            if why := self.fault():
                log.warning("the Ray cluster is gone: %s", why)
                logging.shutdown()
                os._exit(EXIT_GONE)

    def fault(self) -> str:
        """Why the cluster counts as gone; empty where it does not."""
        try:
            socket.create_connection(self._place, _ASK_SECONDS).close()
            if self._ask() != self._identity:
                return "another head answers, which knows nothing of what was placed"
        except OSError as error:
            why = error.strerror or str(error) or type(error).__name__
        else:
            self._answered, why = self._clock.seconds(), ""
        now = self._clock.seconds()
        if why and now - self._answered >= _SILENT_SECONDS:
            return f"its head has not answered for {now - self._answered:.0f} s ({why})"
        if now - self._looked >= _STUCK_SECONDS:
            return f"it has not answered for {now - self._looked:.0f} s"
        return ""


if __name__ == "__main__":
    main()
