"""Decisions about a series and their outcome, each in one transaction with its job.

Every function here asks two things first. Does the worker still hold its lease? If not,
LeaseLostError ends it. Has the input stayed as it was when the worker looked? If not, nothing is
kept and a Superseded comes back: an ASSESS job is queued again, as instances came after its
claim; an ANALYSE job ends, as the series waits for a new decision. So no result about an
outdated input ever reaches the outbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from storage import jobs
from storage.decided import JsonObject, Reason, SeriesEvidence, with_later
from storage.enqueue import enqueue_analyse, supersede_analyses
from storage.models import SeriesRow
from storage.outbox import DestinationsOf, enter_results
from storage.records import (
    NO_NEEDS,
    Job,
    JobKind,
    Needs,
    ResultRecord,
    SeriesState,
    Superseded,
)
from storage.statements import lock_series


def record_skipped(
    session: Session,
    job: Job,
    *,
    decided_at: datetime,
    input_digest: str,
    completeness: SeriesEvidence,
    reasons: Sequence[Reason],
) -> Superseded | None:
    """The series is not eligible, for these reasons; ends its ASSESS job."""
    series = _unchanged(session, job, decided_at)
    if isinstance(series, Superseded):
        return series
    _decide(
        series,
        state=SeriesState.SKIPPED,
        decided_at=decided_at,
        input_digest=input_digest,
        completeness=completeness,
        reasons=reasons,
    )
    series.ended_at = decided_at
    jobs.withhold(session, series.series_key)
    jobs.finish(session, job, decided_at)
    return None


def record_queued(
    session: Session,
    job: Job,
    *,
    decided_at: datetime,
    input_digest: str,
    completeness: SeriesEvidence,
    reasons: Sequence[Reason],
    model_digest: str,
    priority: int,
    needs: Needs = NO_NEEDS,
) -> Superseded | None:
    """The series is to be analysed; ends its ASSESS job and queues its ANALYSE job once, for a
    worker that has what it `needs`."""
    series = _unchanged(session, job, decided_at)
    if isinstance(series, Superseded):
        return series
    _decide(
        series,
        state=SeriesState.QUEUED,
        decided_at=decided_at,
        input_digest=input_digest,
        completeness=completeness,
        reasons=reasons,
    )
    series.priority = urgency = min(priority, series.priority)  # it may have been put first since
    uid = series.series_key
    jobs.withhold(session, uid)
    jobs.finish(session, job, decided_at)
    supersede_analyses(session, uid, decided_at)
    digests = {"input_digest": input_digest, "model_digest": model_digest}
    enqueue_analyse(session, uid, **digests, priority=urgency, now=decided_at, needs=needs)
    return None


def record_analysed(
    session: Session,
    job: Job,
    *,
    ended_at: datetime,
    analysis: JsonObject,
    results: Sequence[ResultRecord],
    reasons: Sequence[Reason] = (),
    destinations: DestinationsOf,
    only_to: str | None = None,
) -> Superseded | None:
    """The analysis is done: its results go into the outbox for their destinations; ends its job.

    The files of `results` are durable already. When a Superseded comes back, no row refers to
    them and the caller may remove them. `only_to`: of the series as `destinations` were chosen by;
    where it was a campaign's then and is clinical now, the job waits again.
    """
    series = _unchanged(session, job, ended_at)
    if isinstance(series, Superseded):
        return series
    if series.only_to != only_to:
        jobs.put_back(session, job, ended_at, count_attempt=False)
        return Superseded(series.series_key, series.state)
    series.state = SeriesState.ANALYSED
    series.ended_at = ended_at
    series.analysis = analysis
    series.reasons = with_later(series.reasons, reasons)
    jobs.finish(session, job, ended_at)
    enter_results(session, results, destinations, series.priority, ended_at)
    return None


def note_waiting(
    session: Session,
    job: Job,
    *,
    due: datetime,
    now: datetime,
    completeness: SeriesEvidence | None,
    error: str | None = None,
) -> Superseded | None:
    """The series waits, for instances or for others of its study: looked at again when `due`.

    How long it has been eligible stays known where `completeness` does not say; all that was noted
    before stays where that is None. `error`: why it could not be looked at. A series that is
    decided waits, with its decision, until what came again of it is all there.
    """
    if lock_series(session, job.series_key).state is not SeriesState.RECEIVING:
        jobs.wait(session, job, due, error)
        return None
    series = _unchanged(session, job, now)
    if isinstance(series, Superseded):
        return series
    if completeness is not None:
        former = series.completeness and series.completeness.eligible_since
        since = completeness.eligible_since or former
        series.completeness = replace(completeness, eligible_since=since)
    jobs.wait(session, job, due, error)
    return None


def record_refused(
    session: Session, job: Job, *, ended_at: datetime, reasons: Sequence[Reason]
) -> Superseded | None:
    """The pixels showed that the series is not eligible: `reasons` are added to the decision's.

    Ends its ANALYSE job.
    """
    series = _unchanged(session, job, ended_at)
    if isinstance(series, Superseded):
        return series
    _end_without_result(session, series, SeriesState.SKIPPED, ended_at, reasons)
    jobs.finish(session, job, ended_at)
    return None


def record_failed(
    session: Session, job: Job, *, ended_at: datetime, reasons: Sequence[Reason], error: str
) -> Superseded | None:
    """The series cannot be decided or analysed; `reasons` are added to those of the decision.

    `error` is kept with the job, which ends as failed: it must not bear a patient's identity.
    """
    series = _unchanged(session, job, ended_at)
    if isinstance(series, Superseded):
        return series
    _end_without_result(session, series, SeriesState.FAILED, ended_at, reasons)
    jobs.fail(session, job, ended_at, error)
    return None


def _end_without_result(
    session: Session,
    series: SeriesRow,
    state: SeriesState,
    ended_at: datetime,
    reasons: Sequence[Reason],
) -> None:
    series.state = state
    series.ended_at = ended_at
    series.reasons = with_later(series.reasons, reasons)
    jobs.withhold(session, series.series_key)


def _unchanged(session: Session, job: Job, now: datetime) -> SeriesRow | Superseded:
    """The locked series, if what the worker saw of it still holds.

    Raises:
        LeaseLostError
    """
    series = lock_series(session, job.series_key)
    revision = jobs.held_revision(session, job)
    receiving = series.state is SeriesState.RECEIVING
    if job.kind is JobKind.ASSESS:
        holds = receiving and series.revision == revision
    else:
        holds = jobs.awaits(series, job.input_digest)
    if holds:
        return series
    if job.kind is JobKind.ASSESS and receiving:
        jobs.put_back(session, job, now, count_attempt=False)
    else:
        jobs.finish(session, job, now, jobs.SUPERSEDED)
    return Superseded(series.series_key, series.state)


def _decide(
    series: SeriesRow,
    *,
    state: SeriesState,
    decided_at: datetime,
    input_digest: str,
    completeness: SeriesEvidence,
    reasons: Sequence[Reason],
) -> None:
    series.state = state
    series.decided_at = decided_at
    series.input_digest = input_digest
    series.completeness = completeness
    series.reasons = tuple(reasons)
