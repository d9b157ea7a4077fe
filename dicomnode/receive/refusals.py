"""The trace of what a receiver refuses: kept in memory, written by a thread of its own.

Whoever refuses never waits and never fails by it. While the database is away what is alike is
counted on; what memory has no room for is told in the log alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from pynetdicom.association import Association

from dicomnode.clock import Clock, clock_of
from dicomnode.decisions.arrival.admission import printable_ae_title
from dicomnode.dicom_files.identity import identify
from dicomnode.errors import DataError
from dicomnode.fast_scp.association import StoreRequest
from dicomnode.lifecycle import Outage, keep_looking
from storage import refusals
from storage.database import Database
from storage.refusals import ASSOCIATION, INSTANCE, Refusal

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_FAULT_SECONDS = 30.0
_MOST_HELD = 1000
"""Kinds of refusals that wait to be written."""

_LAST_WRITE_SECONDS = 2.0

_NO_ROOM = "no room on the disk, or it fails: disk.refuse_below_bytes"
"""The peer is told the figures, which are others each time."""


class Refusals:
    """Of one receiver process; one object for all associations."""

    def __init__(
        self,
        database: Database,
        ready: Callable[[], bool] = lambda: True,
        clock: Clock | None = None,
    ) -> None:
        """`ready`: whether the database may be written."""
        self._database = database
        self._ready = ready
        self._clock = clock or clock_of(database, waits=False)
        self._held: dict[tuple[str, ...], Refusal] = {}
        self._untold = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, stop: threading.Event) -> None:
        """Write what is noted, until `stop`."""
        self._thread = threading.Thread(target=self._run, args=(stop,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """After the stop: give the last of it a moment."""
        if self._thread is not None:
            self._thread.join(_LAST_WRITE_SECONDS)

    def note_association(self, association: Association, status: str, why: str) -> None:
        """An association was rejected."""
        self._note(self._refusal(association, ASSOCIATION, status, why))

    def note_instance(self, request: StoreRequest, status: int, why: str) -> None:
        """A C-STORE request was answered with a failure: as far as it tells what it is about."""
        refusal = self._refusal(request.association, INSTANCE, f"0x{status:04X}", why)
        try:
            identity = identify(request.data_set, request.transfer_syntax)
        except DataError:
            self._note(replace(refusal, sop_instance_uid=_readable(request.sop_instance_uid)))
            return
        self._note(
            replace(
                refusal,
                study_instance_uid=identity.study_instance_uid,
                series_instance_uid=identity.series_instance_uid,
                sop_instance_uid=identity.sop_instance_uid,
                accession_number=identity.accession_number,
            )
        )

    def note_unkept(self, association: Association, sop_instance_uid: str, status: int) -> None:
        """The disk did not take a data set while it came: only its command tells what it was."""
        refusal = self._refusal(association, INSTANCE, f"0x{status:04X}", _NO_ROOM)
        self._note(replace(refusal, sop_instance_uid=_readable(sop_instance_uid)))

    def _refusal(self, association: Association, kind: str, status: str, why: str) -> Refusal:
        now, primitive = self._clock.now(), association.requestor.primitive
        calling, called = association.requestor.ae_title, ""
        if primitive is not None:  # pynetdicom copies its calling AE title when it accepts
            calling, called = primitive.calling_ae_title, primitive.called_ae_title
        return Refusal(
            kind=kind,
            calling_ae_title=printable_ae_title(str(calling)),
            called_ae_title=printable_ae_title(str(called)),
            peer_address=str(association.requestor.address),
            status=status,
            reason=_NO_ROOM if status == "0xA700" else why,
            first_at=now,
            last_at=now,
        )

    def _note(self, refusal: Refusal) -> None:
        with self._lock:
            before = self._held.get(refusal.alike)
            if before is not None:
                self._held[refusal.alike] = before.with_(refusal)
            elif len(self._held) < _MOST_HELD:
                self._held[refusal.alike] = refusal
            else:
                self._untold += refusal.count

    def write(self) -> bool:
        """What is noted so far; False: nothing more is to be done at once.

        Raises:
            DatabaseUnavailableError: it is written later.
        """
        if not self._ready():
            return False
        with self._lock:
            held, self._held = self._held, {}
            untold, self._untold = self._untold, 0
        if untold:
            log.warning("%d refusals are not in the queue's trace: too many at once", untold)
        try:
            if held:
                with self._database.write() as session:
                    refusals.enter(session, held.values())
        except BaseException:
            for each in held.values():
                self._note(each)
            raise
        return False

    def _run(self, stop: threading.Event) -> None:
        outage = Outage("the trace of refusals")
        fault = "refusals cannot be written"
        keep_looking(self.write, stop, outage, fault, _LOOK_SECONDS, _FAULT_SECONDS)
        with outage.reported():
            self.write()


def _readable(uid: str) -> str:
    """As a command named it: a NUL in it would keep PostgreSQL from taking any of the trace."""
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in uid)
