"""What is left of the analyses for the workers of one node."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_, select
from sqlalchemy.orm import Session

from storage.jobs import is_on_hold
from storage.models import IS_OPEN_JOB, JobRow
from storage.placing import LOST, asks_no_more, is_for, may_claim, readable
from storage.records import JobKind, JobState


@dataclass(frozen=True)
class Left:
    """`own`: there is something that a worker of this node holds, or may claim now or later.
    `others`: something that it could do is held by others. `coming`: series are not decided yet on
    nodes that are heard of, or what it could do lies with these alone yet."""

    own: bool
    others: bool = False
    coming: bool = False


def left_to_analyse(
    session: Session,
    node_id: str,
    now: datetime,
    capabilities: Collection[str],
    memory_bytes: int | None,
    equipment_digest: str | None = None,
) -> Left:
    """What is left for workers that have these; what a person keeps from going on is not, nor what
    is on nodes that are lost."""
    owner = f"{node_id}/"
    running = JobRow.state == JobState.RUNNING
    held_here = and_(running, JobRow.owner.startswith(owner, autoescape=True))
    free = or_(JobRow.state == JobState.QUEUED, JobRow.lease_until <= now)
    # in this order: what is readable is asked of those alone that nobody holds
    own = case((held_here, True), (free, _may_be_had(owner)), else_=False)
    could: tuple[Any, ...] = (
        IS_OPEN_JOB,
        JobRow.kind == JobKind.ANALYSE,
        ~is_on_hold(),
        *asks_no_more(capabilities, memory_bytes),
        *is_for(equipment_digest),
    )
    if session.scalar(select(JobRow.job_id).where(*could, own).limit(1)) is not None:
        return Left(own=True)
    undecided = (IS_OPEN_JOB, JobRow.kind == JobKind.ASSESS, ~is_on_hold(), _is_near())
    return Left(
        own=False,
        others=_any(session, *could, running, JobRow.lease_until > now),
        coming=_any(session, *could, ~running, _is_near()) or _any(session, *undecided),
    )


def _any(session: Session, *which: Any) -> bool:
    return session.scalar(select(JobRow.job_id).where(*which).limit(1)) is not None


def _is_near() -> ColumnElement[bool]:
    """Not bound to a node that is lost, which may never come back."""
    return or_(JobRow.node_id.is_(None), JobRow.node_id.not_in(LOST))


def _may_be_had(owner: str) -> ColumnElement[bool]:
    return and_(may_claim(JobRow, owner), readable(JobRow.series_key, owner))
