"""The role of the monitor: its loops, each in a thread of its own."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from dicomnode.clock import clock_of
from dicomnode.config.settings import Settings
from dicomnode.lifecycle import EXIT_TWICE
from dicomnode.monitor.alive import say_that_it_ends, telling_that_it_lives
from dicomnode.monitor.canary import running_the_canary
from dicomnode.monitor.http import serving
from dicomnode.monitor.loops import END_SECONDS, Loop, Station, begin
from dicomnode.monitor.ready import watching_readiness
from dicomnode.monitor.records import anchoring, sending_trail
from dicomnode.monitor.telling import telling_troubles
from dicomnode.monitor.watch import watching
from storage.database import Database

log = logging.getLogger(__name__)

LOOPS: tuple[Callable[[Station], Loop], ...] = (
    telling_that_it_lives,
    watching,
    watching_readiness,
    telling_troubles,
    serving,
    sending_trail,
    anchoring,
    running_the_canary,
)


def run(settings: Settings, owner: str, stop: threading.Event) -> None:
    """Until `stop`. It waits for no database: that one is away is what it has to tell. Where
    another host is this node too, its process ends with a status that says so."""
    database = Database.open_later(settings.database_url)
    station = Station(settings, owner, stop, database, clock_of(database, waits=False))
    loops = [make(station) for make in LOOPS]
    threads = begin(loops, stop)
    stop.wait()
    for thread in threads:
        thread.join(END_SECONDS)
    if station.outlook.must_end:
        log.critical("%s", station.outlook.must_end)
        logging.shutdown()
        os._exit(EXIT_TWICE)
    say_that_it_ends(station)
