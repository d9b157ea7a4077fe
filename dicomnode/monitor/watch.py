"""The loop that looks at the node."""

from __future__ import annotations

from dicomnode.health.collector import Collector
from dicomnode.monitor.loops import Loop, Station

_LOOK_SECONDS = 10.0


class Watch:
    """Looks at the node, and keeps what it saw for the other loops."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._collector = Collector(station.settings, station.database)

    def look(self) -> None:
        self._station.outlook.put(self._collector.collect(self._station.clock.now()))


def watching(station: Station) -> Loop:
    return Loop("watching", Watch(station).look, _LOOK_SECONDS)
