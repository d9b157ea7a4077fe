"""From facts to troubles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from dicomnode.decisions.arrival.disk import judge_disk
from dicomnode.decisions.operating.database_troubles import (
    lost_node_troubles,
    strain_troubles,
    twice_troubles,
)
from dicomnode.decisions.operating.equipment_troubles import equipment_troubles
from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.machine_troubles import (
    alert_troubles,
    blind_troubles,
    certificate_troubles,
    clock_troubles,
    database_troubles,
    disk_troubles,
    node_troubles,
    process_troubles,
)
from dicomnode.decisions.operating.peer_troubles import (
    canary_troubles,
    refusal_troubles,
    silence_troubles,
)
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.decisions.operating.wording import line
from dicomnode.decisions.operating.work_troubles import (
    destination_troubles,
    failed_troubles,
    parked_troubles,
    promise_troubles,
    queue_troubles,
    sealing_troubles,
    store_troubles,
    stuck_troubles,
)
from dicomnode.decisions.operating.worker_troubles import worker_troubles

_Judge = Callable[[Facts, HealthPolicy, datetime], Iterator[Trouble]]

KINDS: tuple[_Judge, ...] = (
    node_troubles,
    process_troubles,
    database_troubles,
    lost_node_troubles,
    twice_troubles,
    strain_troubles,
    disk_troubles,
    destination_troubles,
    parked_troubles,
    queue_troubles,
    worker_troubles,
    equipment_troubles,
    stuck_troubles,
    failed_troubles,
    canary_troubles,
    silence_troubles,
    refusal_troubles,
    promise_troubles,
    store_troubles,
    sealing_troubles,
    certificate_troubles,
    clock_troubles,
    alert_troubles,
    blind_troubles,
)


def judge(facts: Facts, policy: HealthPolicy, now: datetime) -> tuple[Trouble, ...]:
    """All that troubles the node, errors first; each name once."""
    since = {each.name: each.since for each in facts.work.noted if each.over_at is None}
    found = {
        (each := _in_lines(one)).name: replace(each, since=each.since or since.get(each.name))
        for kind in KINDS
        for one in kind(facts, policy, now)
    }
    return tuple(sorted(found.values(), key=lambda each: each.severity is not Severity.ERROR))


def _in_lines(trouble: Trouble) -> Trouble:
    """What peers and libraries say, and is quoted, may hold anything."""
    name, text, remedy = map(line, (trouble.name, trouble.text, trouble.remedy))
    return replace(trouble, name=name, text=text, remedy=remedy)


def not_ready(facts: Facts) -> tuple[str, ...]:
    """Why the node is not ready to receive; empty where it is."""
    processes = facts.node.processes if facts.node else ()
    receiving = any(each.pid is not None for each in processes if each.role.startswith("receiver"))
    policy, disk = facts.setup.disk, facts.disk
    full = disk is not None and judge_disk(disk, facts.refusing, policy).refusing
    reasons = {
        "no receiver runs": not receiving,
        f"the database does not answer: {facts.database_fault}": facts.database_fault is not None,
        f"the disk is full: {facts.disk}": full,
        "the disk is mounted read-only": facts.read_only,
    }
    return tuple(why for why, is_so in reasons.items() if is_so)
