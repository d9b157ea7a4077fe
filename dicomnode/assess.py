"""The assessor: is a series complete, and may we analyse it? Reads headers, asks the decisions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TypedDict

from dicomnode.bundles import models_digest
from dicomnode.config import Settings
from dicomnode.decisions.arrival_evidence import HeaderEvidence, PacsCount, evidence_of_headers
from dicomnode.decisions.completeness import (
    Completeness,
    incomplete_reason,
    judge_completeness,
    worth_asking,
)
from dicomnode.decisions.eligibility import Eligibility, EligibilityPolicy, judge_eligibility
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.overlaps import NOT_COMPARED, Pair
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.decisions.study_choice import Choice
from dicomnode.errors import DataError
from dicomnode.headers import read_headers_file
from dicomnode.lifecycle import Outage, vital
from dicomnode.pacs_counts import PacsCounts
from dicomnode.reading import Retries, may_pass
from dicomnode.results.uids import instances_digest
from dicomnode.same_slices import differences_of_overlaps, with_digests_of_possible_copies
from dicomnode.study import ELIGIBLE_SINCE, choose_in_study, noted_acquisitions
from storage import index, jobs, series
from storage.database import Database
from storage.errors import DatabaseUnavailableError, LeaseLostError, StorageError
from storage.instances import InstanceFiles
from storage.records import (
    Job,
    JobKind,
    JsonObject,
    SeriesArrival,
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

_LEASE = timedelta(seconds=60)

_STUDY_LOOK = timedelta(seconds=1)
"""How often an eligible series looks for others of its study that still come."""


class _Decision(TypedDict):
    """What both outcomes of an assessment record."""

    decided_at: datetime
    input_digest: str
    completeness: JsonObject
    reasons: list[JsonObject]


@dataclass(frozen=True)
class Assessment:
    """The decision on a series with the file of each header that could be read."""

    eligibility: Eligibility
    files: dict[str, Path]  # by SOP Instance UID
    unreadable: tuple[Reason, ...] = ()
    headers: tuple[InstanceHeader, ...] = ()
    completeness: tuple[Reason, ...] = ()  # that instances are known to be missing
    may_pass: bool = False  # whether a file could not be read for a reason that may be over soon

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return self.completeness + self.unreadable + self.eligibility.reasons

    @property
    def eligible(self) -> bool:
        complete = all(reason.verdict is not Verdict.FAIL for reason in self.completeness)
        return self.eligibility.eligible and complete and not self.unreadable


def assess_files(files: Iterable[Path], policy: EligibilityPolicy) -> Assessment:
    """Read the headers of one series and decide; a file that cannot be read is a reason."""
    headers: list[InstanceHeader] = []
    by_uid: dict[str, Path] = {}
    unreadable: list[Reason] = []
    passing = False
    for file in files:
        try:
            found = read_headers_file(file)
        except DataError as error:
            told = f"{file.name}: {error.value}"
            unreadable.append(Reason(error.rule, told, error.limit, Verdict.FAIL))
            continue
        except OSError as error:
            told = f"{file.name}: {error.strerror}"
            unreadable.append(Reason("file", told, None, Verdict.FAIL))
            passing |= may_pass(error)
            continue
        headers += found
        by_uid[found[0].sop_instance_uid] = file
    differences: Mapping[Pair, float] = NOT_COMPARED
    try:
        headers = with_digests_of_possible_copies(headers, by_uid)
        differences = differences_of_overlaps(headers, by_uid)
    except OSError as error:
        told = f"{Path(str(error.filename or '')).name}: {error.strerror}"
        unreadable.append(Reason("file", told, None, Verdict.FAIL))
        passing |= may_pass(error)
    eligibility = judge_eligibility(headers, policy, differences)
    return Assessment(eligibility, by_uid, tuple(unreadable), tuple(headers), may_pass=passing)


def input_digest(instances: Sequence[StoredInstance]) -> str:
    """Names exactly what was decided upon: the instances and their content."""
    return instances_digest((each.sop_instance_uid, each.sha256) for each in instances)


@dataclass(frozen=True)
class _Look:
    """What the headers of a series said when so many instances had come."""

    instances: tuple[StoredInstance, ...]
    assessment: Assessment

    @cached_property
    def evidence(self) -> HeaderEvidence:
        """A file that cannot be read explains a gap: its slice is here, though damaged."""
        seen = self.assessment
        found = evidence_of_headers(seen.headers, seen.eligibility.stack)
        return replace(found, missing=None) if seen.unreadable else found


class Assessor:
    """Takes one ASSESS job after the other."""

    def __init__(self, settings: Settings, owner: str) -> None:
        self._settings = settings
        self._owner = owner
        self._database = Database.open_later(settings.database_url)
        self._files = InstanceFiles(settings.instances)
        self._model_digest = models_digest(settings)
        self._looks: dict[str, _Look] = {}
        self._reading = Retries()
        peer = settings.query.peer
        ae_title = settings.node.ae_title
        self._counts = None if peer is None else PacsCounts(settings.query, peer, ae_title)

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: assess, or wait for something to assess."""
        outage = Outage("assessing")
        while not stop.is_set():
            try:
                with outage.told():
                    if self.assess_one(datetime.now(UTC)):
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

        Raises DatabaseUnavailableError and LeaseLostError. Any other fault is one of this series:
        it fails with it, and the next has its turn.
        """
        with self._database.write() as session:
            job = jobs.claim(session, (JobKind.ASSESS,), self._owner, now, _LEASE)
        if job is None:
            return False
        try:
            self._assess(job, now)
        except (DatabaseUnavailableError, LeaseLostError, MemoryError):
            raise
        except OSError as error:
            why = Reason("file", error.strerror or type(error).__name__, None, Verdict.FAIL)
            self._read_later(job, (why,), None, now)
        except Exception as error:
            log.exception("series %s", job.series_key)
            self._fail(job, (Reason("fault", type(error).__name__, None, Verdict.FAIL),))
        return True

    def _assess(self, job: Job, now: datetime) -> None:
        with self._database.read() as session:
            arrival = index.series_arrival(session, job.series_key)
        if arrival is None:
            raise StorageError(f"job {job.job_id} is about a series without instances")
        policy = self._settings.completeness
        if now < (asking := worth_asking(arrival, policy)):
            found = judge_completeness(arrival, policy, now)
            self._look_again(job, replace(found, look_again_at=asking), arrival, now)
            return
        look = self._look(arrival)
        if look.assessment.may_pass:
            found = judge_completeness(arrival, policy, now)
            noted = found.as_json() | {"instances": arrival.instance_count}
            self._read_later(job, look.assessment.unreadable, noted, now)
            return
        self._reading.forget(job.series_key)
        found = judge_completeness(arrival, policy, now, self._pacs_count(arrival), look.evidence)
        if not found.closed:
            self._look_again(job, found, arrival, now)
        elif self._decide(job, look, found):
            self._forget(arrival)

    def _read_later(
        self, job: Job, reasons: tuple[Reason, ...], noted: JsonObject | None, now: datetime
    ) -> None:
        """That a file could not be read says nothing about the series: look again, for a while."""
        told = "; ".join(map(str, reasons))
        decision = self._reading.failed(job.series_key, now)
        if decision is None:
            self._fail(job, reasons)
            return
        log.warning("series %s: read again later: %s", job.series_key, told)
        self._note_waiting(job, decision.not_before, noted, told)

    def _fail(self, job: Job, reasons: tuple[Reason, ...]) -> None:
        """It cannot be decided; `dicomnode queue retry` has it looked at again."""
        error = "; ".join(map(str, reasons))
        log.error("series %s: failed, %s", job.series_key, error)
        told = [reason.as_json() for reason in reasons]
        with self._database.write() as session:
            series.record_failed(
                session, job, ended_at=datetime.now(UTC), reasons=told, error=error
            )

    def _pacs_count(self, arrival: SeriesArrival) -> PacsCount | None:
        if self._counts is None:
            return None
        study, uid = arrival.study_instance_uid, arrival.series_instance_uid
        return self._counts.count(study, uid, arrival.instance_count)

    def _look(self, arrival: SeriesArrival) -> _Look:
        """The headers of a series, read again only when more instances have come."""
        uid = arrival.series_key
        known = self._looks.get(uid)
        if known is not None and len(known.instances) == arrival.instance_count:
            return known
        with self._database.read() as session:
            instances = index.instances_of_series(session, uid)
        paths = [self._files.open_path(instance.path) for instance in instances]
        look = _Look(instances, assess_files(paths, self._settings.eligibility))
        if not look.assessment.unreadable:
            self._looks[uid] = look
        return look

    def _forget(self, arrival: SeriesArrival) -> None:
        self._looks.pop(arrival.series_key, None)
        if self._counts is not None:
            self._counts.forget(arrival.study_instance_uid, arrival.series_instance_uid)

    def _look_again(
        self, job: Job, found: Completeness, arrival: SeriesArrival, now: datetime
    ) -> None:
        """What is known so far is noted for whoever wants to know what the series waits for."""
        waited = (now - arrival.last_received_at) / 10
        longest = _ANSWER_WAIT if self._answer_pending else sorted((*_LONGEST_WAIT, waited))[1]
        due = min(found.look_again_at or now, now + longest)
        self._note_waiting(job, due, found.as_json() | {"instances": arrival.instance_count})

    def _decide(self, job: Job, look: _Look, completeness: Completeness) -> bool:
        """False when it is left open, as others of its study still come."""
        reason = incomplete_reason(completeness, self._settings.completeness)
        assessment = replace(look.assessment, completeness=() if reason is None else (reason,))
        now, noted = datetime.now(UTC), completeness.as_json() | {"instances": len(look.instances)}
        noted |= noted_acquisitions(assessment.eligibility)
        reasons = assessment.reasons
        if assessment.eligible:
            choice, quality = self._choose(look, now)
            noted |= quality
            if choice.look_again_at is not None:
                self._note_waiting(job, min(choice.look_again_at, now + _STUDY_LOOK), noted)
                return False
            reasons += () if choice.reason is None else (choice.reason,)
        decision: _Decision = {
            "decided_at": now,
            "input_digest": input_digest(look.instances),
            "completeness": noted,
            "reasons": [reason.as_json() for reason in reasons],
        }
        failed = [reason.rule for reason in reasons if reason.verdict is Verdict.FAIL]
        if self._record(job, not failed, decision) is not None:
            log.info("series %s: instances came meanwhile", job.series_key)
            return True
        told = f"skipped: {', '.join(failed)}" if failed else "queued"
        log.info("series %s: %s", job.series_key, told)
        return True

    def _choose(self, look: _Look, now: datetime) -> tuple[Choice, JsonObject]:
        """Whether an eligible series is the one of its study to be analysed."""
        one = look.instances[0]
        with self._database.read() as session:
            others = series_of_study(session, one.series_key)
        eligibility, policy = look.assessment.eligibility, self._settings.study
        return choose_in_study(one.series_key, eligibility, others, policy, now)

    def _note_waiting(
        self, job: Job, due: datetime, noted: JsonObject | None, error: str | None = None
    ) -> None:
        """How long the series has been eligible stays known, whatever the next look saw."""
        now = datetime.now(UTC)
        with self._database.write() as session:
            series.note_waiting(
                session,
                job,
                due=due,
                now=now,
                completeness=noted,
                lasting=(ELIGIBLE_SINCE,),
                error=error,
            )

    def _record(self, job: Job, eligible: bool, decision: _Decision) -> Superseded | None:
        with self._database.write() as session:
            if not eligible:
                return series.record_skipped(session, job, **decision)
            return series.record_queued(
                session,
                job,
                model_digest=self._model_digest,
                priority=job.priority,
                **decision,
            )


def run(settings: Settings, owner: str, stop: threading.Event) -> None:
    """Assess until `stop`, and write the notes on what was not analysed."""
    if settings.results.note != "off":
        from dicomnode import not_analysed  # Pillow and more, of no use without notes

        threading.Thread(target=vital(not_analysed.run), args=(settings, stop), daemon=True).start()
    Assessor(settings, owner).run(stop)
