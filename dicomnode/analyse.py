"""The worker: takes one ANALYSE job after the other and leaves its results in the outbox.

A thread of its own renews the lease, so that a long forward pass does not lose it; the same
thread ends the process when a job outlives its deadline, when its lease is another's, or when the
node stops and the job cannot end in time. Then another worker takes the job over: every effect up
to the last transaction is a file that the next attempt writes again with the same bytes.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from dicomnode.analysis import Analysis, analyse_series
from dicomnode.assess import Assessment, assess_files, input_digest
from dicomnode.config import Settings
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.errors import DataError
from dicomnode.lifecycle import vital
from dicomnode.results.build import ResultObject, encode, warm_up
from inference.bundle import load_bundle
from inference.engine import Engine
from storage import index, jobs, queue, series
from storage.database import Database
from storage.durable import LEFTOVER_AGE
from storage.errors import LeaseLostError, StorageError
from storage.instances import InstanceFiles
from storage.records import Job, JobKind, ResultRecord, StoredInstance
from storage.results import ResultFiles

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
_STOP_GRACE_SECONDS = 4.0
"""How long a job may go on after the wish to stop before it is handed back, in seconds."""

_DISK_DELAY = timedelta(seconds=30)

EXIT_DEADLINE = 70
EXIT_LEASE_LOST = 75


class Worker:
    """Analyses with one loaded model."""

    def __init__(self, settings: Settings, owner: str, stop: threading.Event) -> None:
        self._settings = settings
        self._owner = owner
        self._stop = stop
        self._database = Database.open(settings.database_url)
        self._instances = InstanceFiles(settings.instances)
        self._results = ResultFiles(settings.result_files)
        self._results.remove_leftovers(datetime.now(UTC) - LEFTOVER_AGE)
        self._lease = timedelta(seconds=settings.inference.lease_seconds)
        bundle = load_bundle(settings.bundle_folder)
        self._engine = Engine.load(
            bundle, settings.inference.device, settings.inference.threads or None
        )
        model = bundle.card.identity
        if model.warning:
            log.warning("%s (model %s %s)", model.warning, model.name, model.version)

    def run(self) -> None:
        """Until asked to stop: analyse, or wait for something to analyse."""
        while not self._stop.is_set():
            try:
                if self.analyse_one():
                    continue
            except LeaseLostError:
                log.warning("the lease of a job ran out: its results are another's to write")
            except StorageError as error:
                log.warning("analysing waits for the database: %s", error)
            self._stop.wait(_LOOK_SECONDS)

    def analyse_one(self) -> bool:
        """Take one job that is due. False when there is none."""
        with self._database.write() as session:
            job = jobs.claim(
                session, (JobKind.ANALYSE,), self._owner, datetime.now(UTC), self._lease
            )
        if job is None:
            return False
        log.info("series %s: analysis, attempt %d", job.series_instance_uid, job.attempt)
        try:
            with self._held(job):
                self._analyse(job)
        except OSError as error:
            self._wait_for_the_disk(job, error)
        return True

    def _wait_for_the_disk(self, job: Job, error: OSError) -> None:
        """A full or failing disk is no fault of the series: its attempt does not count."""
        log.error("series %s: %s; tried again later", job.series_instance_uid, error.strerror)
        later = datetime.now(UTC) + _DISK_DELAY
        with self._database.write() as session:
            jobs.put_back(session, job, later, count_attempt=False)

    def _analyse(self, job: Job) -> None:
        with self._database.read() as session:
            instances = index.instances_of_series(session, job.series_instance_uid)
            detail = queue.series_detail(session, job.series_instance_uid)
        if detail is None or input_digest(instances) != job.input_digest:
            self._superseded(job)
            return
        evidence = str((detail.series.completeness or {}).get("evidence", ""))
        assessment = self._assess(instances)
        if not assessment.eligible:  # since it was queued: damaged, or another policy
            self._record_failure(job, [r for r in assessment.reasons if r.verdict is Verdict.FAIL])
            return
        try:
            analysis = analyse_series(
                self._engine,
                assessment,
                self._settings,
                analysed_at=job.created_at.astimezone(),  # the same in every attempt: same bytes
                input_digest=job.input_digest,
                completeness=evidence,
            )
        except DataError as error:
            reason = Reason(error.rule, error.value, error.limit, Verdict.FAIL)
            self._record_failure(job, [reason])
            return
        except (OSError, StorageError):
            raise
        except Exception as error:
            log.exception("series %s", job.series_instance_uid)
            fault = Reason("fault", type(error).__name__, None, Verdict.FAIL)
            self._record_failure(job, [fault])
            return
        self._record(job, analysis)

    def _assess(self, instances: tuple[StoredInstance, ...]) -> Assessment:
        paths = [self._instances.open_path(instance.path) for instance in instances]
        return assess_files(paths, self._settings.eligibility)

    def _superseded(self, job: Job) -> None:
        """Instances came after the decision: the series is assessed anew, this job is void."""
        log.info("series %s: changed since it was queued", job.series_instance_uid)
        with self._database.write() as session:
            jobs.finish(session, job, datetime.now(UTC))

    def _record_failure(self, job: Job, reasons: Sequence[Reason]) -> None:
        told = "; ".join(map(str, reasons))
        log.warning("series %s: failed, %s", job.series_instance_uid, told)
        with self._database.write() as session:
            series.record_failed(
                session,
                job,
                ended_at=datetime.now(UTC),
                reasons=[reason.as_json() for reason in reasons],
                error=told,
            )

    def _record(self, job: Job, analysis: Analysis) -> None:
        """Results durable as files first; then rows, deliveries and job in one transaction."""
        records = [self._store(job, each) for each in analysis.objects]
        with self._database.write() as session:
            superseded = series.record_analysed(
                session,
                job,
                ended_at=datetime.now(UTC),
                analysis=analysis.as_json(),
                results=records,
                destinations=[destination.name for destination in self._settings.destinations],
            )
        if superseded is not None:
            log.info("series %s: changed during its analysis", job.series_instance_uid)
            for record in records:
                self._results.remove(record.path)
            return
        log.info(
            "series %s: analysed, %d objects, %.1f s",
            job.series_instance_uid,
            len(records),
            sum(analysis.seconds.values()),
        )

        if analysis.repairs:
            log.info(
                "series %s: header mended for its results: %s",
                job.series_instance_uid,
                "; ".join(analysis.repairs),
            )

    def _store(self, job: Job, result: ResultObject) -> ResultRecord:
        content = encode(result)
        uid = str(result.sop_instance_uid)
        return ResultRecord(
            sop_instance_uid=uid,
            sop_class_uid=str(result.sop_class_uid),
            result_series_instance_uid=str(result.data_set.SeriesInstanceUID),
            series_instance_uid=job.series_instance_uid,
            kind=result.kind,
            path=self._results.store(job.series_instance_uid, uid, content),
            size_bytes=len(content),
            created_at=job.created_at,
        )

    @contextmanager
    def _held(self, job: Job) -> Iterator[None]:
        """Keep the lease of a job renewed while its work goes on."""
        ended = threading.Event()
        keeper = threading.Thread(target=vital(self._keep), args=(job, ended), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()

    def _keep(self, job: Job, ended: threading.Event) -> None:
        deadline = time.monotonic() + self._settings.inference.deadline_seconds
        renew_at = time.monotonic() + self._lease.total_seconds() / 3
        while not ended.wait(0.1):
            now = time.monotonic()
            if self._stop.is_set():
                self._hand_back_unless_ended(job, ended)
                return
            if now > deadline:
                log.error("series %s: over its deadline", job.series_instance_uid)
                os._exit(EXIT_DEADLINE)
            if now > renew_at:
                self._renew(job)
                renew_at = now + self._lease.total_seconds() / 3

    def _renew(self, job: Job) -> None:
        try:
            with self._database.write() as session:
                held = jobs.renew(session, job, datetime.now(UTC), self._lease)
        except StorageError as error:
            log.warning("the lease could not be renewed yet: %s", error)
            return
        if not held:
            log.error("series %s: the lease is another's", job.series_instance_uid)
            os._exit(EXIT_LEASE_LOST)

    def _hand_back_unless_ended(self, job: Job, ended: threading.Event) -> None:
        if ended.wait(_STOP_GRACE_SECONDS):
            return
        try:
            with self._database.write() as session:
                jobs.put_back(session, job, datetime.now(UTC), count_attempt=False)
            log.info("series %s: handed back at stop", job.series_instance_uid)
        except StorageError as error:
            log.warning("not handed back, the lease runs out by itself: %s", error)
        os._exit(0)


def run(settings: Settings, owner: str, stop: threading.Event) -> None:
    """Analyse until `stop`."""
    warm_up()
    Worker(settings, owner, stop).run()
