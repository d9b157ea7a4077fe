"""Troubles of hosts that work on one database, and analyse with different models or settings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.troubles import Severity, Trouble
from storage.overview_records import Node

_SAME = "give all the same release, bundles and configuration, and start them again"


def equipment_troubles(facts: Facts, _policy: HealthPolicy, _now: datetime) -> Iterator[Trouble]:
    told = [each for each in facts.work.nodes if each.left_at is None and each.equipment]
    deciding = [each for each in told if each.receives]
    for each in odd_workers(told):
        differs = difference(each, deciding[0])
        text = f"the workers of {each.name} analyse nothing: they have other than the nodes have"
        name = f"other_equipment:{each.node_id}"
        yield Trouble(name, Severity.WARNING, f"{text} ({differs})", _SAME)
    for other in deciding[1:]:
        if other.equipment_digest != deciding[0].equipment_digest:
            both = f"the nodes {deciding[0].name} and {other.name} do not analyse with the same"
            text = f"{both}: the workers of each leave alone what the other decided"
            differs = difference(deciding[0], other)
            name = f"other_equipment:{other.node_id}"
            yield Trouble(name, Severity.WARNING, f"{text} ({differs})", _SAME)


def odd_workers(nodes: Collection[Node]) -> Sequence[Node]:
    """Hosts of workers alone that are heard of, and have what no node that is decides with."""
    heard = [each for each in nodes if each.left_at is None and each.equipment_digest]
    asked = {each.equipment_digest for each in heard if each.receives}
    alone = [each for each in heard if not each.receives]
    return [each for each in alone if asked and each.equipment_digest not in asked]


def difference(one: Node, other: Node) -> str:
    """In which parts of their equipment two hosts differ, with the words of each."""
    ours, theirs = _parts(one), _parts(other)
    named = sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))
    return "; ".join(_differs(key, ours, theirs, one.name, other.name) for key in named)


def _parts(node: Node) -> dict[str, str]:
    return dict(node.equipment or {})


def _differs(
    key: str, ours: Mapping[str, str], theirs: Mapping[str, str], one: str, other: str
) -> str:
    if key.startswith("["):  # digests say nothing to a reader
        return key
    words = f"{ours.get(key) or 'none'} on {one}, {theirs.get(key) or 'none'} on {other}"
    return f"{key}: {words}"
