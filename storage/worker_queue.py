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
from storage.placing import asks_no_more, may_claim, readable
from storage.records import JobKind, JobState


@dataclass(frozen=True)
class Left:
    """`own`: there is something that a worker of this node holds, or may claim now or later.
    `others`: something that it could do is held by others, or lies with them alone yet."""

    own: bool
    others: bool


def left_to_analyse(
    session: Session,
    node_id: str,
    now: datetime,
    capabilities: Collection[str],
    memory_bytes: int | None,
) -> Left:
    """What is left for workers that have these; what a person keeps from going on is not."""
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
    )
    is_own = session.scalar(select(JobRow.job_id).where(*could, own).limit(1)) is not None
    is_any = session.scalar(select(JobRow.job_id).where(*could).limit(1)) is not None
    return Left(is_own, is_any and not is_own)


def _may_be_had(owner: str) -> ColumnElement[bool]:
    return and_(may_claim(JobRow, owner), readable(JobRow.series_key, owner))
