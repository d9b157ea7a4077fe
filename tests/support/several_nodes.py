"""Two nodes on one database, as its rows tell of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import update

from storage.database import Database
from storage.jobs import claim
from storage.models import InstanceRow, JobRow
from storage.nodes import join
from storage.records import Job, JobKind, StoredInstance
from support.storage_samples import LEASE, NOW, seconds

A, B = "a" * 32, "b" * 32


def at(node: str, *instances: StoredInstance) -> tuple[StoredInstance, ...]:
    """As that node received them."""
    return tuple(replace(each, node_id=node) for each in instances)


def share(database: Database, *nodes: str, shares: bool = True) -> None:
    with database.write() as session:
        for number, each in enumerate(nodes or (A, B)):
            join(session, each, f"host-{number}", shares, NOW + seconds(number))


def take(database: Database, node: str, kind: JobKind, now: datetime = NOW) -> Job | None:
    with database.write() as session:
        return claim(session, [kind], f"{node}/w/1/", now, LEASE)


def seal(database: Database, node: str) -> None:
    """As whoever puts what a node has into the object store does."""
    with database.write() as session:
        own = update(InstanceRow).where(InstanceRow.node_id == node)
        session.execute(own.values(object_name="series/x", object_offset=0))
        session.execute(update(JobRow).where(JobRow.state == "queued").values(node_id=None))
