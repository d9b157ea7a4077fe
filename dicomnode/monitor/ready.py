"""The loop that looks whether the node is ready: often, as balancers go by it."""

from __future__ import annotations

from dicomnode.decisions.operating.judge import not_ready
from dicomnode.health.collector import Collector
from dicomnode.monitor.loops import Loop, Readiness, Station

_LOOK_SECONDS = 0.5


class ReadinessWatch:
    """Looks at what it takes to receive, and keeps what it saw."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._collector = Collector(station.settings, station.database, station.clock)

    def look(self) -> None:
        reasons = not_ready(self._collector.collect_briefly())
        self._station.outlook.readiness = Readiness(reasons, self._station.clock.seconds())


def watching_readiness(station: Station) -> Loop:
    return Loop("seeing whether it is ready", ReadinessWatch(station).look, _LOOK_SECONDS)
