"""The deliverer: sends what lies in the outbox until it has arrived.

One thread for each destination, so that a dead one holds up no other.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pydicom.errors import InvalidDicomError

from dicomnode.clock import Clock
from dicomnode.config import Destination, Settings
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.decisions.retry import decide_retry
from dicomnode.deliver.dicom_sender import dicom_sender
from dicomnode.deliver.sender import Sender, outcome_of
from dicomnode.deliver.withdrawn import ResultHistory
from dicomnode.errors import PeerError
from dicomnode.lifecycle import Outage, ends_process_on_fault
from storage import outbox
from storage.database import Database
from storage.errors import DatabaseUnavailableError, LeaseLostError, UnsafePathError
from storage.records import Delivery
from storage.results import ResultFiles

log = logging.getLogger(__name__)

_Mark = Callable[..., None]

_LOOK_SECONDS = 0.5
_FAULT_SECONDS = 30.0
"""After a fault that no single object explains."""

_BATCH = 64
_FAULT = "fault"  # status of what a fault on our side ended


class Deliverer:
    """Sends to one destination what waits for it."""

    def __init__(
        self,
        settings: Settings,
        destination: Destination,
        owner: str,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock or Clock()
        self._destination = destination
        self._owner = f"{owner}{destination.name}"
        self._database = Database.open_later(settings.database_url)
        self._files = ResultFiles(settings.result_files)
        self._history = ResultHistory(self._database, settings.result_files)

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: send, or wait for something to send.

        A fault of this destination ends nothing: the others are served by threads beside it.
        """
        outage = Outage(f"delivery to {self._destination.name}")
        while not stop.is_set():
            pause = _LOOK_SECONDS
            try:
                with outage.reported():
                    if self.deliver_some(stop):
                        continue
            except Exception:
                log.exception("delivery to %s goes on in a while", self._destination.name)
                pause = _FAULT_SECONDS
            stop.wait(pause)

    def deliver_some(self, stop: threading.Event) -> int:
        """Claim the results of one series and try to send them; how many there were."""
        lease = timedelta(seconds=self._settings.delivery.lease_seconds)
        with self._database.write() as session:
            batch = outbox.claim_deliveries(
                session, self._destination.name, self._owner, self._clock.now(), lease, limit=_BATCH
            )
        if standing := self._history.standing(batch, self._clock.now()):
            self._send(standing, stop)
        return len(batch)

    def _send(self, batch: Sequence[Delivery], stop: threading.Event) -> None:
        classes = sorted({delivery.result.sop_class_uid for delivery in batch})
        timeout = self._settings.delivery.timeout_seconds
        waiting = list(batch)
        renew_after = self._settings.delivery.lease_seconds / 3
        renewed = self._clock.seconds()
        try:
            with dicom_sender(
                self._destination, self._settings.node.ae_title, classes, timeout
            ) as sender:
                going_on = True
                while waiting and going_on and not stop.is_set():
                    going_on = self._send_one(sender, waiting[0])
                    del waiting[0]
                    if self._clock.seconds() - renewed > renew_after:
                        self._renew(waiting)
                        renewed = self._clock.seconds()
        except PeerError as error:
            log.warning("delivery to %s: %s", self._destination.name, error)
            for delivery in waiting:
                self._settle(delivery, outcome_of(error))
            return
        except DatabaseUnavailableError:
            raise
        except Exception as error:
            log.exception("delivery to %s", self._destination.name)
            for delivery in waiting:
                self._settle(delivery, Outcome(Ending.AGAIN, _FAULT, _fault(error)))
            return
        for delivery in waiting:  # others, or another association, may take them at once
            self._write(outbox.mark_retry, delivery, self._clock.now(), "handed back")

    def _renew(self, waiting: Sequence[Delivery]) -> None:
        """A slow peer must not cost the leases of what has not been sent yet."""
        lease = timedelta(seconds=self._settings.delivery.lease_seconds)
        with self._database.write() as session:
            outbox.renew_deliveries(session, waiting, self._clock.now(), lease)

    def _send_one(self, sender: Sender, delivery: Delivery) -> bool:
        """One instance; what is wrong with this one is settled here, a broken association is
        raised. False: the association may be in disorder, the rest is sent over another."""
        uid = delivery.result.sop_instance_uid
        going_on = True
        if not self._history.standing([delivery], self._clock.now()):
            return True
        try:
            outcome = sender.send(self._files.open_path(delivery.result.path))
        except PeerError:
            raise
        except OSError as error:
            text = f"its file cannot be read: {error.strerror or type(error).__name__}"
            # without a number it is pydicom's own: of the data, not of the disk
            outcome = Outcome(Ending.AGAIN if error.errno else Ending.OURS, "file", text)
        except (InvalidDicomError, UnsafePathError) as error:
            text = f"its file is damaged: {type(error).__name__}"
            outcome = Outcome(Ending.OURS, "file", text)
        except Exception as error:
            log.exception("%s", uid)
            outcome = Outcome(Ending.OURS, _FAULT, _fault(error))
            going_on = False
        self._settle(delivery, outcome)
        return going_on

    def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        """The one place where a delivery's state is decided."""
        uid, now = delivery.result.sop_instance_uid, self._clock.now()
        if outcome.text:
            log.warning("%s to %s: %s", uid, self._destination.name, outcome.text)
        match outcome.ending:
            case Ending.STORED:
                warning = outcome.text or None
                self._write(outbox.mark_stored, delivery, now, outcome.status, warning)
            case Ending.HOPELESS:
                self._write(outbox.mark_refused, delivery, now, outcome.text, outcome.status)
            case Ending.OURS:
                self._write(outbox.mark_failed, delivery, now, outcome.text, outcome.status)
            case Ending.AGAIN:
                self._try_later(delivery, outcome, now)

    def _try_later(self, delivery: Delivery, outcome: Outcome, now: datetime) -> None:
        decision = decide_retry(
            delivery.attempt,
            delivery.first_tried_at or now,
            self._settings.delivery.retry,
            now,
            jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
            at_least_seconds=outcome.wait_seconds,
        )
        if decision is None:
            log.error("%s given up: %s", delivery.result.sop_instance_uid, outcome.text)
            self._write(outbox.mark_failed, delivery, now, outcome.text, outcome.status)
        else:
            at = decision.not_before
            self._write(outbox.mark_retry, delivery, at, outcome.text, outcome.status)

    def _write(self, mark: _Mark, delivery: Delivery, *arguments: object) -> None:
        try:
            with self._database.write() as session:
                mark(session, delivery, *arguments)
        except LeaseLostError:
            log.warning("%s is another's by now", delivery.result.sop_instance_uid)
        self._history.note(delivery)


def _fault(error: Exception) -> str:
    return f"a fault on our side: {type(error).__name__}"


def run(settings: Settings, owner: str, stop: threading.Event) -> None:
    """Deliver to every configured destination until `stop`."""
    threads = [
        threading.Thread(
            target=ends_process_on_fault(Deliverer(settings, destination, owner).run),
            args=(stop,),
            name=f"deliver-{destination.name}",
        )
        for destination in settings.destinations
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(settings.delivery.timeout_seconds)
