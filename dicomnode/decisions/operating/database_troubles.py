"""Troubles of a database that several nodes share: a node is lost, or all become slow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from dicomnode.decisions.operating.facts import Facts
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.troubles import Severity, Trouble
from dicomnode.decisions.operating.wording import duration


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
