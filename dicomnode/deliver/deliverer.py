"""The deliverer: sends what lies in the outbox, C-STORE SCU (PS3.4 annex B), until it has arrived.

One thread for each destination, so that a dead one holds up no other.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext

from dicomnode.clock import Clock
from dicomnode.config import Destination, Settings
from dicomnode.decisions.retry import decide_retry
from dicomnode.errors import PeerCause, PeerError
from dicomnode.lifecycle import Outage, ends_process_on_fault
from dicomnode.network.associations import SUCCESS, associated, c_store, requestor
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

UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""Proposed in a context each, so that it is known whether the peer takes either."""

COMPRESSED = {
    str(SecondaryCaptureImageStorage): JPEGBaseline8Bit,
    str(MultiFrameTrueColorSecondaryCaptureImageStorage): JPEGBaseline8Bit,
}
"""In which transfer syntax else files of these classes may be: that is proposed too.

Deflated is not, though files of older versions are: there are peers that accept it, answer 0x0000
and lose the pixels.
"""


def proposed_contexts(sop_classes: Iterable[str]) -> list[PresentationContext]:
    """Each SOP class in each transfer syntax that it can be sent in."""
    return [
        build_context(sop_class, syntax)
        for sop_class in sop_classes
        for syntax in (*UNCOMPRESSED, *_compressed(sop_class))
    ]


def _compressed(sop_class: str) -> tuple[str, ...]:
    return (COMPRESSED[sop_class],) if sop_class in COMPRESSED else ()


def send_instance(association: Association, path: Path) -> None:
    """Send one Part 10 file, as its bytes are or in another encoding accepted.

    Deflated files, which older versions wrote, are inflated, and JPEG is decoded for a peer that
    does not take it; none is compressed here. Decoded pixels keep their UID: they are what any
    viewer would see of it.

    Raises:
        PeerError: no context was accepted, the association broke, or the status is a failure.
    """
    meta = pydicom.dcmread(path, specific_tags=[]).file_meta
    accepted = {
        context.transfer_syntax[0]
        for context in association.accepted_contexts
        if context.abstract_syntax == meta.MediaStorageSOPClassUID
    }
    as_it_is = meta.TransferSyntaxUID in accepted
    status = c_store(association, path if as_it_is else _uncompressed(path))
    if status & 0xF000 == 0xB000:  # PS3.4 table B.2-1: warnings; the instance is stored
        log.warning("%s stored with warning 0x%04X", meta.MediaStorageSOPInstanceUID, status)
    elif status != SUCCESS:
        raise PeerError(f"C-STORE answered 0x{status:04X}", PeerCause.STATUS)


def _uncompressed(path: Path) -> pydicom.FileDataset:
    """The data set of any of our files, to be encoded as the peer takes it."""
    data_set = pydicom.dcmread(path)
    if data_set.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    elif data_set.file_meta.TransferSyntaxUID == JPEGBaseline8Bit:
        data_set.decompress(generate_instance_uid=False)
    return data_set


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
        if batch:
            self._send(batch, stop)
        return len(batch)

    def _send(self, batch: Sequence[Delivery], stop: threading.Event) -> None:
        classes = sorted({delivery.result.sop_class_uid for delivery in batch})
        timeout = self._settings.delivery.timeout_seconds
        ae = requestor(self._settings.node.ae_title, proposed_contexts(classes), timeout)
        waiting = list(batch)
        renew_after = self._settings.delivery.lease_seconds / 3
        renewed = self._clock.seconds()
        try:
            with associated(ae, self._destination) as association:
                going_on = True
                while waiting and going_on and not stop.is_set():
                    going_on = self._send_one(association, waiting[0])
                    del waiting[0]
                    if self._clock.seconds() - renewed > renew_after:
                        self._renew(waiting)
                        renewed = self._clock.seconds()
        except PeerError as error:
            log.warning("delivery to %s: %s", self._destination.name, error)
            for delivery in waiting:
                self._try_later(delivery, str(error))
            return
        except DatabaseUnavailableError:
            raise
        except Exception as error:
            log.exception("delivery to %s", self._destination.name)
            for delivery in waiting:
                self._try_later(delivery, _fault(error))
            return
        for delivery in waiting:  # others, or another association, may take them at once
            self._settle(outbox.mark_retry, delivery, self._clock.now(), "handed back")

    def _renew(self, waiting: Sequence[Delivery]) -> None:
        """A slow peer must not cost the leases of what has not been sent yet."""
        lease = timedelta(seconds=self._settings.delivery.lease_seconds)
        with self._database.write() as session:
            outbox.renew_deliveries(session, waiting, self._clock.now(), lease)

    def _send_one(self, association: Association, delivery: Delivery) -> bool:
        """One instance; what is wrong with this one is settled here, a broken association is
        raised. False: the association may be in disorder, the rest is sent over another."""
        uid = delivery.result.sop_instance_uid
        try:
            send_instance(association, self._files.open_path(delivery.result.path))
        except PeerError as error:
            if not association.is_established:
                raise
            log.warning("%s: %s", uid, error)
            if error.cause is PeerCause.OURS:
                self._give_up(delivery, str(error))
            else:
                self._try_later(delivery, str(error))
            return True
        except OSError as error:
            text = f"its file cannot be read: {error.strerror or type(error).__name__}"
            log.error("%s: %s", uid, text)
            if error.errno is None:  # pydicom's own: of the data, not of the disk
                self._give_up(delivery, text)
            else:
                self._try_later(delivery, text)
            return True
        except (InvalidDicomError, UnsafePathError) as error:
            log.error("%s: its file is damaged: %s", uid, type(error).__name__)
            self._give_up(delivery, f"its file is damaged: {type(error).__name__}")
            return True
        except Exception as error:
            log.exception("%s", uid)
            self._give_up(delivery, _fault(error))
            return False
        self._settle(outbox.mark_delivered, delivery, self._clock.now())
        return True

    def _give_up(self, delivery: Delivery, error: str) -> None:
        """Another attempt would end the same; `dicomnode results resend` makes one."""
        self._settle(outbox.mark_failed, delivery, self._clock.now(), error)

    def _try_later(self, delivery: Delivery, error: str) -> None:
        now = self._clock.now()
        decision = decide_retry(
            delivery.attempt,
            delivery.first_tried_at or now,
            self._settings.delivery.retry,
            now,
            jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
        )
        if decision is None:
            log.error("%s given up: %s", delivery.result.sop_instance_uid, error)
            self._give_up(delivery, error)
        else:
            self._settle(outbox.mark_retry, delivery, decision.not_before, error)

    def _settle(self, mark: _Mark, delivery: Delivery, *arguments: object) -> None:
        try:
            with self._database.write() as session:
                mark(session, delivery, *arguments)
        except LeaseLostError:
            log.warning("%s is another's by now", delivery.result.sop_instance_uid)


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
