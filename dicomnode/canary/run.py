"""One run of the canary, stage by stage: sent, analysed, judged, delivered, withdrawn."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

from pynetdicom import build_context
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from dicomnode.canary.own_port import own_peer
from dicomnode.canary.setting import setting_of, spacing_of
from dicomnode.clock import Clock, clock_of
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import id_of_node
from dicomnode.decisions.eligibility.study_choice import STUDY_CHOICE
from dicomnode.decisions.operating.canary import Scores, lost_before, problems_of
from dicomnode.decisions.rejection import RejectionReason
from dicomnode.decisions.wording import answer, how_many
from dicomnode.errors import NodeError, PeerCause, PeerError
from dicomnode.methods.findings_json import kept_findings
from dicomnode.network.associations import SUCCESS, associated, c_store, requestor
from dicomnode.synthetic.chest import drawn_chest
from dicomnode.synthetic.patient import SyntheticPatient
from storage import by_hand, canary_runs, queries, result_sets
from storage.canary_runs import CANARY_AE_TITLE, CanaryRecord
from storage.database import Database
from storage.records import OPEN_SERIES, DeliveryRecord, SeriesDetail, SeriesState

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_SEND_SECONDS = 60.0
"""While the node starts its port may not answer yet."""

T = TypeVar("T")
Tell = Callable[[str], None]


class CanaryBusyError(NodeError):
    """Another run is under way."""


class _FailedError(Exception):
    """The text says what is not as it must be."""


class _StoppedError(Exception):
    """Somebody wishes this process to end."""


def run_canary(
    settings: Settings,
    database: Database,
    occasion: str,
    *,
    clock: Clock | None = None,
    stop: threading.Event | None = None,
    tell: Tell = lambda _stage: None,
) -> CanaryRecord | None:
    """The run as it ended; None: it was broken off by `stop`, or by a person at the keyboard, and
    nothing is kept of it.

    Raises:
        CanaryBusyError
        DatabaseUnavailableError: it is not known how it ended; the next run says so.
        BundleError: as `setting_of`.
    """
    clock = clock or clock_of(database)
    run = _Run(settings, database, clock, stop or threading.Event(), tell)
    record, lost = _register(settings, database, run.patient, occasion, clock)
    for uid in lost:
        run.take_back(uid)
    try:
        text = run.go()
        passed = True
    except (_StoppedError, KeyboardInterrupt):
        run.take_back(record.series_instance_uid)
        with database.write() as session:
            canary_runs.forget_run(session, record.series_instance_uid)
        return None
    except (_FailedError, NodeError, OSError) as error:
        text, passed = str(error), False
        run.take_back(record.series_instance_uid)
    with database.write() as session:
        canary_runs.end_run(
            session,
            record.series_instance_uid,
            clock.now(),
            passed=passed,
            text=text,
            scores=json.dumps(run.scores) if run.scores else "",
        )
        return canary_runs.find_run(session, record.series_instance_uid)


def _register(
    settings: Settings,
    database: Database,
    patient: SyntheticPatient,
    occasion: str,
    clock: Clock,
) -> tuple[CanaryRecord, tuple[str, ...]]:
    """The new run, and the series of those that were lost."""
    setting, now = setting_of(settings), clock.now()
    record = CanaryRecord(
        series_instance_uid=patient.series_instance_uid,
        study_instance_uid=patient.study_instance_uid,
        occasion=occasion,
        stage="C-STORE",
        version=setting.version,
        configuration=setting.configuration,
        models=setting.models,
        started_at=now,
        node_id=id_of_node(settings.node.data_directory),
    )
    with database.write() as session:
        lost = canary_runs.end_lost_runs(session, lost_before(settings.canary, now), now)
        last = canary_runs.last_run(session, record.node_id)
        if last is not None and last.ended_at is None:
            raise CanaryBusyError(f"a run of the canary is under way, at {last.stage}")
        canary_runs.register(session, record)
    return record, lost


class _Run:
    """`scores`: what the methods said, once they have."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        stop: threading.Event,
        tell: Tell,
    ) -> None:
        self._settings, self._database = settings, database
        self._clock, self._stop, self._tell = clock, stop, tell
        self.patient = SyntheticPatient.new("CANARY", clock.now().astimezone())
        self._until = clock.now() + timedelta(seconds=settings.canary.deadline_seconds)
        self.scores: Scores = {}
        self._chest = drawn_chest(spacing_of(settings))

    def go(self) -> str:
        """What was measured, in words.

        Raises:
            _FailedError, PeerError, ConfigurationError: what is wrong.
            _StoppedError
        """
        began = self._clock.seconds()
        self._tell("C-STORE")
        self._send()
        sent = self._clock.seconds()
        self._enter("analysis")
        detail = self._wait(self._ended, "its analysis has not ended")
        analysed = self._clock.seconds()
        self._judge(detail)
        words = f"sent in {sent - began:.0f} s, analysed {analysed - sent:.0f} s later"
        if not self._settings.canary.destinations:
            return words
        self._enter("delivery")
        try:
            count = self._wait(self._delivered, "its results have not arrived")
        finally:
            if self._settings.canary.retract:
                self._retract(self.patient.series_instance_uid)
        arrived = f"{how_many(count, 'result')} delivered"
        words += f", {arrived} {self._clock.seconds() - analysed:.0f} s after that"
        if self._settings.canary.retract:
            self._enter("withdrawal")
            self._wait(self._delivered, "what withdraws them has not arrived")
            words += ", and withdrawn"
        return words

    def _enter(self, stage: str) -> None:
        self._tell(stage)
        with self._database.write() as session:
            canary_runs.enter_stage(session, self.patient.series_instance_uid, stage)

    def _wait(self, look: Callable[[], T | None], late: str) -> T:
        """What `look` returns once it returns something."""
        while (found := look()) is None:
            if self._clock.now() > self._until:
                seconds = self._settings.canary.deadline_seconds
                raise _FailedError(f"{late} within {seconds:g} s (canary.deadline_seconds)")
            if self._stop.wait(_LOOK_SECONDS):
                raise _StoppedError
        return found

    def _send(self) -> None:
        """All instances over one association; a port that does not answer yet is waited for."""
        until = self._clock.seconds() + _SEND_SECONDS
        while True:
            try:
                self._send_once()
                return
            except PeerError as error:
                gone = error.cause is PeerCause.UNREACHABLE and self._clock.seconds() < until
                if not gone:
                    raise
            if self._stop.wait(_LOOK_SECONDS):
                raise _StoppedError

    def _send_once(self) -> None:
        instances = list(self.patient.instances(self._chest))
        syntax = instances[0].file_meta.TransferSyntaxUID
        timeout = self._settings.delivery.timeout_seconds
        ae = requestor(CANARY_AE_TITLE, [build_context(CTImageStorage, syntax)], timeout)
        with associated(ae, own_peer(self._settings)) as association:
            for each in instances:
                status = c_store(association, each)
                if status != SUCCESS:
                    raise _FailedError(f"this node answered 0x{status:04X} to C-STORE")

    def _detail(self) -> SeriesDetail | None:
        with self._database.read() as session:
            return queries.series_detail(session, self.patient.series_instance_uid)

    def _ended(self) -> SeriesDetail | None:
        detail = self._detail()
        return detail if detail is not None and detail.series.state not in OPEN_SERIES else None

    def _judge(self, detail: SeriesDetail) -> None:
        """Against the truth, and against the first run with the same version and models."""
        series = detail.series
        if series.state is not SeriesState.ANALYSED:
            why = answer(series.reasons) or "no reason"
            raise _FailedError(f"its series was {series.state.value}: {why}")
        self.scores = _scores(series.analysis or {})
        setting = setting_of(self._settings)
        with self._database.read() as session:
            first = canary_runs.first_scores(session, setting.version, setting.models)
        wrong = problems_of(
            self.scores,
            series.reasons,
            json.loads(first) if first else {},
            tolerance=self._settings.canary.tolerance,
            lungs_ml=self._chest.lungs_ml,
        )
        if not any(each.kind == "sr" for each in detail.results):
            wrong = (*wrong, "it has no report")
        if wrong:
            raise _FailedError("; ".join(wrong))

    def _delivered(self) -> int | None:
        """How many have arrived, once all have.

        Raises:
            _FailedError: one never will, or nothing goes to a destination that is named.
        """
        detail = self._detail()
        deliveries = () if detail is None else detail.deliveries
        reached = {each.destination for each in deliveries}
        missing = set(self._settings.canary.destinations) - reached
        if missing:
            raise _FailedError(f"nothing is sent to {', '.join(sorted(missing))}")
        parked = [each for each in deliveries if not (each.arrived or each.open)]
        if parked:
            raise _FailedError(_why_parked(parked))
        return len(deliveries) if all(each.arrived for each in deliveries) else None

    def take_back(self, uid: str) -> None:
        """Of a run that came to no good end: nothing is made of its series any more, and what was
        sent is withdrawn, unless results are to stay."""
        if not self._settings.canary.retract:
            return
        with self._database.write() as session:
            if queries.series_detail(session, uid) is None:
                return
            by_hand.cancel(session, uid, self._clock.now(), STUDY_CHOICE)
        try:
            self._retract(uid)
        except (NodeError, OSError) as error:
            log.error("what came of the canary %s is not withdrawn: %s", uid, error)

    def _retract(self, uid: str) -> None:
        """Also where not all of it has arrived: what waits is not sent then."""
        from dicomnode.deliver.retract import retract

        now = self._clock.now()
        with self._database.read() as session:
            sets = result_sets.sets_of_series(session, uid)
        for each in sets:
            if each.stands and not each.is_retraction:
                retract(self._database, self._settings, each, RejectionReason.OUTDATED, now)


def _scores(analysis: Mapping[str, object]) -> Scores:
    return {each["method"]: each["scores"] for each in kept_findings(analysis)}


def _why_parked(parked: Sequence[DeliveryRecord]) -> str:
    first = parked[0]
    results = how_many(len(parked), "result")
    return f"{first.destination} did not take {results}: {first.error or first.status}"
