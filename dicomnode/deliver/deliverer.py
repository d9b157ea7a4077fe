"""The deliverer: sends what lies in the outbox until it has arrived.

Each destination has threads of its own, so that a dead one holds up no other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta

from pydicom.errors import InvalidDicomError

from dicomnode.clock import Clock, clock_of
from dicomnode.commitment.work import commitment_work
from dicomnode.config.destinations import AnyDestination, WebDestination
from dicomnode.config.settings import Settings
from dicomnode.data_directory.files import result_files
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.decisions.retry import decide_retry
from dicomnode.deliver.dicom_sender import dicom_sender
from dicomnode.deliver.no_destination import abandon_unknown
from dicomnode.deliver.reach import Reach, reach_of
from dicomnode.deliver.routing import warn_of_unreached
from dicomnode.deliver.sender import NoneTakenError, Sender, outcome_of
from dicomnode.deliver.tally import Tally, patient_id_of
from dicomnode.deliver.web_sender import web_sender
from dicomnode.deliver.withdrawn import ResultHistory
from dicomnode.errors import PeerCause, PeerError
from dicomnode.lifecycle import (
    Outage,
    do_once,
    drawn_jitter,
    ends_process_on_fault,
    keep_looking,
)
from dicomnode.metrics.counters import (
    DELIVERED_BYTES,
    DELIVERY_ATTEMPTS,
    DESTINATION_AWAY,
    expect_destination,
)
from dicomnode.metrics.stages import observe_stored
from storage import outbox, queries
from storage.database import Database
from storage.errors import DatabaseUnavailableError, LeaseLostError, UnsafePathError
from storage.records import Delivery, DeliveryState

log = logging.getLogger(__name__)

_Mark = Callable[..., None]

_LOOK_SECONDS = 0.5
_FAULT_SECONDS = 30.0
"""After a fault that no single object explains."""

_CONFIRM_AFTER = timedelta(seconds=2)
"""A promise is asked for so long after the object was stored: for all of the study at once."""

_BATCH = 64
_FAULT = "fault"  # status of what a fault on our side ended


class Deliverer:
    """Sends to one destination what waits for it."""

    def __init__(
        self,
        settings: Settings,
        destination: AnyDestination,
        owner: str,
        clock: Clock | None = None,
        reach: Reach | None = None,
    ) -> None:
        """`reach`: shared by all who send to this destination."""
        self._settings = settings
        self._destination = destination
        self._owner = f"{owner}{destination.name}"
        self._database = Database.open_later(settings.database_url)
        self._clock = clock or clock_of(self._database)
        self._reach = reach or reach_of(settings, destination, self._clock)
        self._files = result_files(settings)
        self._history = ResultHistory(self._database, settings.result_files, self._files.node_id)
        self._tally = Tally(destination, "")
        self._last_stored: dict[str, datetime] = {}  # by series, of this look

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: send, or wait for something to send.

        A fault of this destination ends nothing: the others are served by threads beside it.
        """
        work = f"delivery to {self._destination.name}"
        keep_looking(
            lambda: self.deliver_some(stop),
            stop,
            Outage(work),
            f"{work} goes on in a while",
            _LOOK_SECONDS,
            _FAULT_SECONDS,
        )

    def deliver_some(self, stop: threading.Event) -> int:
        """Claim the results of one study and try to send them; how many there were."""
        with self._reach.entered(_BATCH) as granted:
            batch = self._claim(granted) if granted else ()
            self._reach.give_back(granted - len(batch))
            if standing := self._history.standing(batch, self._clock.now()):
                with self._tallied(standing):
                    self._send(standing, stop)
                self._measure()
        return len(batch)

    @contextmanager
    def _tallied(self, batch: Sequence[Delivery]) -> Iterator[None]:
        """Around the sending of what is of one study."""
        first, began = batch[0].result, self._clock.seconds()
        with self._database.read() as session:
            study = queries.study_of(session, first.series_key)
        self._tally = Tally(self._destination, study)
        try:
            yield
        finally:
            named = self._settings.audit.patient_id
            patient = patient_id_of(self._files, first) if named else ""
            self._tally.tell(self._clock.seconds() - began, patient)

    def _measure(self) -> None:
        """How long the series took of which this was the last object."""
        last, self._last_stored = self._last_stored, {}
        if not last:
            return
        end = not self._destination.storage_commitment
        with self._database.read() as session:
            observe_stored(session, self._destination.name, last, is_the_end=end)

    def _claim(self, limit: int) -> tuple[Delivery, ...]:
        lease = timedelta(seconds=self._settings.delivery.lease_seconds)
        name, now = self._destination.name, self._clock.now()
        with self._database.write() as session:
            return outbox.claim_deliveries(session, name, self._owner, now, lease, limit=limit)

    def _send(self, batch: Sequence[Delivery], stop: threading.Event) -> None:
        waiting = list(batch)
        try:
            while waiting and not stop.is_set():
                self._send_over_one(waiting, stop)
        except PeerError as error:
            outcome = outcome_of(error)
            if outcome.ending is Ending.HOPELESS:
                self._note_answer()
                for delivery in waiting:
                    self._settle(delivery, outcome_of(error, delivery.result.sop_class_uid))
            else:
                self._wait_for_destination(waiting, outcome)
            return
        except DatabaseUnavailableError:
            raise
        except Exception as error:
            log.exception("delivery to %s", self._destination.name)
            for delivery in waiting:
                self._settle(delivery, Outcome(Ending.AGAIN, _FAULT, _fault(error)))
            return
        for delivery in waiting:  # others, or another association, may take them at once
            now = self._clock.now()
            self._write(outbox.mark_unsent, delivery, DeliveryState.WAITING, now, "handed back")

    def _send_over_one(self, waiting: list[Delivery], stop: threading.Event) -> None:
        """Take out what is sent over one association, as far as it carries.

        Raises:
            PeerError: the destination is away: there is no association, or one after the other
                broke.
        """
        renew_after = self._settings.delivery.lease_seconds / 3
        renewed = self._clock.seconds()
        with self._sender(waiting) as sender:
            going_on = True
            while waiting and going_on and not stop.is_set():
                if self._clock.seconds() - renewed > renew_after:
                    waiting[:] = self._renewed(waiting)
                    renewed = self._clock.seconds()
                    continue
                delivery = waiting.pop(0)
                try:
                    going_on = self._send_one(sender, delivery)
                except NoneTakenError as error:
                    if self._is_alone(delivery, error):
                        self._settle(delivery, error.outcome)
                    else:  # this one is not at fault: it waits with the others
                        waiting.insert(0, delivery)
                    raise

    def _is_alone(self, delivery: Delivery, error: NoneTakenError) -> bool:
        """Whether a server said at this object alone that it takes none: a filter before it may
        answer so, or a fault that this one causes there. It must not be the first at each try."""
        answered = error.cause is PeerCause.STATUS
        return answered and not self._reach.refused_another(delivery.result.sop_instance_uid)

    def _wait_for_destination(self, waiting: Sequence[Delivery], outcome: Outcome) -> None:
        """It is away as a whole: nothing of what waits is at fault, and it is told once."""
        name = self._destination.name
        until, news = self._reach.is_away(outcome.wait_seconds)
        if news:
            DESTINATION_AWAY.labels(name).inc()
            log.warning("delivery to %s waits: %s", name, outcome.text)
        with self._database.write() as session:
            outbox.hold_deliveries(session, waiting, name, until, outcome.text, outcome.status)

    def _note_answer(self) -> None:
        """The destination answered: what was held is due, a moment later than its first object."""
        if not self._reach.works():
            return
        name, retry = self._destination.name, self._settings.delivery.retry
        moment = retry.first_delay_seconds * retry.jitter_share * drawn_jitter()
        at = self._clock.now() + timedelta(seconds=moment)
        with self._database.write() as session:
            woken = outbox.wake_deliveries(session, name, at)
        log.info("delivery to %s goes on; %d objects were held", name, woken)

    def _sender(self, batch: Sequence[Delivery]) -> AbstractContextManager[Sender]:
        """The way to the destination, for these objects."""
        timeout = self._settings.delivery.timeout_seconds
        if isinstance(self._destination, WebDestination):
            return web_sender(self._destination, timeout, self._clock)
        classes = sorted({delivery.result.sop_class_uid for delivery in batch})
        return dicom_sender(self._destination, self._settings.node.ae_title, classes, timeout)

    def _renewed(self, waiting: Sequence[Delivery]) -> list[Delivery]:
        """A slow peer must not cost the leases of what has not been sent yet. Who was stopped for
        so long that others have it by now sends nothing of it."""
        lease = timedelta(seconds=self._settings.delivery.lease_seconds)
        with self._database.write() as session:
            held = outbox.renew_deliveries(session, waiting, self._clock.now(), lease)
        if len(held) < len(waiting):
            log.warning("%d objects are another's by now: not sent", len(waiting) - len(held))
        return held

    def _send_one(self, sender: Sender, delivery: Delivery) -> bool:
        """One instance; what is wrong with it is settled here. False: the association is over, or
        may be in disorder; the rest is sent over another.

        Raises:
            PeerError: the association broke, and so did the one before.
            DatabaseUnavailableError: it may have arrived, and is sent again after its lease.
        """
        uid = delivery.result.sop_instance_uid
        going_on = True
        if not self._history.standing([delivery], self._clock.now()):
            return True
        try:
            outcome = self._send_file(sender, delivery)
        except (NoneTakenError, DatabaseUnavailableError):
            raise
        except PeerError as error:
            self._settle(delivery, outcome_of(error))
            if self._reach.breaks():
                raise
            return False
        except OSError as error:
            text = f"its file cannot be read: {error.strerror or type(error).__name__}"
            outcome = Outcome(Ending.AGAIN, "file", text)
            if not error.errno:  # pydicom's own: of the data, not of the disk
                outcome = _damaged(delivery, error)
        except (InvalidDicomError, EOFError, UnsafePathError) as error:
            outcome = _damaged(delivery, error)
        except Exception as error:
            log.exception("%s", uid)
            outcome = Outcome(Ending.OURS, _FAULT, _fault(error))
            going_on = False
        self._settle(delivery, outcome)
        return going_on

    def _send_file(self, sender: Sender, delivery: Delivery) -> Outcome:
        """As `Sender.send`; what is cut short would be sent, and taken, as if it were whole."""
        (path,), size = self._files.bring([delivery.result]), delivery.result.size_bytes
        if path.stat().st_size < size:
            raise InvalidDicomError(f"less than {size} bytes")
        outcome = sender.send(path)
        self._note_answer()
        return outcome

    def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        """The one place where a delivery's state is decided."""
        uid, now = delivery.result.sop_instance_uid, self._clock.now()
        if outcome.text:
            log.warning("%s to %s: %s", uid, self._destination.name, outcome.text)
        self._tally.note(delivery, outcome)
        DELIVERY_ATTEMPTS.labels(self._destination.name, outcome.ending.value).inc()
        match outcome.ending:
            case Ending.STORED:
                warning = outcome.shown or None
                confirm_at = now + _CONFIRM_AFTER if self._destination.storage_commitment else None
                self._write(outbox.mark_stored, delivery, now, outcome.status, warning, confirm_at)
                DELIVERED_BYTES.labels(self._destination.name).inc(delivery.result.size_bytes)
                self._last_stored[delivery.result.series_key] = now
            case Ending.HOPELESS:
                self._write(outbox.mark_refused, delivery, now, outcome.shown, outcome.status)
            case Ending.OURS:
                self._write(outbox.mark_failed, delivery, now, outcome.shown, outcome.status)
            case Ending.AGAIN:
                self._try_later(delivery, outcome, now)

    def _try_later(self, delivery: Delivery, outcome: Outcome, now: datetime) -> None:
        decision = decide_retry(
            delivery.attempt,
            delivery.first_tried_at or now,
            self._settings.delivery.retry,
            now,
            jitter=drawn_jitter(),
            at_least_seconds=outcome.wait_seconds,
        )
        if decision is None:
            log.error("%s given up: %s", delivery.result.sop_instance_uid, outcome.text)
            self._write(outbox.mark_failed, delivery, now, outcome.shown, outcome.status)
        else:
            at = decision.not_before
            self._write(outbox.mark_retry, delivery, at, outcome.shown, outcome.status)

    def _write(self, mark: _Mark, delivery: Delivery, *arguments: object) -> None:
        try:
            with self._database.write() as session:
                mark(session, delivery, *arguments)
        except LeaseLostError:
            log.warning("%s is another's by now", delivery.result.sop_instance_uid)
        self._history.note(delivery)


def _damaged(delivery: Delivery, error: Exception) -> Outcome:
    """It was made of more than this process has: of the pixels and of what the methods found."""
    key = delivery.result.series_key
    text = f"its file is damaged ({type(error).__name__}): dicomnode results renew {key}"
    return Outcome(Ending.OURS, "file", f"{text} makes it anew")


def _fault(error: Exception) -> str:
    return f"a fault on our side: {type(error).__name__}"


def _threads(
    settings: Settings, destination: AnyDestination, owner: str, stop: threading.Event
) -> list[threading.Thread]:
    """One for each association that a destination may have at a time."""
    clock = clock_of(Database.open_later(settings.database_url))
    reach = reach_of(settings, destination, clock)
    expect_destination(destination.name, [each.value for each in Ending])
    return [
        threading.Thread(
            target=ends_process_on_fault(Deliverer(settings, destination, owner, clock, reach).run),
            args=(stop,),
            name=f"deliver-{destination.name}-{number}",
        )
        for number in range(1, destination.associations + 1)
    ]


def run(settings: Settings, owner: str, stop: threading.Event) -> None:
    """Deliver to every configured destination until `stop`."""
    outage = Outage("looking for destinations that are no more")
    do_once(lambda: abandon_unknown(settings), stop, outage, _LOOK_SECONDS)
    warn_of_unreached(settings)
    threads = [
        thread
        for destination in settings.destinations
        for thread in _threads(settings, destination, owner, stop)
    ]
    threads += [
        threading.Thread(target=ends_process_on_fault(target), args=(stop,), name=name)
        for name, target in commitment_work(settings).items()
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(settings.delivery.timeout_seconds)
