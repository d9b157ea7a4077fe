"""Troubles of a database that nodes share: one is lost, or runs twice, or all become slow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.decisions.operating.wording import duration

_TOLD_FOR = timedelta(hours=1)
"""So long after the other of two hosts has ended that are one node: it may be started again."""


def lost_node_troubles(facts: Facts, _policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    for each in facts.work.nodes:
        if each.left_at is None:
            continue
        name = each.name or each.node_id
        text = f"the node {name} has not been heard of for {duration(now - each.heard_at)}"
        forget = f"dicomnode database forget {each.node_id}"
        remedy = (
            "start it again; the others go on with what it did not have alone; where it never "
            f"comes back: {forget}"
        )
        yield Trouble(f"node_lost:{each.node_id}", Severity.ERROR, text, remedy, each.left_at)


def twice_troubles(facts: Facts, _policy: HealthPolicy, now: datetime) -> Iterator[Trouble]:
    for each in facts.work.nodes:
        if each.twice_at is None or now - each.twice_at > _TOLD_FOR:
            continue
        name = each.name or each.node_id
        text = (
            f"two hosts are the node {each.node_id}: {name}, and {each.twice_on}, which has ended "
            f"for it {duration(now - each.twice_at)} ago"
        )
        remedy = (
            "one is a copy of the other (a cloned machine, a copied data directory): end one of "
            "them for good; a host that is to work beside the other needs an empty [node] "
            "data_directory"
        )
        yield Trouble(f"node_twice:{each.node_id}", Severity.ERROR, text, remedy)


def strain_troubles(facts: Facts, policy: HealthPolicy, _now: datetime) -> Iterator[Trouble]:
    strain = facts.work.strain
    if strain.transaction_seconds > policy.transaction_seconds:
        text = f"a transaction on the database is open for {strain.transaction_seconds:.0f} s"
        remedy = "see pg_stat_activity, and end it: meanwhile every claim of work becomes slower"
        yield Trouble("transaction_old", Severity.WARNING, text, remedy)
    for each in strain.dead_rows:
        if each.dead > max(policy.dead_rows, each.live):
            text = f"the table {each.table} has {each.dead} dead rows beside {each.live} in use"
            remedy = f"end old transactions, and see that autovacuum runs; VACUUM {each.table}"
            yield Trouble(f"dead_rows:{each.table}", Severity.WARNING, text, remedy)
