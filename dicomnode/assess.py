"""The assessor: is a series complete, and may we analyse it? Reads headers, asks the decisions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

from dicomnode.config import Settings
from dicomnode.decisions.completeness import Completeness, judge_completeness
from dicomnode.decisions.eligibility import Eligibility, EligibilityPolicy, judge_eligibility
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.errors import DataError
from dicomnode.headers import read_header_file
from dicomnode.results.uids import instances_digest
from inference.bundle import load_card
from storage import index, jobs, series
from storage.database import Database
from storage.errors import LeaseLostError, StorageError
from storage.instances import InstanceFiles
from storage.records import (
    Job,
    JobKind,
    JsonObject,
    SeriesArrival,
    StoredInstance,
    Superseded,
)

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
_LONGEST_WAIT = timedelta(seconds=1)
"""An association that ends brings the next look forward; so no look is further away than this."""

_LEASE = timedelta(seconds=60)


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

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return self.unreadable + self.eligibility.reasons

    @property
    def eligible(self) -> bool:
        return self.eligibility.eligible and not self.unreadable


def assess_files(files: Iterable[Path], policy: EligibilityPolicy) -> Assessment:
    """Read the headers of one series and decide; a file that cannot be read is a reason."""
    headers: list[InstanceHeader] = []
    by_uid: dict[str, Path] = {}
    unreadable: list[Reason] = []
    for file in files:
        try:
            header = read_header_file(file)
        except DataError as error:
            told = f"{file.name}: {error.value}"
            unreadable.append(Reason(error.rule, told, error.limit, Verdict.FAIL))
            continue
        except OSError as error:
            told = f"{file.name}: {error.strerror}"
            unreadable.append(Reason("file", told, None, Verdict.FAIL))
            continue
        headers.append(header)
        by_uid[header.sop_instance_uid] = file
    return Assessment(judge_eligibility(headers, policy), by_uid, tuple(unreadable))


def input_digest(instances: Sequence[StoredInstance]) -> str:
    """Names exactly what was decided upon: the instances and their content."""
    return instances_digest((each.sop_instance_uid, each.sha256) for each in instances)


class Assessor:
    """Takes one ASSESS job after the other."""

    def __init__(self, settings: Settings, owner: str) -> None:
        self._settings = settings
        self._owner = owner
        self._database = Database.open(settings.database_url)
        self._files = InstanceFiles(settings.instances)
        self._model_digest = load_card(settings.bundle_folder).digest

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: assess, or wait for something to assess."""
        while not stop.is_set():
            try:
                if self.assess_one(datetime.now(UTC)):
                    continue
            except LeaseLostError:
                log.warning("the lease ran out during an assessment; it is done again")
            except StorageError as error:
                log.warning("assessing waits for the database: %s", error)
            stop.wait(_LOOK_SECONDS)

    def assess_one(self, now: datetime) -> bool:
        """Take one job that is due. False when there is none."""
        with self._database.write() as session:
            job = jobs.claim(session, (JobKind.ASSESS,), self._owner, now, _LEASE)
        if job is None:
            return False
        with self._database.read() as session:
            arrival = index.series_arrival(session, job.series_instance_uid)
            instances = index.instances_of_series(session, job.series_instance_uid)
        if arrival is None:
            raise StorageError(f"job {job.job_id} is about a series without instances")
        completeness = judge_completeness(arrival, self._settings.completeness, now)
        if not completeness.complete:
            self._look_again(job, completeness, now)
        else:
            self._decide(job, arrival, instances, completeness)
        return True

    def _look_again(self, job: Job, completeness: Completeness, now: datetime) -> None:
        due = min(completeness.look_again_at or now + _LONGEST_WAIT, now + _LONGEST_WAIT)
        with self._database.write() as session:
            jobs.put_back(session, job, due, count_attempt=False)

    def _decide(
        self,
        job: Job,
        arrival: SeriesArrival,
        instances: Sequence[StoredInstance],
        completeness: Completeness,
    ) -> None:
        paths = [self._files.open_path(instance.path) for instance in instances]
        assessment = assess_files(paths, self._settings.eligibility)
        decision: _Decision = {
            "decided_at": datetime.now(UTC),
            "input_digest": input_digest(instances),
            "completeness": completeness.as_json() | {"instances": arrival.instance_count},
            "reasons": [reason.as_json() for reason in assessment.reasons],
        }
        if self._record(job, assessment.eligible, decision) is not None:
            log.info("series %s: instances came meanwhile", job.series_instance_uid)
            return
        failed = [reason.rule for reason in assessment.reasons if reason.verdict is Verdict.FAIL]
        told = "queued" if assessment.eligible else f"skipped: {', '.join(failed)}"
        log.info("series %s: %s", job.series_instance_uid, told)

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
    """Assess until `stop`."""
    Assessor(settings, owner).run(stop)
