"""The assessor: is a series complete, and may we analyse it? Reads headers, asks the decisions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypedDict

from dicomnode.assess.assessment import Look, assess_files, input_digest, needs_of
from dicomnode.assess.pacs_counts import PacsCounts
from dicomnode.assess.resends import (
    CHOSEN,
    Resends,
    claim_reasons,
    conflict_reasons,
    is_undecided,
)
from dicomnode.assess.study import choose_in_study, with_acquisitions
from dicomnode.broken_off import BrokenOff
from dicomnode.clock import Clock, clock_of
from dicomnode.config.settings import Settings
from dicomnode.data_directory.files import instance_files
from dicomnode.decisions.arrival.arrival_evidence import PacsCount
from dicomnode.decisions.arrival.completeness import (
    Completeness,
    incomplete_reason,
    judge_completeness,
    worth_asking,
)
from dicomnode.decisions.eligibility.study_choice import Choice
from dicomnode.decisions.reasons import Reason, Verdict, failed_rules
from dicomnode.deliver.equipment import equipment, tell_equipment
from dicomnode.dicom_files.read_again import Retries, is_of_store, why_unread
from dicomnode.held_lease import kept
from dicomnode.lifecycle import Outage, ends_process_on_fault
from dicomnode.metrics.counters import count_decided
from storage import conflicts, index, jobs, queries, series
from storage.by_hand import cancelled_reason
from storage.database import Database
from storage.decided import SeriesEvidence
from storage.errors import DatabaseUnavailableError, LeaseLostError, StorageError
from storage.records import (
    NO_NEEDS,
    Conflict,
    ConflictState,
    Job,
    JobKind,
    Needs,
    SeriesArrival,
    SeriesDetail,
    SeriesState,
    StoredInstance,
    Superseded,
)
from storage.study import series_of_study

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
_ANSWER_SECONDS = 0.05
_ANSWER_WAIT = timedelta(seconds=_ANSWER_SECONDS)
_LONGEST_WAIT = (timedelta(seconds=1), timedelta(seconds=10))
"""The next look is not further away: a tenth of the silence so far, within these bounds. An
association that ends brings it forward."""

_STORE_DELAY = timedelta(seconds=30)
_MOST_ATTEMPTS = 10
"""So often a look may be broken off by the end of its process, without one that was ended between;
then the series is what ends it. More than of an analysis: that of a host that is switched off is no
fault of a series, and to try costs milliseconds."""

_STUDY_LOOK = timedelta(seconds=1)
"""How often an eligible series looks for others of its study that still come."""


class _Decision(TypedDict):
    """What both outcomes of an assessment record."""

    decided_at: datetime
    input_digest: str
    completeness: SeriesEvidence
    reasons: Sequence[Reason]


@dataclass(frozen=True)
class _Case:
    """A series whose turn it is at `now`, as the index has it."""

    job: Job
    arrival: SeriesArrival
    detail: SeriesDetail
    now: datetime


class Assessor:
    """Takes one ASSESS job after the other."""

    def __init__(self, settings: Settings, owner: str, clock: Clock | None = None) -> None:
        self._settings, self._owner = settings, owner
        self._database = Database.open_later(settings.database_url)
        self._clock = clock or clock_of(self._database)
        self._files = instance_files(settings)
        digest = equipment(settings).digest
        self._record_queued = partial(series.record_queued, model_digest=digest)
        self._looks: dict[str, Look] = {}
        self._reading = Retries()
        self._broken_off = BrokenOff(self._database)
        policy = settings.receive.resend_conflict
        self._resends = Resends(self._database, self._files, policy, self._clock)
        self._lease = timedelta(seconds=settings.inference.lease_seconds)
        most = settings.inference.deadline_seconds
        self._kept = partial(kept, self._database, self._lease, self._clock, most)
        query, ae_title = settings.query, settings.node.ae_title
        peer = query.peer
        self._counts = None if peer is None else PacsCounts(query, peer, ae_title, self._clock)

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: assess, or wait for something to assess."""
        outage = Outage("assessing")
        while not stop.is_set():
            try:
                with outage.reported():
                    if self.assess_one(self._clock.now()):
                        continue
            except LeaseLostError:
                log.warning("the lease ran out during an assessment; it is done again")
            stop.wait(_ANSWER_SECONDS if self._answer_pending else _LOOK_SECONDS)
        self.close()

    def close(self) -> None:
        """Ask the PACS no more."""
        if self._counts is not None:
            self._counts.close()

    @property
    def _answer_pending(self) -> bool:
        return self._counts is not None and self._counts.pending

    def assess_one(self, now: datetime) -> bool:
        """Take one job that is due. False when there is none.

        Any other fault than these is one of this series: it fails with it, and the next has its
        turn.

        Raises:
            DatabaseUnavailableError
            LeaseLostError
        """
        self._broken_off.give_back(now)
        with self._database.write() as session:
            which = (JobKind.ASSESS,), self._owner, now, self._lease
            job = jobs.claim(session, *which, max_attempts=_MOST_ATTEMPTS)
        if job is None:
            return False
        try:
            with self._broken_off.noted(job), self._kept(job):
                self._assess(job, now)
        except (DatabaseUnavailableError, LeaseLostError, MemoryError):
            raise
        except OSError as error:
            later = now + _STORE_DELAY if is_of_store(error) else None
            self._read_later(job, (why_unread(error),), None, now, later)
        except Exception as error:
            log.exception("series %s", job.series_key)
            self._fail(job, (Reason("fault", type(error).__name__, None, Verdict.FAIL),), now)
        return True

    def _assess(self, job: Job, now: datetime) -> None:
        with self._database.read() as session:
            arrival = index.series_arrival(session, job.series_key)
            detail = queries.series_detail(session, job.series_key)
        if arrival is None or detail is None:
            raise StorageError(f"job {job.job_id} is about a series without instances")
        undecided = is_undecided(detail.conflicts)
        if not undecided and detail.series.state is not SeriesState.RECEIVING:
            self._end(job, now)
            return
        case, policy = _Case(job, arrival, detail, now), self._settings.completeness
        if now < (asking := worth_asking(arrival, policy)):
            found = judge_completeness(arrival, policy, now)
            self._look_again(case, replace(found, look_again_at=asking))
            return
        if undecided or detail.claims:
            self._of_copies(case)
            return
        look = self._look(arrival)
        if look.assessment.may_pass:
            found = judge_completeness(arrival, policy, now)
            noted = found.noted(arrival.instance_count)
            self._read_later(job, look.assessment.unreadable, noted, now)
            return
        self._reading.forget(job.series_key)
        found = judge_completeness(arrival, policy, now, self._pacs_count(arrival), look.evidence)
        if not found.closed:
            self._look_again(case, found)
        elif self._decide(case, look, found):
            self._forget(arrival)

    def _of_copies(self, case: _Case) -> None:
        """Instances came again, or are known as those of another series."""
        arrival, detail, now = case.arrival, case.detail, case.now
        found = judge_completeness(arrival, self._settings.completeness, now)
        chosen = any(each.state in CHOSEN for each in detail.conflicts)
        own = is_undecided(detail.conflicts)
        # whoever settles the claims brings the next look forward; two that claim of each other
        # would wait for ever
        if is_undecided(detail.claims) and not own:
            noted = found.noted(arrival.instance_count)
            self._note_waiting(case.job, now + _STUDY_LOOK, noted, now)
            return
        if not (found.closed or chosen):
            self._look_again(case, found)
            return
        self._forget(arrival)
        if own:
            self._resends.settle(case.job)
        else:
            self._decide_without(case, found)

    def _decide_without(self, case: _Case, found: Completeness) -> None:
        """The series lacks what is another's; results that were made with it are withdrawn."""
        claims, count = case.detail.claims, case.detail.series.instance_count
        if any(each.state is ConflictState.REPLACED for each in claims):
            self._resends.withdraw_results(self._settings, case.job.series_key)
        look = self._look(case.arrival) if count else None
        reasons = claim_reasons(claims, case.arrival.instance_count) + _by_a_person(case.detail)
        reasons += () if look is None else look.assessment.reasons
        content: list[StoredInstance | Conflict] = [
            *claims,
            *(() if look is None else look.instances),
        ]
        decision = _Decision(
            decided_at=case.now,
            input_digest=input_digest(content),
            completeness=found.noted(count),
            reasons=reasons,
        )
        self._enter(case.job, decision)

    def _end(self, job: Job, now: datetime) -> None:
        """Nothing is to be decided: what came again changes nothing."""
        with self._database.write() as session:
            jobs.finish(session, job, now)

    def _read_later(
        self,
        job: Job,
        reasons: tuple[Reason, ...],
        noted: SeriesEvidence | None,
        now: datetime,
        later: datetime | None = None,
    ) -> None:
        """That a file could not be read says nothing about the series: look again, for a while; or
        at `later`, however often."""
        text = "; ".join(map(str, reasons))
        later = later or self._reading.failed(job.series_key, now)
        if later is None:
            self._fail(job, reasons, now)
            return
        log.warning("series %s: read again later: %s", job.series_key, text)
        self._note_waiting(job, later, noted, now, text)

    def _fail(self, job: Job, reasons: tuple[Reason, ...], now: datetime) -> None:
        """It cannot be decided; `dicomnode queue retry` has it looked at again."""
        error = "; ".join(map(str, reasons))
        log.error("series %s: failed, %s", job.series_key, error)
        with self._database.write() as session:
            conflicts.hold_undecided(session, job.series_key, now)
            series.record_failed(session, job, ended_at=now, reasons=reasons, error=error)

    def _pacs_count(self, arrival: SeriesArrival) -> PacsCount | None:
        if self._counts is None:
            return None
        study, uid = arrival.study_instance_uid, arrival.series_instance_uid
        return self._counts.count(study, uid, arrival.instance_count)

    def _look(self, arrival: SeriesArrival) -> Look:
        """The headers of a series, read again only when something has come."""
        uid = arrival.series_key
        known = self._looks.get(uid)
        if known is not None and known.revision == arrival.revision:
            return known
        with self._database.read() as session:
            instances = index.instances_of_series(session, uid)
        paths = self._files.bring(instances)
        assessment = assess_files(paths, self._settings.eligibility)
        look = Look(instances, assessment, arrival.revision)
        if not look.assessment.unreadable:
            self._looks[uid] = look
        return look

    def _forget(self, arrival: SeriesArrival) -> None:
        self._looks.pop(arrival.series_key, None)
        if self._counts is not None:
            self._counts.forget(arrival.study_instance_uid, arrival.series_instance_uid)

    def _look_again(self, case: _Case, found: Completeness) -> None:
        """What is known so far is noted for whoever wants to know what the series waits for."""
        arrival, now = case.arrival, case.now
        waited = (now - arrival.last_received_at) / 10
        longest = _ANSWER_WAIT if self._answer_pending else sorted((*_LONGEST_WAIT, waited))[1]
        due = min(found.look_again_at or now, now + longest)
        self._note_waiting(case.job, due, found.noted(arrival.instance_count), now)

    def _decide(self, case: _Case, look: Look, found: Completeness) -> bool:
        """False when it is left open, as others of its study still come."""
        job, now = case.job, case.now
        reason = incomplete_reason(found, self._settings.completeness)
        arrival = conflict_reasons(case.detail.conflicts, len(look.instances), job.series_key)
        arrival += () if reason is None else (reason,)
        arrival += _by_a_person(case.detail)
        assessment = replace(look.assessment, arrival=arrival)
        noted = with_acquisitions(found.noted(len(look.instances)), assessment.eligibility)
        reasons = assessment.reasons
        if assessment.eligible:
            choice, noted = self._choose(look, noted, now)
            if choice.look_again_at is not None:
                self._note_waiting(job, min(choice.look_again_at, now + _STUDY_LOOK), noted, now)
                return False
            reasons += () if choice.reason is None else (choice.reason,)
        self._enter(
            job,
            _Decision(
                decided_at=now,
                input_digest=input_digest(look.instances),
                completeness=noted,
                reasons=reasons,
            ),
            needs_of(assessment, self._settings),
        )
        return True

    def _enter(self, job: Job, decision: _Decision, needs: Needs = NO_NEEDS) -> None:
        failed = failed_rules(decision["reasons"])
        if self._record(job, None if failed else needs, decision) is not None:
            log.info("series %s: instances came meanwhile", job.series_key)
            return
        count_decided(failed)
        what = f"skipped: {', '.join(failed)}" if failed else "queued"
        log.info("series %s: %s", job.series_key, what)

    def _choose(
        self, look: Look, noted: SeriesEvidence, now: datetime
    ) -> tuple[Choice, SeriesEvidence]:
        """Whether an eligible series is the one of its study to be analysed."""
        one = look.instances[0]
        with self._database.read() as session:
            others = series_of_study(session, one.series_key)
        eligibility, policy = look.assessment.eligibility, self._settings.study
        return choose_in_study(one.series_key, eligibility, others, policy, noted, now)

    def _note_waiting(
        self,
        job: Job,
        due: datetime,
        noted: SeriesEvidence | None,
        now: datetime,
        error: str | None = None,
    ) -> None:
        """How long the series has been eligible stays known, whatever the next look saw."""
        with self._database.write() as session:
            series.note_waiting(session, job, due=due, now=now, completeness=noted, error=error)

    def _record(self, job: Job, needs: Needs | None, decision: _Decision) -> Superseded | None:
        """`needs`: of its analysis; None where there will be none."""
        with self._database.write() as session:
            if needs is None:
                return series.record_skipped(session, job, **decision)
            return self._record_queued(session, job, priority=job.priority, needs=needs, **decision)


def _by_a_person(detail: SeriesDetail) -> tuple[Reason, ...]:
    """That the series was cancelled: what comes of it later does not undo that."""
    at = detail.series.cancelled_at
    return () if at is None else (cancelled_reason(at),)


def run(settings: Settings, owner: str, stop: threading.Event) -> None:
    """Assess until `stop`, and write the notes on what was not analysed."""
    if settings.results.note != "off":
        from dicomnode.notes import writer  # Pillow and more, of no use without notes

        threading.Thread(
            target=ends_process_on_fault(writer.run), args=(settings, stop), daemon=True
        ).start()
    if settings.node.shares_database:
        from dicomnode.pull import fetcher  # for what a lost node alone had

        threading.Thread(target=fetcher.run, args=(settings, owner, stop), daemon=True).start()
    tell_equipment(settings, owner, stop)  # before anything is decided with it
    Assessor(settings, owner).run(stop)
