"""Putting jobs into the queue, each once, and taking back what a late instance made pointless."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from storage.jobs import FREE, SUPERSEDED
from storage.models import ANY_ANALYSE, OPEN_ASSESS, OPEN_FETCH, JobRow
from storage.placing import place_of_series
from storage.records import NO_NEEDS, JobKind, JobState, Needs
from storage.statements import insert_into


def ensure_assess(session: Session, series_key: str, priority: int, now: datetime) -> None:
    """See to it that exactly one open ASSESS job looks at the series, at least as urgent."""
    statement = insert_into(session, JobRow).values(
        _new_job(JobKind.ASSESS, series_key, priority, now)
    )
    key = [JobRow.series_key]
    session.execute(
        statement.on_conflict_do_update(
            index_elements=key,
            index_where=text(OPEN_ASSESS),
            set_={"priority": priority},
            where=JobRow.priority > priority,
        )
    )


def wake_assess(session: Session, series_keys: Sequence[str], now: datetime) -> None:
    """Make queued ASSESS jobs of these series due at `now`, if they would wait longer."""
    for uid in sorted(series_keys):
        session.execute(
            update(JobRow)
            .where(
                JobRow.series_key == uid,
                JobRow.kind == JobKind.ASSESS,
                JobRow.state == JobState.QUEUED,
                JobRow.not_before > now,
            )
            .values(not_before=now)
        )


def enqueue_analyse(
    session: Session,
    series_key: str,
    *,
    input_digest: str,
    model_digest: str,
    priority: int,
    now: datetime,
    needs: Needs = NO_NEEDS,
) -> None:
    """Have one ANALYSE job for this input and model; one that has ended is begun anew."""
    new = _new_job(JobKind.ANALYSE, series_key, priority, now)
    new |= {"input_digest": input_digest, "model_digest": model_digest}
    new |= {"capability": needs.capability, "memory_bytes": needs.memory_bytes}
    anew = {name: value for name, value in new.items() if name != "series_key"}
    session.execute(
        insert_into(session, JobRow)
        .values(new)
        .on_conflict_do_update(
            index_elements=["series_key", "input_digest", "model_digest"],
            index_where=text(ANY_ANALYSE),
            set_=anew | FREE | {"owner": None, "error": None, "ended_at": None, "started_at": None},
            where=JobRow.state.not_in([JobState.QUEUED, JobState.RUNNING]),
        )
    )


def enqueue_fetch(session: Session, series_key: str, priority: int, now: datetime) -> None:
    """See to it that one open FETCH job has the series sent again; any node may claim it."""
    new = _new_job(JobKind.FETCH, series_key, priority, now) | {"node_id": None}
    statement = insert_into(session, JobRow).values(new)
    session.execute(
        statement.on_conflict_do_nothing(
            index_elements=[JobRow.series_key], index_where=text(OPEN_FETCH)
        )
    )


def supersede_analyses(session: Session, series_key: str, now: datetime) -> None:
    """End the queued ANALYSE jobs of a series; a running one is refused when it wants to write."""
    session.execute(
        update(JobRow)
        .where(
            JobRow.series_key == series_key,
            JobRow.kind == JobKind.ANALYSE,
            JobRow.state == JobState.QUEUED,
        )
        .values(state=JobState.DONE, ended_at=now, error=SUPERSEDED)
    )


def _new_job(kind: JobKind, series_uid: str, priority: int, now: datetime) -> dict[str, Any]:
    return {
        "kind": kind,
        "state": JobState.QUEUED,
        "series_key": series_uid,
        "input_digest": "",
        "model_digest": "",
        "priority": priority,
        "attempt": 0,
        "node_id": place_of_series(series_uid),
        "created_at": now,
        "not_before": now,
    }
