"""The loop that looks at the node."""

from __future__ import annotations

from dataclasses import replace

from dicomnode.decisions.operating.judge import judge
from dicomnode.health.collector import Collector
from dicomnode.monitor.loops import Loop, Seen, Station


class Watch:
    """Looks at the node, and keeps what it saw for the other loops."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._collector = Collector(station.settings, station.database, station.clock)

    def look(self) -> None:
        outlook = self._station.outlook
        facts = replace(self._collector.collect(), http_fault=outlook.http_fault)
        troubles = judge(facts, self._station.settings.health, facts.at)
        outlook.seen = Seen(facts, troubles)


def watching(station: Station) -> Loop:
    return Loop("watching", Watch(station).look, station.settings.health.look_seconds)
