"""What is next with a series: from its rows, by the configuration of the node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dicomnode.cli.views.delivery_words import undelivered, whereabouts, withdrawn
from dicomnode.cli.views.step import NODE, PERSON, Step, clock_time
from dicomnode.config.settings import Settings
from dicomnode.decisions.operating.worker_troubles import Lack, lack_of, unlike
from dicomnode.notes.wanted import MODALITY, needs_no_note
from storage.notes import NOT_ANALYSED
from storage.overview_records import Node, TroubleRecord, node_of
from storage.queries import AHEAD
from storage.records import (
    NOTE_KIND,
    ConflictState,
    JobKind,
    JobRecord,
    JobState,
    SeriesDetail,
    SeriesRecord,
    SeriesState,
)

_NOTE_SLACK = timedelta(minutes=1)
"""A note that is not there so long after it was due does not come: the study has a result, or the
node was away for too long."""


@dataclass(frozen=True)
class Around:
    """What is asked beside a series: the other series of its study, how many analyses are before
    its own (AHEAD: so many or more), the trouble by which its analysis does not get on, and the
    nodes that have workers; None: not known. `nodes`: all of the database."""

    study: Sequence[SeriesRecord] = ()
    ahead: int | None = None
    trouble: TroubleRecord | None = None
    workers: Sequence[Node] | None = None
    nodes: Sequence[Node] = ()

    def host(self, owner: str | None) -> str:
        """Where the process of a lease is, as " on NAME"; empty where there is one node alone."""
        if owner is None or sum(each.left_at is None for each in self.nodes) < 2:
            return ""
        node_id = node_of(owner)
        names = (each.name for each in self.nodes if each.node_id == node_id)
        return f" on {next(names, '') or node_id}"


def trouble_of(series_key: str, lasting: Iterable[TroubleRecord]) -> TroubleRecord | None:
    """That its job is stuck, or that a worker does not run."""
    still = [each for each in lasting if each.over_at is None]
    found = [each for each in still if each.name == f"job_stuck:{series_key}"]
    for kind in ("process_down:worker", "process_restarting:worker"):
        found += [each for each in still if each.name.startswith(kind)]
    return next(iter(found), None)


def next_steps(
    detail: SeriesDetail, settings: Settings, now: datetime, around: Around
) -> tuple[Step, ...]:
    """In the order in which they come; none where nothing is to be done."""
    series = detail.series
    if series.removed_at is not None:
        return ()
    if series.on_hold_since is not None:
        since = f"on hold since {clock_time(series.on_hold_since, now)} UTC"
        remedy = f"dicomnode queue release {series.series_key}"
        return (Step(PERSON, "release it", why=since, remedy=remedy),)
    waiting = [job for job in detail.jobs if job.state in {JobState.QUEUED, JobState.RUNNING}]
    if waiting:
        return tuple(_of_job(job, detail, settings, now, around) for job in waiting)
    if held := _held(detail):
        remedy = f"dicomnode queue release {held} --take first (or newest)"
        return (Step(PERSON, "choose which content to take", remedy=remedy),)
    note = _note(detail, settings, now, around)
    return (*(() if note is None else (note,)), *undelivered(series, detail.deliveries, now))


def ended(detail: SeriesDetail) -> str:
    """Why nothing is next: it has come where it shall."""
    if detail.series.removed_at is not None:
        return f"its files were removed {detail.series.removed_at:%Y-%m-%d %H:%M:%S UTC}"
    if withdrawn(detail.series, detail.deliveries):
        undo = f"dicomnode results reinstate {detail.series.series_key}"
        return f"its results are withdrawn; {undo} undoes that"
    return whereabouts(detail.series, detail.deliveries) or "the series is done"


def _of_job(
    job: JobRecord, detail: SeriesDetail, settings: Settings, now: datetime, around: Around
) -> Step:
    why = [f"last time: {job.error}"] if job.error else []
    if job.kind is JobKind.ASSESS:
        return _of_decision(job, detail.series, settings, why)
    attempt = [f"attempt {job.attempt}"] if job.attempt else []
    if job.kind is JobKind.FETCH:
        told = ", ".join((*attempt, *why))
        return Step(NODE, "has images sent again that a lost node had", why=told)
    trouble = around.trouble or _lack(job, around)
    why += [trouble.text] if trouble else []
    remedy = trouble.remedy if trouble else ""
    if job.state is JobState.RUNNING:
        since = [f"since {clock_time(job.started_at, now)} UTC"] if job.started_at else []
        told = ", ".join((*attempt, *since, *why))
        return Step(NODE, f"being analysed{around.host(job.owner)}", why=told, remedy=remedy)
    or_more = " or more" if around.ahead == AHEAD else ""
    before = [] if around.ahead is None else [f"{around.ahead}{or_more} before it"]
    at = job.not_before if job.not_before > now else None
    what = "waits for a worker" if at is None else "waits for a worker, not before"
    return Step(NODE, what, at, ", ".join((*before, *attempt, *why)), remedy)


def _lack(job: JobRecord, around: Around) -> Lack | None:
    """What no worker has that it waits for."""
    if job.state is not JobState.QUEUED:
        return None
    return lack_of(job.needs, around.workers) or unlike(job.model_digest, around.nodes)


def _of_decision(
    job: JobRecord, series: SeriesRecord, settings: Settings, why: Sequence[str]
) -> Step:
    """What a series waits for that is not decided yet, as the last look noted it."""
    noted = series.completeness
    if noted is not None and noted.complete and noted.eligible_since is not None:
        until = noted.eligible_since + timedelta(seconds=settings.study.wait_seconds)
        of_study = (*why, "others of it still come")
        return Step(NODE, "waits for its study until", until, ", ".join(of_study))
    if noted is not None and noted.look_again_at is not None:
        what = "complete, if nothing more comes, at"
        return Step(NODE, what, noted.look_again_at, ", ".join((*why, noted.evidence)))
    return Step(NODE, "looked at again at", job.not_before, ", ".join(why))


def _held(detail: SeriesDetail) -> str:
    """Keys of the series whose instances came again with other content: a person has to choose."""
    both = (*detail.conflicts, *detail.claims)
    return ", ".join(sorted({e.owner_key for e in both if e.state is ConflictState.HELD}))


def _note(detail: SeriesDetail, settings: Settings, now: datetime, around: Around) -> Step | None:
    """That a note is due: see `dicomnode.notes.writer`."""
    series, policy = detail.series, settings.results.note
    of_study = [each for each in around.study if policy == "study"]
    untold = series.state in NOT_ANALYSED and not needs_no_note(series.reasons)
    if policy == "off" or series.modality != MODALITY or series.ended_at is None or not untold:
        return None
    if any(each.created_at >= series.ended_at for each in detail.results if each.kind == NOTE_KIND):
        return None
    last = max([series.ended_at, *(each.ended_at for each in of_study if each.ended_at)])
    wait = settings.study.wait_seconds if policy == "study" else 0.0
    due = last + timedelta(seconds=wait)
    if any(each.ended_at is None for each in of_study):
        return Step(NODE, "a note is due once all series of its study are decided")
    if any(each.state is SeriesState.ANALYSED for each in of_study) or now > due + _NOTE_SLACK:
        return None
    return Step(NODE, "a note is due at", due)
