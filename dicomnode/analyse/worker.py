"""The worker: takes one ANALYSE job after the other and leaves its results in the outbox.

Whoever ends its process (`held_job`) loses nothing: every effect up to the last transaction is a
file that the next attempt writes again with the same bytes.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from dicomnode.analyse.ability import ability_of, series_at_once
from dicomnode.analyse.ahead import Ahead
from dicomnode.analyse.analysis import Analysis, Refusal, analyse_series
from dicomnode.analyse.flight import Flight, with_digests
from dicomnode.analyse.held_job import HeldJob
from dicomnode.analyse.measured import measure
from dicomnode.analyse.predecessor import before_the_same, former_report, withdrawals
from dicomnode.assess.assessment import Assessment, assess_files, input_digest
from dicomnode.broken_off import BrokenOff
from dicomnode.clock import Clock, clock_of
from dicomnode.config.settings import Settings
from dicomnode.data_directory.files import instance_files, result_files
from dicomnode.decisions.arrival.completeness import INCOMPLETE_RULE
from dicomnode.decisions.arrival.resend import RESENT
from dicomnode.decisions.eligibility.study_choice import STUDY_CHOICE
from dicomnode.decisions.reasons import Reason, Verdict, failed_rules
from dicomnode.deliver.equipment import equipment
from dicomnode.deliver.result_bundles import ResultBundles, named
from dicomnode.deliver.result_settings import analysis_digest
from dicomnode.deliver.result_store import store_results
from dicomnode.deliver.routing import Routing, routing, warn_of_senders
from dicomnode.dicom_files.read_again import (
    Retries,
    is_damage,
    is_full,
    is_of_store,
    may_pass,
    why_unread,
)
from dicomnode.disk_gate import is_short_of_room
from dicomnode.errors import DataError
from dicomnode.lifecycle import Outage
from dicomnode.methods.bundles import Engines, load_engines
from dicomnode.metrics.counters import ANALYSES
from storage import flight_records, index, jobs, nodes, queries, result_sets, series, study
from storage.database import Database
from storage.durable import LEFTOVER_AGE
from storage.errors import DatabaseUnavailableError, LeaseLostError
from storage.overview_records import node_of
from storage.records import Job, JobKind, ResultRecord, SeriesDetail, StoredInstance, Superseded
from storage.result_history import Withdrawals

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
_REST, _LONGEST_REST_SECONDS = 10, 3.0
"""After a look that found nothing, so many times as long as it took, where that is longer: among a
hundred thousand analyses that ask for more memory than this worker has, one takes a while."""

_DISK_DELAY = timedelta(seconds=30)
_RESULT_BYTES = 32 << 20
"""Twice as much as the results of a series mostly are. What is free above it, and below the marks
of `[disk]`, is kept for them."""


class _SupersededError(Exception):
    """Ends an analysis from within: nobody waits for its results any more."""


class Worker:
    """Analyses with one loaded model."""

    def __init__(
        self,
        settings: Settings,
        owner: str,
        stop: threading.Event,
        clock: Clock | None = None,
        engines: Engines | None = None,
    ) -> None:
        """`engines`: those of another worker of this process; else they are loaded."""
        self._settings = settings
        self._owner = owner
        self._stop = stop
        self._unawaited = threading.Event()
        self._reading = Retries()
        self._database = Database.open_later(settings.database_url)
        self._broken_off = BrokenOff(self._database)
        self._clock = clock or clock_of(self._database)
        self._instances = instance_files(settings)
        self._results = result_files(settings)
        self._bundles = ResultBundles(settings, self._database, self._clock)
        self._withdrawals = Withdrawals(settings.result_files)
        self._results.remove_leftovers(self._clock.host.now() - LEFTOVER_AGE)
        self._lease = timedelta(seconds=settings.inference.lease_seconds)
        self._engines = engines or load_engines(settings)
        self._ability = ability_of(settings, self._engines)
        self._equipment = equipment(settings, self._engines.names or None)
        self._told, self._shares = False, settings.node.shares_database
        self._rests_until = 0.0
        self._ahead = Ahead(settings, self._database, self._engines, stop, self._clock)

    @property
    def engines(self) -> Engines:
        """What it analyses with."""
        return self._engines

    def beside(self) -> list[Worker]:
        """Those that analyse other series at the same time, with the same engines."""
        count = series_at_once(self._settings, self._engines) - 1
        given = self._settings, self._owner, self._stop, self._clock, self._engines
        return [Worker(*given) for _ in range(count)]

    def run(self, renewed: threading.Event) -> None:
        """Analyse, or wait for something to analyse: until asked to stop; or, after the series that
        is being analysed, until the settings are others."""
        outage, has_worked = Outage("analysing"), True
        while not (self._stop.is_set() or renewed.is_set()):
            began = self._clock.seconds()
            try:
                with outage.reported():
                    self._tell_ability()
                    if self.analyse_one() or self._ahead.look():
                        has_worked = True
                        continue
            except LeaseLostError:
                log.warning("a job ran out of its lease, or was taken back: nothing of it is kept")
            took = self._clock.seconds() - began
            if has_worked and not self._ahead.waits:
                give_back_memory()
                has_worked = False
            self._stop.wait(max(_LOOK_SECONDS, min(_REST * took, _LONGEST_REST_SECONDS)))

    def _tell_ability(self) -> None:
        """Once: by it the others see whether anybody can do what waits."""
        if not self._told:
            node_id, can = node_of(self._owner), self._ability
            with self._database.write() as session:
                nodes.tell_workers(session, node_id, can.capabilities, can.memory_bytes)
                has = self._equipment
                nodes.tell_equipment(session, node_id, has.parts, has.digest, receives=False)
            log.info("has %s, %d MiB", ", ".join(sorted(can.capabilities)), can.memory_bytes >> 20)
            self._told = True

    def analyse_one(self) -> bool:
        """Take one job that is due. False when there is none, or this host can do none.

        Any other fault than these is one of the series.

        Raises:
            DatabaseUnavailableError
            LeaseLostError
        """
        self._broken_off.give_back(self._clock.now())
        if self._clock.seconds() < self._rests_until or self._leaves_it_to_others:
            return False
        with self._database.write() as session:
            job = jobs.claim(
                session,
                (JobKind.ANALYSE,),
                self._owner,
                self._clock.now(),
                self._lease,
                capabilities=self._ability.claims,
                memory_bytes=self._ability.memory_bytes,
                equipment_digest=self._equipment.digest if self._shares else None,
            )
        if job is None:
            return False
        log.info("series %s: analysis, attempt %d", job.series_key, job.attempt)
        try:
            with self._broken_off.noted(job), self._held(job).looked_after():
                self._analyse(job)
            self._reading.forget(job.series_key)
        except OSError as error:
            self._try_later(job, error)
        except (DatabaseUnavailableError, LeaseLostError):
            raise
        except Exception as error:
            log.exception("series %s", job.series_key)
            fault = Reason("fault", type(error).__name__, None, Verdict.FAIL)
            self._record_failure(job, [fault])
        finally:
            self._ahead.forget()
        return True

    def _held(self, job: Job) -> HeldJob:
        self._unawaited.clear()
        inference = self._settings.inference
        return HeldJob(self._database, job, inference, self._stop, self._unawaited, self._clock)

    def _try_later(self, job: Job, error: OSError) -> None:
        """A full or failing disk is no fault of the series: its attempt does not count.

        For one that takes no results, a store that is away, or an object that is to be mended,
        there is no end to it; what cannot be read is given up after a while. Where other hosts may
        do better it is due for them at once, and this one rests.
        """
        now, why = self._clock.now(), why_unread(error)
        later: datetime | None = now + _DISK_DELAY
        if not (is_full(error) or is_of_store(error) or self._is_of_results(error)):
            later = self._reading.failed(job.series_key, now) if may_pass(error) else None
        elif self._settings.node.shares_database and not is_damage(error):
            later = now
            if not self._leaves_it_to_others:
                self._rests_until = self._clock.seconds() + _DISK_DELAY.total_seconds()
        if later is None:
            self._record_failure(job, [why])
            return
        ANALYSES.labels("put_back").inc()
        log.error("series %s: %s; tried again later", job.series_key, why.value)
        with self._database.write() as session:
            jobs.put_back(session, job, later, count_attempt=False, error=str(why.value))

    @property
    def _leaves_it_to_others(self) -> bool:
        """Whether others may have room for results, and this host has none."""
        settings = self._settings
        shares = settings.node.shares_database
        return shares and is_short_of_room(settings.result_files, _RESULT_BYTES)

    def _is_of_results(self, error: OSError) -> bool:
        """Whether it is the node's own folder of results that cannot be written."""
        named = error.filename
        return isinstance(named, str) and Path(named).is_relative_to(self._settings.result_files)

    def _analyse(self, job: Job) -> None:
        kept = self._withdrawals.of_series(job.series_key)
        result_sets.enter_withdrawals(self._database, kept)  # new results get new UIDs
        with self._database.read() as session:
            instances = index.instances_of_series(session, job.series_key)
            detail = queries.series_detail(session, job.series_key)
        if detail is None or input_digest(instances) != job.input_digest:
            self._superseded(job)
            return
        noted = detail.series.completeness
        early = self._ahead.take(job.series_key, job.input_digest)
        seen = self._assess(instances) if early is None else early.assessment
        assessment = replace(seen, arrival=_of_arrival(detail))
        if assessment.may_pass:
            raise OSError(errno.EIO, "; ".join(map(str, assessment.unreadable)))
        if not assessment.eligible:  # since it was queued: damaged, or another policy
            self._record_failure(job, [r for r in assessment.reasons if r.verdict is Verdict.FAIL])
            return
        goes = routing(
            self._settings, [detail.series.calling_ae_title], only_to=detail.series.only_to
        )
        made_with = analysis_digest(self._settings, goes.variants, self._engines.digest)
        known = before_the_same(detail, made_with)
        began = job.lease_until - self._lease
        flight = Flight(
            job, detail.series, instances, assessment, self._engines, self._settings, began
        )
        try:
            analysis = analyse_series(
                self._engines,
                assessment,
                self._settings,
                analysed_at=job.created_at.astimezone(),  # the same in every attempt: same bytes
                input_digest=job.input_digest,
                completeness=noted.evidence if noted else "",
                variants={each: former_report(known, each) for each in goes.variants},
                revision=withdrawals(detail),
                progress=self._stop_if_superseded,
                computed=None if early is None else early.computed,
            )
        except _SupersededError:
            self._superseded(job)
            return
        except DataError as error:
            reason = Reason(error.rule, error.value, error.limit, Verdict.FAIL)
            self._record_failure(job, [reason])
            return
        if isinstance(analysis, Refusal):
            self._record_refusal(job, analysis.reasons)
        elif self._record(flight, analysis, goes):
            header = assessment.eligibility.stack.headers[0]
            measure(detail.series, header, analysis.findings, began, self._clock.now())

    def _stop_if_superseded(self, _stage: str, _done: int, _total: int) -> None:
        """Called between the steps of an analysis: one that nobody awaits any more ends here."""
        if self._unawaited.is_set():
            raise _SupersededError

    def _assess(self, instances: tuple[StoredInstance, ...]) -> Assessment:
        return assess_files(self._instances.bring(instances), self._settings.eligibility)

    def _superseded(self, job: Job) -> None:
        """Instances came after the decision, or a person took the job back: it is void."""
        ANALYSES.labels("superseded").inc()
        log.info("series %s: its analysis is not awaited any more", job.series_key)
        with self._database.write() as session:
            jobs.finish(session, job, self._clock.now(), jobs.SUPERSEDED)

    def _record_refusal(self, job: Job, reasons: Sequence[Reason]) -> None:
        ANALYSES.labels("skipped").inc()
        log.info("series %s: skipped: %s", job.series_key, ", ".join(failed_rules(reasons)))
        self._give_up(job, partial(series.record_refused, reasons=reasons))

    def _record_failure(self, job: Job, reasons: Sequence[Reason]) -> None:
        ANALYSES.labels("failed").inc()
        error = "; ".join(map(str, reasons))
        log.warning("series %s: failed, %s", job.series_key, error)
        self._give_up(job, partial(series.record_failed, reasons=reasons, error=error))

    def _give_up(self, job: Job, record: Callable[..., Superseded | None]) -> None:
        """The series comes to no result; those of its study that gave way to it get their turn."""
        now, uid = self._clock.now(), job.series_key
        with self._database.write() as session:
            study.lock_study_of(session, uid)
            if record(session, job, ended_at=now) is None:
                study.reconsider(session, uid, STUDY_CHOICE, now)

    def _record(self, flight: Flight, analysis: Analysis, goes: Routing) -> bool:
        """Results durable as files first; then rows, deliveries, job and flight record in one
        transaction.

        False when instances came meanwhile: nothing of it was kept.
        """
        job = flight.job
        stored = store_results(self._results, job.series_key, analysis.objects, job.created_at)
        digested, records = with_digests(self._results, stored), self._bundles.put(stored)
        now = self._clock.now()
        with self._database.write() as session:
            superseded = series.record_analysed(
                session,
                job,
                ended_at=now,
                analysis=analysis.as_json(),
                reasons=analysis.reasons,
                results=records,
                destinations=goes.destinations_of,
                only_to=flight.series.only_to,
            )
            if superseded is None:
                named(session, records)
                record = flight.record(analysis, digested, now)
                of_study = flight.series.study_instance_uid
                flight_records.append(session, now, job.series_key, of_study, record)
        self._bundles.forget(records)
        if superseded is not None:
            ANALYSES.labels("superseded").inc()
            log.info("series %s: changed during its analysis", job.series_key)
            self._remove_unknown(job, records)
            return False
        log.info(
            "series %s: analysed, %d objects, %.1f s",
            job.series_key,
            len(records),
            sum(analysis.seconds.values()),
        )
        warn_of_senders(
            self._settings,
            job.series_key,
            [flight.series.calling_ae_title],
            flight.series.only_to,
        )
        for failure in analysis.failures:
            log.warning("series %s: %s", job.series_key, failure)
        if analysis.repairs:
            log.info(
                "series %s: header mended for its results: %s",
                job.series_key,
                "; ".join(analysis.repairs),
            )
        return True

    def _remove_unknown(self, job: Job, records: Sequence[ResultRecord]) -> None:
        """The files that no row tells of; what was there before is of an earlier analysis."""
        with self._database.read() as session:
            detail = queries.series_detail(session, job.series_key)
        known = {each.path for each in detail.results} if detail else set()
        for path in {each.path for each in records} - known:
            self._results.remove(path)


def give_back_memory() -> None:
    """What is free in this process to the system: after loading and after an analysis the C library
    keeps more than 100 MiB of it (malloc_trim(3), of glibc)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _of_arrival(detail: SeriesDetail) -> tuple[Reason, ...]:
    """That instances are missing, or came again, as it was decided; no header tells it."""
    return tuple(each for each in detail.series.reasons if each.rule in {INCOMPLETE_RULE, RESENT})
