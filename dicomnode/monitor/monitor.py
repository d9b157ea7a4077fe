"""The role of the monitor: its loops, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dicomnode.clock import clock_of
from dicomnode.config.settings import Settings
from dicomnode.lifecycle import Outage, ends_process_on_fault, keep_looking
from dicomnode.monitor.alive import telling_that_it_lives
from dicomnode.monitor.canary import running_the_canary
from dicomnode.monitor.http import serving
from dicomnode.monitor.loops import Loop, Station
from dicomnode.monitor.records import anchoring, sending_trail
from dicomnode.monitor.telling import telling_troubles
from dicomnode.monitor.watch import watching
from storage.database import Database

LOOPS: tuple[Callable[[Station], Loop], ...] = (
    telling_that_it_lives,
    watching,
    telling_troubles,
    serving,
    sending_trail,
    anchoring,
    running_the_canary,
)

_FAULT_SECONDS = 5.0
_END_SECONDS = 5.0


def run(settings: Settings, owner: str, stop: threading.Event) -> None:
    """Until `stop`. It waits for no database: that one is away is what it has to tell."""
    database = Database.open_later(settings.database_url)
    station = Station(settings, owner, stop, database, clock_of(database, waits=False))
    loops = [make(station) for make in LOOPS]
    threads = [
        threading.Thread(target=_run, args=(loop, stop), name=loop.work, daemon=True)
        for loop in loops
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(_END_SECONDS)


@ends_process_on_fault
def _run(loop: Loop, stop: threading.Event) -> None:
    on_fault = f"{loop.work} goes on in a while"
    keep_looking(loop.look, stop, Outage(loop.work), on_fault, loop.look_seconds, _FAULT_SECONDS)
