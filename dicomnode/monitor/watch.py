"""The loop that looks at the node."""

from __future__ import annotations

from dataclasses import replace

from dicomnode.decisions.operating.facts import Facts, Work
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
        policy = self._station.settings.health
        troubles = judge(facts, policy, facts.at)
        own = troubles if self._tells_of_all(facts) else judge(_own(facts), policy, facts.at)
        outlook.seen = Seen(facts, troubles, own)

    def _tells_of_all(self, facts: Facts) -> bool:
        """Of what the nodes of one database share, the first of them that lives tells."""
        nodes = (each for each in facts.work.nodes if each.receives)
        heard = [each.node_id for each in nodes if each.left_at is None]
        return self._station.node_id in heard[:1] or not heard


def _own(facts: Facts) -> Facts:
    return replace(facts, work=Work(canary=facts.work.canary, noted=facts.work.noted))


def watching(station: Station) -> Loop:
    return Loop("watching", Watch(station).look, station.settings.health.look_seconds)
