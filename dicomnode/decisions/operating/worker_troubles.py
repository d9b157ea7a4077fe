"""Troubles of what waits for a worker that is not there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.decisions.operating.wording import duration
from dicomnode.decisions.wording import how_many
from storage.overview_records import NeedsWaiting, Node
from storage.records import Needs

_PATIENCE = timedelta(minutes=1)
"""So long a worker may take to be started, or started again, before its lack is told."""

_GIB = 1 << 30
_ANY, _MEMORY, _EQUIPMENT = "any", "memory", "equipment"


@dataclass(frozen=True)
class Lack:
    """What no worker that lives has: `about` it in a word, in a sentence, and what to do."""

    about: str
    text: str
    remedy: str


def lack_of(needs: Needs, workers: Collection[Node] | None) -> Lack | None:
    """What of this no living worker has; None where one has all of it, or nothing is known."""
    if workers is None:
        return None
    if not workers:
        remedy = "set [inference] workers, or on a host for them: dicomnode worker"
        return Lack(_ANY, "no worker lives", remedy)
    able = [each for each in workers if _has(each, needs.capability)]
    if not able:
        text = f"no worker that lives has {needs.capability}"
        start = f"start one where it is: dicomnode worker --capability {needs.capability}"
        return Lack(needs.capability, text, f"{start}; or change [inference] needs for later ones")
    most = max(able, key=_memory)
    if _memory(most) < needs.memory_bytes:
        wanted, there = (each / _GIB for each in (needs.memory_bytes, _memory(most)))
        text = f"about {wanted:.1f} GiB are wanted, and no such worker that lives has over"
        remedy = "start one on a larger host: dicomnode worker; or raise [inference] memory_gib"
        return Lack(_MEMORY, f"{text} {there:.1f}", remedy)
    return None


def unlike(equipment_digest: str, nodes: Collection[Node]) -> Lack | None:
    """That an analysis waits for an equipment which a node that is heard of decides with, and no
    worker has; None where one has it, has not told yet, or nothing is known."""
    heard = [each for each in nodes if each.left_at is None and each.shares]
    asked = {each.equipment_digest for each in heard if each.receives} - {""}
    able = any(each.workers and each.equipment_digest in ("", equipment_digest) for each in heard)
    if able or equipment_digest not in asked:
        return None
    text = "no worker that lives has the release, models and settings that it was decided with"
    return Lack(_EQUIPMENT, text, "dicomnode status tells in what they differ: give all the same")


def _has(node: Node, capability: str) -> bool:
    """One that has not told yet what it has may have anything."""
    return node.memory_bytes is None or capability in ("", *node.capabilities.split())


def _memory(node: Node) -> float:
    return float("inf") if node.memory_bytes is None else node.memory_bytes


def worker_troubles(facts: Facts, _policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    lacks: dict[str, tuple[Lack, list[NeedsWaiting]]] = {}
    for each in facts.work.waiting:
        lack = lack_of(each.needs, facts.work.workers)
        if lack is not None:
            lacks.setdefault(lack.about, (lack, []))[1].append(each)
    for lack, waiting in lacks.values():
        oldest = min(each.oldest_due_at for each in waiting)
        if now - oldest > _PATIENCE:
            count = how_many(sum(each.count for each in waiting), "series")
            text = f"{lack.text}: {count} cannot be analysed, one for {duration(now - oldest)}"
            name = f"no_worker:{lack.about}"
            yield Trouble(name, Severity.ERROR, text, lack.remedy, oldest)
